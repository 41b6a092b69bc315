"""Answers to `why` as a person reads them.

Belongs here: wording and layout of pasts and traces. Does not belong here: any figure (lineage/audits), tables of other audits (showing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_assets.commands.lineage.showing import plain
from distill_assets.lineage.trace import MAX_COMMON, SURE_WORDS

MAX_TEXT = 400
NOT_CAUSAL = "lexical, not causal: the same words stand there; that is no proof that the model learned them from there"


def tell_texts(texts: Mapping[str, Any] | None) -> list[str]:
    """A row's own words, where the workspace still has them."""
    if texts is None:
        return ["  texts     gone: no table of the workspace holds the row any more; the ledger keeps none"]
    return [
        f"  reply     {plain(texts['response_id'] or 'without an id of its own')} ({plain(texts['table'], 90)})",
        f"  question  {plain(texts['question'] or '-', MAX_TEXT)}",
        f"  query     {plain(texts['sql'] or '-', MAX_TEXT)}",
    ]


def tell_story(story: Mapping[str, Any]) -> str:
    """A checkpoint's past, a line a step: place in the chain, time, run, what happened."""
    lineage, steps = story["lineage"], story["steps"]
    checkpoint = lineage["checkpoint"]
    lines = [f"{plain(checkpoint['name'])}   made {checkpoint['made_at']}   weights sha256:{checkpoint['weights_sha256'][:16]}…"]
    lines += [f"  {item['how']} {plain(item['checkpoint'])}" + _of(item, checkpoint["name"]) for item in story["ancestors"]]
    if not story["ancestors"]:
        lines.append("  no other checkpoint had a part in it")
    told = {
        "seeds": _tell_seeds(lineage),
        "generations": _tell_generations(story),
        "verdicts": _tell_verdicts(lineage),
        "duplicates": ["duplicates marked: " + ", ".join(f"{e['counts'].get('n_marks', 0):,}" for e in steps["duplicates"])],
        "decontamination": _tell_screening(lineage),
        "dataset": _tell_dataset(lineage),
        "checkpoint": _tell_training(lineage),
        "evaluation": [_tell_figure(item) for item in lineage["evaluations"]],
        "manifest": ["lineage.json sealed" + (f", {len(steps['manifest'])} times" if len(steps["manifest"]) > 1 else "")],
    }
    for step, words in told.items():
        lines += _tell_step(steps[step], step, words)
    lines += [_tell_since(item) for item in story["since"]] or ["  since       nothing was withdrawn or erased"]
    lines += [
        f"  TOUCHES IT  {plain(item['selector']['kind'])} {plain(item['selector']['value'])}: {item['n_rows']:,} rows ({plain(item['reason'])})"
        for item in lineage["tombstones"]
    ]
    return "\n".join(lines)


def _of(item: Mapping[str, Any], name: str) -> str:
    return "" if item["of"] == name else f" (by way of {plain(item['of'])})"


def _tell_step(events: list[dict[str, Any]], step: str, words: list[str]) -> list[str]:
    if not events:
        return [f"  {step:<15} not recorded"]
    last = events[-1]
    places = ", ".join(f"#{event['seq']}" for event in events)
    head = f"  {step:<15} {places} {last['at']} run {str(last['run_id'] or '-')[:8]}"
    return [head, *(f"      {line}" for line in words)]


def _tell_seeds(lineage: Mapping[str, Any]) -> list[str]:
    return [
        f"{plain(item['source'])} ({plain(item['licence'] or 'licence not said')}): {item['n_rows']:,} rows trained on, {item['share_frac']:.1%} of the loss"
        for item in lineage["sources"]
    ]


def _tell_generations(story: Mapping[str, Any]) -> list[str]:
    lineage = story["lineage"]
    told = [
        f"{plain(' / '.join(str(t[n]) for n in ('served_model', 'system_fingerprint') if t[n]) or t['requested_model'])}: "
        f"{t['n_rows']:,} rows, {t['share_frac']:.1%} of the loss ({plain(t['licence'] or 'terms not said')})"
        for t in lineage["teachers"]
    ]
    told += [
        f"by prompt {plain(item['prompt_id'])} ({plain(item['strategy'])}): {item['n_rows']:,} rows" for item in lineage["prompts"]
    ]
    told += [
        f"{item['n_rows']:,} rows of its dataset came with #{item['seq']} {item['at']} run {str(item['run_id'] or '-')[:8]}"
        for item in story["written_by"]
    ]
    n = lineage["curation"]["n_generations"]
    return ([] if n is None else [f"{n:,} generations in all"]) + told


