"""How far each judge can be trusted: agreement with verifiers, with people and with itself.

Belongs here: the judge_calibration table and drift between two versions of a judge. Does not belong here: judging, or
what a low agreement prevents (checks).

A judge that takes no decision of its own (each critic's overall score) is measured as well: it is what one would weigh
when choosing critics. Agreement is over samples on which both sides decided; unscored is never a disagreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from distill_assets.clients.chat import ChatReply
from distill_assets.judge.critics.asking import Subject
from distill_assets.judge.critics.scoring import OVERALL
from distill_assets.judge.settle import settle
from distill_assets.tables import ALL_CRITICS, ANSWERED, JUDGE_CALIBRATION, VERDICT_LAYERS, build_frame

ALL_JUDGES, SETTLED = "all judges", "settled"
VERIFIERS, PEOPLE, CANARIES, SWAPPED = "verifiers", "people", "canaries", "swapped order"
BY_VERIFIERS = ("verifier", "", VERIFIERS)
MIN_FOR_THRESHOLD = 20


class Decision(NamedTuple):
    """What a judge decided on a sample, and with which score; `passed` None: unscored."""

    passed: bool | None
    score: float | None


Opinions = dict[tuple[str, str, str], dict[str, Decision]]


def calibrate(
    verdicts: pl.DataFrame, labels: Mapping[str, str], comparisons: Mapping[Subject, ChatReply], judges: Mapping[str, str]
) -> pl.DataFrame:
    """Return judge_calibration: one row a judge, criterion and reference.

    Args:
        labels: sample id -> accept or reject, where people agree. comparisons: replies to pairs in both orders; the better
        sample by the verifiers is not told. judges: critic -> its name in the verdicts table.
    """
    opinions = list_opinions(verdicts.filter(~pl.col("is_canary")))
    truths = find_truths(opinions, labels)
    opinions.pop(BY_VERIFIERS, None)
    rows = []
    for (layer, judge, criterion), decisions in sorted(opinions.items()):
        rows += [measure(layer, judge, criterion, reference, decisions, truth) for reference, truth in truths.items()]
    rows += measure_canaries(verdicts.filter(pl.col("is_canary")))
    rows += measure_swaps(comparisons, truths[VERIFIERS], judges)
    return build_frame(JUDGE_CALIBRATION, [row for row in rows if row["n"]])


def find_truths(opinions: Opinions, labels: Mapping[str, str]) -> dict[str, dict[str, bool | None]]:
    """What judges are held against: verifiers, people -> sample id -> whether it is good."""
    executed = opinions.get(BY_VERIFIERS, {})
    people = {sample_id: label == "accept" for sample_id, label in labels.items()}
    return {VERIFIERS: {sample_id: decision.passed for sample_id, decision in executed.items()}, PEOPLE: people}


def list_opinions(verdicts: pl.DataFrame) -> Opinions:
    """Judges' decisions by sample: each layer's as a whole, each critic's, and what they settle together."""
    by_sample: dict[str, list[Mapping[str, object]]] = {}
    for row in verdicts.iter_rows(named=True):
        by_sample.setdefault(row["generation_id"], []).append(row)
    opinions: Opinions = {}
    for sample_id, rows in by_sample.items():
        status, _ = settle(rows)
        put = opinions.setdefault(("all", ALL_JUDGES, SETTLED), {})
        put[sample_id] = Decision({"accepted": True, "rejected": False}.get(status), None)
        for layer in VERDICT_LAYERS:
            here = [row for row in rows if row["layer"] == layer and row["criterion"] != ANSWERED]
            for key, decision in _decide(layer, here):
                opinions.setdefault(key, {})[sample_id] = decision
    return opinions


def _decide(layer: str, rows: Sequence[Mapping[str, object]]) -> Iterable[tuple[tuple[str, str, str], Decision]]:
    """One layer's decisions on one sample: as a whole, and of each critic."""
    if not rows:
        return
    if layer == "critic":
        for row in rows:
            if row["criterion"] == OVERALL or row["judge"] == ALL_CRITICS:
                yield (layer, str(row["judge"]), str(row["criterion"])), _read_row(row)
        return
    states = {row["verdict_status"] for row in rows if row["is_decisive"] or layer == "steps"}
    passed = False if "failed" in states else None if "unscored" in states or not states else True
    scores = [row["score"] for row in rows if row["score"] is not None]
    whole = Decision(passed, min(scores) if scores else None)
    yield BY_VERIFIERS if layer == "verifier" else (layer, str(rows[0]["judge"]), "all rules"), whole


