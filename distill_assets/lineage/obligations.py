"""What a licence asks of a model that was trained on an endpoint's answers: a table, and the look-up.

Belongs here: licence -> obligations. Does not belong here: whether anybody may publish. It is no legal advice.

Three states: met, not met, and None where only a person can decide. What the table does not know is None, never met.
Seen verbatim when the table was made (November 2026): Llama 3.1 to 3.3 Community License sec. 1.b.i (name, "Built with
Llama", notice), Gemini API terms ("to develop models that compete with the Services"). From secondary quotations: OpenAI
("to develop any artificial intelligence models that compete"), Anthropic Commercial Terms ("to train competing AI
models"), Gemma terms (a model trained on its outputs is a "Model Derivative"). From general knowledge: Llama 2, 3.0 and 4,
and the Creative Commons licences. Terms change: the date and hash of the accepted ones stand with each teacher.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from distill_assets.lineage.showing import name_endpoint

Check = Callable[[str], bool | None]


class Rule(NamedTuple):
    """One obligation of the licences that `pattern` finds."""

    pattern: str
    obligation: str
    check: Check


def _by_person(name: str) -> bool | None:
    return None


def _starts_with_llama(name: str) -> bool | None:
    return name.casefold().startswith("llama")


COMPETING = "competing-use clause: outputs may not be used to develop models that compete with the provider"
# Matched against a licence in lower case with "-" for spaces and underscores; every rule that matches counts.
RULES = (
    Rule(r"llama-?(3\.[1-9]|[4-9])", 'name must begin with "Llama"', _starts_with_llama),
    Rule(r"llama-?(3\.[1-9]|[4-9])", 'show "Built with Llama" and pass on the licence and its notice', _by_person),
    Rule(r"llama-?3(?!\.[1-9])", 'name must begin with "Llama 3" if it may be published at all', _by_person),
    Rule(r"llama-?(2|3(?!\.[1-9]))", "outputs may not improve other large language models", _by_person),
    Rule(r"gemma", "a model trained on outputs is a Model Derivative: pass on the terms and their use restrictions", _by_person),
    Rule(r"openai|anthropic|claude|gemini", COMPETING, _by_person),
    Rule(r"cc-by", "name the authors and the licence, and say what was changed", _by_person),
    Rule(r"cc-by-nc|non-?commercial", "no commercial use", _by_person),
    Rule(r"cc-by(-nc)?-sa", "share alike: what is adapted goes out under the same licence", _by_person),
    Rule(r"cc-by(-nc)?-nd", "no derivatives may be shared", _by_person),
)  # fmt: skip
# Licences that ask nothing of a model that was trained on outputs or texts under them.
FREE = re.compile(r"(cc0(-1\.0)?|apache-?2(\.0)?|mit|bsd-[23]-clause|public-domain|unlicense)")
UNSAID = {"", "unspecified", "unknown", "none", "other", "not-said"}


def find_obligations(
    teachers: Iterable[Mapping[str, Any]], student_name: str, sources: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Obligations of a mix, each once for each holder, sorted by holder, licence and wording.

    A row counts even if the optimizer did not see it; who gave no row obliges to nothing.

    Args:
        teachers, sources: rows of a manifest; licence None means the terms' address or the provider is looked at.

    Returns:
        {"licence", "holder", "obligation", "is_met"}, is_met None where a person must decide.
    """
    held = [(name_endpoint(teacher), _licence_of(teacher)) for teacher in teachers if teacher["n_rows"]]
    held += [(source["source"], source["licence"] or "") for source in sources if source["n_rows"]]
    found = {
        (holder, licence, wording): is_met for holder, licence in held for wording, is_met in _read_licence(licence, student_name)
    }
    return [
        {"licence": licence, "holder": holder, "obligation": wording, "is_met": is_met}
        for (holder, licence, wording), is_met in sorted(found.items(), key=lambda item: item[0])
    ]


def _licence_of(teacher: Mapping[str, Any]) -> str:
    """The licence; where none was said, the host of the terms or the provider, for that is who sets them."""
    if teacher["licence"]:
        return str(teacher["licence"])
    asked = f"{teacher.get('terms_url') or ''} {teacher.get('provider') or ''}".lower()
    hosts = {"openai": "openai", "anthropic": "anthropic", "googleapis": "gemini", "gemini": "gemini"}
    return next((f"terms of {name}" for mark, name in hosts.items() if mark in asked), "")


def _read_licence(licence: str, student_name: str) -> list[tuple[str, bool | None]]:
    name = re.sub(r"[\s_]+", "-", licence.strip().lower())
    if name in UNSAID:
        return [("terms not said: find out before anything is published", None)]
    if FREE.fullmatch(name):
        return []
    found = [(rule.obligation, rule.check(student_name)) for rule in RULES if re.search(rule.pattern, name)]
    return found or [("licence not in the table: read it", None)]
