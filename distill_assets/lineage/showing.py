"""From a manifest to what may be shown: every export starts here.

Belongs here: the check that a manifest has its parts, text that is safe to show, numbers and markdown as text.
Does not belong here: what an export says.

Names in a manifest come from files and from providers. Characters that nobody sees (control, zero-width, bidirectional,
lone surrogates) are written as their code once, for all exports: what is then left can be written as UTF-8, XML and JSON.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distill_assets.errors import LineageError, name_culprits

FORMAT = "distill-lineage/1"
PARTS: dict[str, type] = {
    "checkpoint": dict, "student": dict, "dataset": dict, "exposure": dict, "teachers": list, "sources": list, "prompts": list,
    "judges": list, "curation": dict, "decontamination": dict, "evaluations": list, "flow": list, "obligations": list,
    "tombstones": list, "code": dict, "environment": dict, "config": dict, "dagster": dict, "ledger": dict,
}  # fmt: skip
HIDDEN = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
NOT_SAID = "not said"
NO_ADVICE = "This is a record of facts and of rules of thumb, and no legal advice."


def prepare_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a manifest whose strings may be shown.

    Raises:
        LineageError: it is of another format, or a part is missing.
    """
    if manifest.get("format") != FORMAT:
        raise LineageError(
            f"lineage.json: format {str(manifest.get('format'))[:80]!r} is not {FORMAT!r}. Nothing was exported. "
            "Use the version of distill that wrote it."
        )
    bad = sorted(name for name, kind in PARTS.items() if not isinstance(manifest.get(name), kind))
    if bad:
        raise LineageError(
            f"lineage.json: missing or of the wrong type: {name_culprits(bad)}. Nothing was exported. "
            "Restore the file that was written beside the weights: distill lineage verify names it."
        )
    return _show_all(manifest)


def _show_all(value: Any) -> Any:
    if isinstance(value, str):
        return show_text(value)
    if isinstance(value, Mapping):
        return {show_text(str(key)): _show_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_show_all(item) for item in value]
    return value


def show_text(text: str) -> str:
    """Text in which what nobody sees stands as its code; line breaks and tabs stay."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in HIDDEN else f"[U+{ord(c):04X}]" for c in text)


def fold(text: object, most: int = 200) -> str:
    """Text on one line, cut after `most` characters; "not said" for None or nothing."""
    folded = " ".join(str(text).split()) if text is not None else ""
    return NOT_SAID if not folded else folded if len(folded) <= most else folded[: most - 1] + "…"


def name_endpoint(endpoint: Mapping[str, Any]) -> str:
    """What answered, as one name; the one that was asked for where nobody said more."""
    served = endpoint.get("served_model") or endpoint.get("requested_model")
    mark = endpoint.get("system_fingerprint")
    return fold(served) + (f" / {fold(mark)}" if mark else "")


def name_selector(selector: Mapping[str, Any]) -> str:
    """What a tombstone is of, as text."""
    return fold(", ".join(f"{name}: {value}" for name, value in sorted(selector.items())), 300)


def count(number: int | None) -> str:
    """A count with commas."""
    return "–" if number is None else f"{number:,}"


def percent(frac: float | None) -> str:
    """A fraction 0 to 1 as text; what is more than nothing is never shown as 0."""
    if frac is None:
        return "–"
    return "<0.1%" if 0 < frac < 0.001 else f"{frac:.1%}"


def decide(is_met: bool | None) -> str:
    """A finding in three states."""
    return {True: "met", False: "NOT met", None: "to be decided"}[is_met]


def code(text: object) -> str:
    """Foreign text as inline code: no markup of it is read, whatever it is.

    Source: CommonMark 0.31 sec. 6.1 (a code span ends at a run of as many backticks).
    """
    folded = fold(text)
    if text is None or folded == NOT_SAID:
        return NOT_SAID
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", folded)), default=0))
    pad = " " if folded[0] == "`" or folded[-1] == "`" else ""
    return f"{fence}{pad}{folded}{pad}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table; a heading that ends in ">" is of numbers. Cells come as markdown.

    Source: GFM tables: a pipe is escaped, in code too; a backslash before it would undo that.
    """
    rule = ["---:" if name.endswith(">") else "---" for name in head]
    cells = [[cell.replace("\\|", "\\ |").replace("|", "\\|") for cell in row] for row in rows]
    lines = [[name.rstrip(">") for name in head], rule, *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