def _tell_verdicts(lineage: Mapping[str, Any]) -> list[str]:
    states = lineage["curation"]
    counts = ", ".join(f"{states[f'n_{name}']:,} {name}" for name in ("accepted", "rejected", "unscored"))
    return [counts, *(f"judged by {plain(item['judge'])}: {item['share_frac']:.1%} of the rows" for item in lineage["judges"])]


def _tell_screening(lineage: Mapping[str, Any]) -> list[str]:
    screening = lineage["decontamination"]
    named = ", ".join(
        f"{plain(i['name'])}@{plain(str(i['version'])[:12])} ({i['n_items']:,} items)" for i in screening["benchmarks"]
    )
    return [f"against {named or 'nothing'}: {screening['n_hits']:,} hits, {screening['n_rows_kept_out']:,} rows kept out"]


def _tell_dataset(lineage: Mapping[str, Any]) -> list[str]:
    dataset = lineage["dataset"]
    dropped = ", ".join(f"{n:,} {plain(reason)}" for reason, n in sorted(lineage["curation"]["dropped"].items())) or "none"
    kept = f"{dataset['n_train_rows']:,} to train on, {dataset['n_heldout_rows']:,} held out"
    return [
        f"kept {kept}; dropped {dropped}",
        f"data version {dataset['data_version'][:12]}… root {str(dataset['merkle_root'])[:12]}…",
    ]


def _tell_training(lineage: Mapping[str, Any]) -> list[str]:
    student, seen = lineage["student"], lineage["exposure"]
    exposure = (
        "what the optimizer saw was not counted"
        if seen["n_rows_seen"] is None
        else f"the optimizer saw {seen['n_rows_seen']:,} rows ({seen['n_rows_not_seen']:,} not), {seen['n_loss_tokens']:,} loss tokens"
    )
    return [f"from {plain(student['base_model'])}@{plain(student['base_revision'][:24])}", exposure]


def _tell_figure(item: Mapping[str, Any]) -> str:
    bounds = "" if item["low"] is None else f" ({item['low']:.3f} to {item['high']:.3f}, n {item['n']:,})"
    screened = "" if item["is_screened"] else "  unscreened"
    return f"{plain(item['model_role'])} {plain(item['benchmark'])} {plain(item['metric'])} {item['value']:.3f}{bounds}{screened}"


def _tell_since(item: Mapping[str, Any]) -> str:
    facts = item["facts"]
    selector = facts.get("selector") or {}
    named = (
        f" {plain(selector['kind'])} {plain(selector['value'])}" if selector else f" {plain(str(facts.get('tombstone_id'))[:12])}"
    )
    reason = f": {plain(facts['reason'])}" if facts.get("reason") else ""
    return f"  since       #{item['seq']} {item['at']} {item['kind']}{named}{reason}"


def tell_trace(found: Mapping[str, Any]) -> str:
    """Where the words of an output stand in training rows."""
    lines = [
        f"{plain(found['checkpoint'])}   {found['n_words']:,} words, spans of {found['least_words']} or more, "
        f"{found['n_compared']:,} of {found['n_candidates']:,} rows with words in common compared"
        + ("; only the beginning of the output was traced" if found["is_cut"] else ""),
        *(
            [f"  of spans below {SURE_WORDS} words, only what at most {MAX_COMMON} rows hold"]
            if found["least_words"] < SURE_WORDS
            else []
        ),
        f"  {NOT_CAUSAL}",
    ]
    for span in found["spans"]:
        n, at_least = span["n_rows"], "" if span["is_exact"] else "at least "
        lines.append(
            f"  words {span['start'] + 1} to {span['start'] + span['n_words']}, in {at_least}{n:,} row{'s' if n != 1 else ''}:"
        )
        lines.append(f"    “{plain(span['words'], MAX_TEXT)}”")
        lines += [_tell_holder(row) for row in span["rows"]]
        if n > len(span["rows"]):
            lines.append(f"      and {n - len(span['rows']):,} more")
    if not found["spans"]:
        lines.append("  no row that it was trained on holds such a span")
    return "\n".join(lines)


def _tell_holder(row: Mapping[str, Any]) -> str:
    teacher = row["teacher"]
    told = " / ".join(str(teacher[name]) for name in ("served_model", "system_fingerprint") if teacher[name])
    seeds = "; ".join(f"seed {s['seed_id'][:12]}… {plain(s['source'])} ({plain(s['licence'] or 'not said')})" for s in row["seeds"])
    seen = f"trained on {row['n_times']}x" if row["n_times"] else "not trained on"
    return (
        f"      {row['sample_id'][:12]}… {row['field']}: {plain(told or teacher['requested_model'] or 'teacher not recorded')}"
        f" <- {seeds or 'seed not recorded'}; judged by {plain(' + '.join(row['judges']) or 'nobody')}; {seen}"
    )