def _read_row(row: Mapping[str, object]) -> Decision:
    return Decision({"passed": True, "failed": False}.get(str(row["verdict_status"])), row["score"])


def measure(
    layer: str, judge: str, criterion: str, reference: str, decisions: Mapping[str, Decision], truth: Mapping[str, bool | None]
) -> dict[str, object]:
    """One row: how a judge's decisions go with a reference's.

    kappa: Cohen 1960. auc: the probability that a sample the reference passes has the higher score; None with one class.
    """
    both = sorted(k for k, d in decisions.items() if d.passed is not None and truth.get(k) is not None)
    said, true = [decisions[k].passed for k in both], [bool(truth[k]) for k in both]
    scored = [k for k in both if decisions[k].score is not None]
    scores, known = [float(decisions[k].score) for k in scored], [bool(truth[k]) for k in scored]
    row = _empty_row(layer, judge, criterion, reference) | {"n": len(both)}
    if not both:
        return row
    n_agree = sum(a == b for a, b in zip(said, true, strict=True))
    bad, good = true.count(False), true.count(True)
    return row | {
        "agreement_frac": n_agree / len(both),
        "kappa": find_kappa(said, true),
        "auc": find_auc(scores, known) if layer == "critic" else None,
        "false_accept_frac": sum(a and not b for a, b in zip(said, true, strict=True)) / bad if bad else None,
        "false_reject_frac": sum(b and not a for a, b in zip(said, true, strict=True)) / good if good else None,
        "best_threshold": find_threshold(scores, known) if layer == "critic" else None,
    }


def _empty_row(layer: str, judge: str, criterion: str, reference: str) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(JUDGE_CALIBRATION.fields)
    return row | {"layer": layer, "judge": judge, "criterion": criterion, "reference": reference, "n": 0}


def find_kappa(said: Sequence[object], true: Sequence[object]) -> float | None:
    """Cohen's kappa; None where chance alone explains all, since both always say the same one thing."""
    from sklearn.metrics import cohen_kappa_score

    if len(set(said) | set(true)) < 2:
        return None
    return round(float(cohen_kappa_score(list(said), list(true))), 6)


def find_auc(scores: Sequence[float], known: Sequence[bool]) -> float | None:
    """Area under the ROC curve; None with one class only."""
    from sklearn.metrics import roc_auc_score

    return round(float(roc_auc_score(list(known), list(scores))), 6) if len(set(known)) == 2 else None


def find_threshold(scores: Sequence[float], known: Sequence[bool]) -> float | None:
    """The score that parts the two classes best (Youden 1950: sensitivity + specificity - 1), or None with too few."""
    from sklearn.metrics import roc_curve

    if len(set(known)) < 2 or min(known.count(True), known.count(False)) * 2 < MIN_FOR_THRESHOLD:
        return None
    false_rates, true_rates, thresholds = roc_curve(list(known), list(scores))
    best = max(range(1, len(thresholds)), key=lambda i: (true_rates[i] - false_rates[i], thresholds[i]))
    return round(float(thresholds[best]), 6)


def measure_canaries(verdicts: pl.DataFrame) -> list[dict[str, object]]:
    """How each critic, and all together, took the known-bad answers that try to steer it."""
    wanted = verdicts.filter((pl.col("criterion") == OVERALL) | (pl.col("judge") == ALL_CRITICS))
    rows = []
    for (judge, criterion), group in wanted.group_by("judge", "criterion", maintain_order=True):
        decisions = {row["generation_id"]: _read_row(row) for row in group.iter_rows(named=True)}
        rows.append(measure("critic", str(judge), str(criterion), CANARIES, decisions, dict.fromkeys(decisions, False)))
    return rows


