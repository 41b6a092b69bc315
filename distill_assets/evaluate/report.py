"""The eval report: from rows of eval_results and a few facts to markdown, JSON and a summary.

Belongs here: counting, slicing and wording. Does not belong here: pictures (figures), scoring, or any
clock: the same rows and facts give the same bytes.

Model-written text is shown as code with its markup escaped; nothing of it becomes markdown or HTML.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from distill_assets.evaluate.judges import judges_section
from distill_assets.evaluate.statistics import mcnemar, percent
from distill_assets.intervals import Proportion, wilson

MIN_SLICE = 20
N_EXAMPLES = 5
NARROW_GAP = 0.25
ROLES = ("student", "base", "teacher")


class EvalReport(NamedTuple):
    """The report as markdown, as plain data, and as the lines that a terminal shows."""

    markdown: str
    data: dict[str, Any]
    summary: str


def count_correct(results: pl.DataFrame) -> Proportion:
    """Right answers of all."""
    return wilson(int(results["is_correct"].sum()), results.height)


def build_report(results: pl.DataFrame, facts: dict[str, Any]) -> EvalReport:
    """Put the report together.

    Args:
        results: eval_results. facts: recipe, models (role -> name), teacher, versions, planted errors,
            generation counts, training figures; see evaluate/assets.py.
    """
    headline = _headline(results)
    data = {
        "headline": headline,
        "accuracy": {f"{role}/{source}": count_correct(part)._asdict() for role, source, part in _parts(results)},
        "paired_student_base": _paired(results),
        "slices": slice_results(results),
        "errors": count_errors(results),
        "facts": facts,
    }
    sections = [
        _title(facts), "## Execution accuracy\n\n" + headline_table(data), _reading(data), _planted(facts),
        judges_section(facts.get("judges", []), facts.get("quality")), _slices_table(data["slices"]),
        _errors_table(data["errors"]), _examples(results), _costs(results, facts), _provenance(facts), _limits(facts),
    ]  # fmt: skip
    return EvalReport("\n\n".join(section for section in sections if section) + "\n", data, _summary(data, facts))


def _parts(results: pl.DataFrame) -> list[tuple[str, str, pl.DataFrame]]:
    parts = []
    for role in ROLES:
        for source in ("human", "synthetic"):
            part = results.filter((pl.col("model_role") == role) & (pl.col("source") == source))
            if part.height:
                parts.append((role, source, part))
    return parts


def _headline(results: pl.DataFrame) -> dict[str, Any]:
    found = {(role, source): count_correct(part) for role, source, part in _parts(results)}
    out: dict[str, Any] = {}
    for role in ROLES:
        if human := found.get((role, "human")):
            out[f"accuracy_{role}"] = human.frac
            out[f"interval_{role}"] = [human.low, human.high]
            out["n_holdout"] = human.n
    if synthetic := found.get(("student", "synthetic")):
        out["accuracy_synthetic"] = synthetic.frac
        out["interval_synthetic"] = [synthetic.low, synthetic.high]
        out["n_synthetic"] = synthetic.n
    if "accuracy_student" in out and "accuracy_synthetic" in out:
        out["gap_synthetic_human"] = out["accuracy_synthetic"] - out["accuracy_student"]
    return out


def _paired(results: pl.DataFrame) -> dict[str, Any] | None:
    human = results.filter(pl.col("source") == "human").sort("item_id")
    student, base = (human.filter(pl.col("model_role") == role)["is_correct"].to_list() for role in ("student", "base"))
    return None if not base or len(base) != len(student) else mcnemar(student, base)._asdict()


def slice_results(results: pl.DataFrame) -> list[dict[str, Any]]:
    """The student's accuracy on human items by database, SQL feature, and seen or unseen value."""
    human = results.filter((pl.col("model_role") == "student") & (pl.col("source") == "human"))
    slices = [("database", name, human.filter(pl.col("database") == name)) for name in sorted(human["database"].unique())]
    features = sorted({feature for text in human["features"] for feature in text.split(",")})
    for feature in features:
        slices.append(("feature", feature, human.filter(pl.col("features").str.split(",").list.contains(feature))))
    for is_seen, name in ((True, "seen"), (False, "unseen")):
        slices.append(("value", name, human.filter(pl.col("is_seen_value") == is_seen)))
    return [{"by": by, "slice": name, **count_correct(part)._asdict()} for by, name, part in slices if part.height]


