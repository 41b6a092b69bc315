"""Model-written text as data inside a prompt.

Belongs here: how a sample is laid before a critic or an arbiter. Does not belong here: what they are asked (judge, curate).

A sample goes in as one JSON string between two lines with a fence that its author cannot know: the fence is a hash of the
sample itself. What could end a message or start another one (the special tokens of chat templates) and what a reader
would not see (control, zero-width and bidirectional characters) is replaced. That makes an instruction inside a sample
visible as data; it is no boundary, which is why verifiers decide before critics, and canaries are mixed in.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping

from distill_assets.identity import make_id

MAX_CHARS = 12_000
# Tokens that chat templates part messages with: ChatML and Llama 3, Llama 2 and Mistral, Gemma, and sentence marks.
SPECIAL_TOKENS = re.compile(
    r"<\|[^|<>\n]{0,60}\|>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\]|<</?SYS>>|"
    r"<(?:start|end)_of_(?:turn|image)>|</?s>|<\uff5c[^<>\n]{0,60}\uff5c>",
    re.IGNORECASE,
)
REMOVED = "[special token removed]"
HIDDEN = ("Cc", "Cf", "Co", "Cs", "Cn")


def quote_sample(sample: Mapping[str, str | None]) -> str:
    """A sample as one line of JSON that no part of it can end."""
    cleaned = {name: clean_text(text or "") for name, text in sample.items()}
    return json.dumps(cleaned, ensure_ascii=False)


def clean_text(text: str) -> str:
    """Text without special tokens; characters that nobody sees are written as their code."""
    visible = "".join(_show(char) for char in text[:MAX_CHARS])
    cut = f"{visible} [{len(text) - MAX_CHARS} more characters]" if len(text) > MAX_CHARS else visible
    return SPECIAL_TOKENS.sub(REMOVED, cut)


def _show(char: str) -> str:
    if char in "\n\t" or unicodedata.category(char) not in HIDDEN:
        return char
    return f"[U+{ord(char):04X}]"


def make_fence(*texts: str) -> str:
    """A word that stands in none of the texts and that their author cannot know beforehand."""
    return f"data-{make_id('fence', texts)[:16]}"