def measure_swaps(
    comparisons: Mapping[Subject, ChatReply], truth: Mapping[str, bool | None], judges: Mapping[str, str]
) -> list[dict[str, object]]:
    """Each critic's comparisons: whether the order decides, and whether the better sample wins in both orders.

    `agreement_frac` with swapped order: the share of pairs with one winner in both orders. `first_frac`: the share of
    choices that went to the sample shown first; 0.5 is no position bias. With the verifiers: the share of pairs of which
    the one that they pass wins in both orders.
    """
    pairs: dict[str, dict[tuple[str, str], dict[str, str]]] = {}
    for subject, reply in sorted(comparisons.items(), key=lambda item: tuple(str(part) for part in item[0])):
        winner = (reply.answer or {}).get("winner") if reply.status == "ok" else None
        pair = tuple(sorted((subject.sample_id, str(subject.other_id))))
        if winner:
            pairs.setdefault(subject.critic, {}).setdefault(pair, {})[subject.sample_id] = winner
    rows = []
    for critic, found in sorted(pairs.items()):
        whole = {pair: said for pair, said in found.items() if len(said) == 2}
        rows += _measure_pairs(judges[critic], whole, truth)
    return rows


def _measure_pairs(
    judge: str, pairs: Mapping[tuple[str, str], Mapping[str, str]], truth: Mapping[str, bool | None]
) -> list[dict[str, object]]:
    if not pairs:
        return []
    choices = [winner for said in pairs.values() for winner in said.values() if winner != "tie"]
    winners = {pair: _find_winner(pair, said) for pair, said in pairs.items()}
    consistent = {pair: winner for pair, winner in winners.items() if winner is not None}
    known = {pair: w for pair, w in winners.items() if {truth.get(pair[0]), truth.get(pair[1])} == {True, False}}
    right = sum(winner is not None and winner != "tie" and truth.get(winner) is True for winner in known.values())
    shared = {"first_frac": choices.count("first") / len(choices) if choices else None}
    swapped = {"n": len(pairs), "agreement_frac": len(consistent) / len(pairs), **shared}
    checked = {"n": len(known), "agreement_frac": right / len(known) if known else None}
    return [
        _empty_row("critic", judge, "pairs", SWAPPED) | swapped,
        _empty_row("critic", judge, "pairs", VERIFIERS) | checked,
    ]


def _find_winner(pair: tuple[str, str], said: Mapping[str, str]) -> str | None:
    """The sample that wins in both orders, `tie` when both say so, None when the order decided. `said`: first shown -> winner."""
    votes = {
        winner if winner == "tie" else (first if winner == "first" else next(other for other in pair if other != first))
        for first, winner in said.items()
    }
    return votes.pop() if len(votes) == 1 else None


def measure_drift(now: pl.DataFrame, before: pl.DataFrame) -> list[dict[str, object]]:
    """How the critics' overall scores moved since an earlier verdicts table, on samples that both scored.

    A judge is the same critic when the part before `@` is; what follows is its rubric.
    """
    rows = []
    old = _overall_by_critic(before)
    for critic, (judge, scores) in sorted(_overall_by_critic(now).items()):
        if critic not in old:
            continue
        earlier, theirs = old[critic]
        both = sorted(scores.keys() & theirs.keys())
        if not both:
            continue
        shift = sum(scores[k][0] - theirs[k][0] for k in both) / len(both)
        said, was = [scores[k][1] for k in both], [theirs[k][1] for k in both]
        changed = sum(a != b for a, b in zip(said, was, strict=True)) / len(both)
        rows.append({
            "critic": critic, "judge": judge, "before": earlier, "n": len(both), "mean_shift": round(shift, 4),
            "changed_frac": round(changed, 4), "kappa": find_kappa(said, was),
        })  # fmt: skip
    return rows


def _overall_by_critic(verdicts: pl.DataFrame) -> dict[str, tuple[str, dict[str, tuple[float, str]]]]:
    mine = verdicts.filter((pl.col("layer") == "critic") & (pl.col("criterion") == OVERALL) & pl.col("score").is_not_null())
    found: dict[str, tuple[str, dict[str, tuple[float, str]]]] = {}
    for row in mine.iter_rows(named=True):
        critic = row["judge"].partition("@")[0]
        found.setdefault(critic, (row["judge"], {}))[1][row["generation_id"]] = (row["score"], row["verdict_status"])
    return found