def count_errors(results: pl.DataFrame) -> list[dict[str, Any]]:
    """How often each model erred on human items, by kind."""
    wrong = results.filter((pl.col("source") == "human") & ~pl.col("is_correct"))
    counts = (
        wrong.group_by("model_role", "error_kind").len("n").sort(["model_role", "n", "error_kind"], descending=[False, True, False])
    )
    return counts.to_dicts()


def code(text: object) -> str:
    """Model-written text as inline code inside a table cell: no markup, no line break, no pipe."""
    folded = " ".join(str(text).split())
    return "–" if not folded else "`" + folded.replace("`", "'").replace("|", "¦").replace("<", "‹").replace(">", "›")[:160] + "`"


def _title(facts: dict[str, Any]) -> str:
    return f"# Eval report: {facts['recipe']}\n\nStudent `{facts['models']['student']}`, taught by `{facts['teacher']}`."


def headline_table(data: dict[str, Any]) -> str:
    """The accuracies alone, short enough to be shown in place."""
    lines = ["| model | questions | right | of | accuracy | 95% interval |", "|---|---|---:|---:|---:|---|"]
    for name, p in data["accuracy"].items():
        role, source = name.split("/")
        lines.append(
            f"| {role} | {source} | {p['k']} | {p['n']} | {percent(p['frac'])} | {percent(p['low'])} to {percent(p['high'])} |"
        )
    return "\n".join(lines)


def _reading(data: dict[str, Any]) -> str:
    lines = []
    if paired := data["paired_student_base"]:
        lines.append(
            f"Student against base on the same questions: only the student right {paired['only_first']} times, only the base "
            f"{paired['only_second']} times (exact McNemar p = {paired['p_value']:.2g})."
        )
    gap = data["headline"].get("gap_synthetic_human")
    if gap is not None:
        lines.append(f"Synthetic minus human: {gap * 100:+.1f} points. {_read_gap(gap)}")
    sized = [s for s in data["slices"] if s["n"] >= MIN_SLICE]
    if sized:
        worst = min(sized, key=lambda s: (s["frac"], s["slice"]))
        lines.append(
            f"Worst slice with at least {MIN_SLICE} items: {worst['by']} {worst['slice']}, {percent(worst['frac'])} of {worst['n']}."
        )
    return "\n\n".join(lines)


def _read_gap(gap: float) -> str:
    if gap > NARROW_GAP:
        return "ALARM: the generator is too narrow; people ask in other ways than it writes."
    if gap < 0:
        return "ALARM: human questions come out better than synthetic ones; look for contamination."
    return "Questions that people write are harder than templates; that is expected."


