"""Model families: who is too close to whom to judge it.

Belongs here: the table of families, the family of a model's name, and which critics share one with a teacher or the
student. Does not belong here: what follows from that (judge, lineage).

A model tends to prefer its own words and those of its kin (Panickssery et al. 2024, "LLM evaluators recognize and favor
their own generations"). The table goes by parts of names; a recipe adds to it, and `terms.family` on a teacher or critic
wins. A distilled model has the family of its teacher and of its base.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from distill_assets.teachers import TeacherSpec

# Part of a lower-case model name -> family. A part begins where a word begins.
FAMILIES = {
    "gpt": "gpt", "chatgpt": "gpt", "o1": "gpt", "o3": "gpt", "o4": "gpt", "davinci": "gpt",
    "claude": "claude",
    "gemini": "gemini", "gemma": "gemini", "palm": "gemini", "codegemma": "gemini",
    "llama": "llama", "codellama": "llama", "nemotron": "llama", "tulu": "llama", "hermes": "llama",
    "qwen": "qwen", "qwq": "qwen", "qvq": "qwen",
    "deepseek": "deepseek",
    "mistral": "mistral", "mixtral": "mistral", "codestral": "mistral", "ministral": "mistral", "magistral": "mistral",
    "devstral": "mistral", "pixtral": "mistral", "zephyr": "mistral",
    "phi": "phi", "orca": "phi", "wizardlm": "phi",
    "command": "command", "aya": "command", "c4ai": "command",
    "grok": "grok", "glm": "glm", "chatglm": "glm", "kimi": "kimi", "moonshot": "kimi", "minimax": "minimax",
    "granite": "granite", "smollm": "smollm", "olmo": "olmo", "yi": "yi", "falcon": "falcon", "internlm": "internlm",
    "starcoder": "starcoder", "nova": "nova", "ernie": "ernie", "hunyuan": "hunyuan", "exaone": "exaone", "jamba": "jamba",
    "sql-grammar": "sql-grammar",
}  # fmt: skip


class Kinship(NamedTuple):
    """A critic that shares a family with a teacher or the student, or whose family nobody knows."""

    critic: str
    other: str
    role: str
    families: tuple[str, ...]

    @property
    def words(self) -> str:
        """One line on it."""
        if not self.families:
            return f"the family of {self.role} {self.other} or of critic {self.critic} is not known"
        return f"critic {self.critic} and {self.role} {self.other} are both of family {', '.join(self.families)}"


def find_families(name: str, more: Mapping[str, str]) -> frozenset[str]:
    """The families that a model's name speaks of; empty when nobody knows."""
    folded = name.lower()
    table = {**FAMILIES, **{part.lower(): family for part, family in more.items()}}
    return frozenset(family for part, family in table.items() if re.search(rf"(?<![a-z0-9]){re.escape(part)}", folded))


def name_families(spec: TeacherSpec, served: Iterable[str], more: Mapping[str, str]) -> frozenset[str]:
    """Families of a teacher or critic: as its terms say, else by the names of what was asked and of what answered."""
    if spec.terms.family:
        return frozenset({spec.terms.family.lower()})
    return frozenset().union(*(find_families(name, more) for name in (spec.model, *served)))


def find_kin(critics: Mapping[str, frozenset[str]], others: Mapping[tuple[str, str], frozenset[str]]) -> list[Kinship]:
    """Critics that are kin to what they judge or to who learns from it.

    Args:
        critics: name -> families. others: (role, name) -> families; roles are teacher and student.
    """
    found = []
    for critic, families in sorted(critics.items()):
        for (role, other), theirs in sorted(others.items()):
            shared = tuple(sorted(families & theirs))
            if shared or not families or not theirs:
                found.append(Kinship(critic, other, role, shared))
    return found