def _planted(facts: dict[str, Any]) -> str:
    planted = facts.get("planted")
    if not planted:
        return ""
    lines = [
        "## The teacher's planted errors", "",
        f"`{facts['teacher']}` is a rule-based synthesizer, not a language model. It planted errors in {planted['n_planted']} of "
        f"{planted['n_generations']} samples ({percent(planted['n_planted'] / max(1, planted['n_generations']))}). Judging caught "
        f"{planted['n_caught']}; {planted['n_slipped']} slipped through, {planted['n_trained']} of them into the training split. "
        f"Of {planted['n_sound']} samples without a planted error, judging rejected {planted['n_false_alarms']}.", "",
        "| planted error | planted | caught | slipped through |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    lines += [f"| {row['kind']} | {row['planted']} | {row['caught']} | {row['slipped']} |" for row in planted["by_kind"]]
    return "\n".join(lines)


def _slices_table(slices: list[dict[str, Any]]) -> str:
    lines = ["## Slices of the holdout (student)", "", "| by | slice | n | accuracy | 95% interval |", "|---|---|---:|---:|---|"]
    for s in slices:
        few = " (few)" if s["n"] < MIN_SLICE else ""
        lines.append(
            f"| {s['by']} | {s['slice']}{few} | {s['n']} | {percent(s['frac'])} | {percent(s['low'])} to {percent(s['high'])} |"
        )
    return "\n".join(lines)


def _errors_table(errors: list[dict[str, Any]]) -> str:
    if not errors:
        return ""
    lines = ["## Errors on the holdout", "", "| model | kind | n |", "|---|---|---:|"]
    return "\n".join(lines + [f"| {row['model_role']} | {row['error_kind']} | {row['n']} |" for row in errors])


def _examples(results: pl.DataFrame) -> str:
    """Wrong answers of the student to synthetic questions: the holdout is shown in aggregate only."""
    wrong = results.filter((pl.col("model_role") == "student") & (pl.col("source") == "synthetic") & ~pl.col("is_correct"))
    if wrong.is_empty():
        return ""
    lines = [
        "### Examples (synthetic questions; the holdout is shown in aggregate only)",
        "",
        "| question | gold | answer | kind |",
        "|---|---|---|---|",
    ]
    for row in wrong.sort("item_id").head(N_EXAMPLES).iter_rows(named=True):
        lines.append(f"| {code(row['question'])} | {code(row['gold_sql'])} | {code(row['answer_sql'])} | {row['error_kind']} |")
    return "\n".join(lines)


def _costs(results: pl.DataFrame, facts: dict[str, Any]) -> str:
    lines = ["## Tokens and time", "", "| what | figure |", "|---|---:|"]
    for role in ROLES:
        part = results.filter(pl.col("model_role") == role)
        if part.height:
            mean = part["n_completion_tokens"].sum() / part.height
            lines.append(f"| {role}: completion tokens an answer | {mean:.1f} |")
    lines += [f"| {name} | {value} |" for name, value in facts.get("figures", {}).items()]
    return "\n".join(lines)


def _provenance(facts: dict[str, Any]) -> str:
    lines = ["## Who and what", "", "| what | which |", "|---|---|"]
    lines += [f"| {role} | `{name}` |" for role, name in facts["models"].items()]
    if "teacher" not in facts["models"]:
        lines.append(f"| teacher | `{facts['teacher']}` |")
    lines += [f"| {name} | `{version}` |" for name, version in facts["versions"].items()]
    return "\n".join(lines)


LIMITS = """## What these figures do not say

- Judging and evaluation run queries by the same code; a fault of that code would hide in both. Human questions
  and their gold queries were written apart from it.
- One training run with one seed. The interval covers the choice of questions, not that of the run.
- Equal results on differently filled instances are strong evidence of a right query, not proof."""


def _limits(facts: dict[str, Any]) -> str:
    if "teacher" in facts["models"]:
        return f"{LIMITS}\n- The teacher read the whole schema, the student a short prompt with hints: they were not asked alike."
    return f"{LIMITS}\n- The teacher was not asked these questions. A rule-based teacher only writes them."


def _summary(data: dict[str, Any], facts: dict[str, Any]) -> str:
    lines = [f"{facts['recipe']}: execution accuracy, 95% interval"]
    for name, p in data["accuracy"].items():
        role, source = name.split("/")
        bar = "█" * round(20 * (p["frac"] or 0))
        lines.append(
            f"  {role:<8} {source:<10} {percent(p['frac']):>6}  {percent(p['low']):>6} to {percent(p['high']):>6}  of {p['n']:<4} {bar}"
        )
    if planted := facts.get("planted"):
        lines.append(
            f"  teacher {facts['teacher']}: {planted['n_planted']} errors planted, {planted['n_caught']} caught, {planted['n_slipped']} slipped through"
        )
    return "\n".join(lines)
