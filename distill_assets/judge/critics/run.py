"""One run of the critics: who is asked, what each sample's replies become, and who answered.

Belongs here: putting families, canaries, asking and scoring together. Does not belong here: Dagster (assets) or calls
(clients).

Nothing is reused from earlier verdicts: every reply is in the journal under a key that covers all that was asked, so a
changed threshold or aggregation asks nobody, and a changed rubric asks for new scores and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from distill_assets.clients.base_model import TINY_NAME
from distill_assets.clients.bench import Bench
from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.endpoints import name_teacher, teacher_identity
from distill_assets.clients.engine import Counts, ask
from distill_assets.errors import JudgeError
from distill_assets.identity import make_id
from distill_assets.judge.critics.asking import (
    Asking,
    Judged,
    Subject,
    choose_pairs,
    choose_samples,
    join_canaries,
    plan_comparisons,
    plan_judgements,
)
from distill_assets.judge.critics.canaries import make_canaries
from distill_assets.families import Kinship, find_families, find_kin, name_families
from distill_assets.judge.critics.rubric import Rubric, build_choice_model
from distill_assets.judge.critics.scoring import Scores, list_findings, read_judgement
from distill_assets.judge.findings import build_row
from distill_assets.judging import CriticSpec, CriticsSpec
from distill_assets.teachers import TeacherSpec

TOP_LOGPROBS = 8


class CriticRun(NamedTuple):
    """Rows of the verdicts table, how asking went, and critic -> the models that answered."""

    rows: list[dict[str, object]]
    counts: Counts
    served: dict[str, list[str]]
    n_samples: int


def name_judge(critic: CriticSpec, rubric: Rubric) -> str:
    """A critic in the verdicts table: who is asked, and by which version of which rubric."""
    return f"{name_teacher(critic)}@{rubric.rubric_id}"


def critic_identity(spec: CriticsSpec, rubric: Rubric, prompt_id: str) -> dict[str, object]:
    """The literals that decide the critics' verdicts; how an endpoint is reached is not among them."""
    return {
        "judges": [{**teacher_identity(critic), "weight": critic.weight} for critic in spec.judges],
        "rubric": rubric.rubric_id,
        "threshold": find_threshold(spec, rubric),
        "prompt": prompt_id,
        **spec.identity("judges", "rubric", "prompt", "threshold", "pair_prompt", "n_pairs", "same_family", "families"),
    }


def find_threshold(spec: CriticsSpec, rubric: Rubric) -> float:
    """The recipe's threshold, else the rubric's."""
    return rubric.threshold if spec.threshold is None else spec.threshold


def ask_critics(
    spec: CriticsSpec, requests: Iterable[ChatRequest], answer_model: type, bench: Bench
) -> tuple[dict[Subject, ChatReply], Counts]:
    """Ask and collect the replies by subject."""
    replies: dict[Subject, ChatReply] = {}

    def take(request: ChatRequest, reply: ChatReply) -> None:
        replies[request.subject] = reply

    desks = open_desks([_with_logprobs(critic) for critic in spec.judges], answer_model, bench.read_secret)
    counts = ask(requests, desks, bench.journal, bench.cap, take, bench.tell, bench.read_wall_clock)
    return replies, counts


def _with_logprobs(critic: CriticSpec) -> TeacherSpec:
    if not critic.use_logprobs:
        return critic
    return critic.model_copy(update={"extra_body": {**critic.extra_body, "logprobs": True, "top_logprobs": TOP_LOGPROBS}})


def run_critics(
    spec: CriticsSpec, samples: Sequence[Judged], generations: pl.DataFrame, asking: Asking, answer_model: type, bench: Bench
) -> CriticRun:
    """Judge `samples`, with canaries among them.

    Raises:
        TeacherError: an endpoint refused for good; what was answered is kept in the journal.
    """
    mixed = join_canaries(samples, make_canaries(generations, spec.n_canaries))
    requests = plan_judgements(mixed, [critic.called for critic in spec.judges], asking)
    replies, counts = ask_critics(spec, requests, answer_model, bench)
    rows: list[dict[str, object]] = []
    for sample in mixed:
        rows += judge_sample(spec, sample, replies, asking.rubric)
    return CriticRun(rows, counts, list_served(replies), len(samples))


def judge_sample(
    spec: CriticsSpec, sample: Judged, replies: Mapping[Subject, ChatReply], rubric: Rubric
) -> list[dict[str, object]]:
    """The rows of one sample."""
    scores: dict[str, Scores] = {}
    keys = []
    for critic in spec.judges:
        reply = replies[Subject(critic.called, sample.sample_id, is_canary=sample.is_canary)]
        scores[critic.called] = read_judgement(reply, rubric, critic.use_logprobs)
        keys.append(reply.request_id)
    judges = {critic.called: name_judge(critic, rubric) for critic in spec.judges}
    key = make_id("critics", keys)
    findings = list_findings(scores, judges, spec, find_threshold(spec, rubric))
    return [build_row(sample.sample_id, key, finding, sample.is_canary) for finding in findings]


def list_served(replies: Mapping[Subject, ChatReply]) -> dict[str, list[str]]:
    """Critic -> the models that answered for it, by their own word."""
    served: dict[str, set[str]] = {}
    for subject, reply in replies.items():
        served.setdefault(subject.critic, set()).update([reply.served_model] if reply.served_model else [])
    return {critic: sorted(names) for critic, names in sorted(served.items())}


def check_families(
    spec: CriticsSpec, teachers: Sequence[TeacherSpec], student: str,
    served: Mapping[str, Sequence[str]], taught: Mapping[str, Sequence[str]],
) -> list[Kinship]:  # fmt: skip
    """Critics too close to what they judge.

    Args:
        student: name of the base model. served: critic -> models that answered. taught: teacher -> models that answered.

    Raises:
        JudgeError: the recipe refuses a critic of the same family, and there is one.
    """
    critics = {c.called: name_families(c, served.get(c.called, ()), spec.families) for c in spec.judges}
    others = {("teacher", t.called): name_families(t, taught.get(name_teacher(t), ()), spec.families) for t in teachers}
    learns = find_families(student, spec.families)
    if learns or student != TINY_NAME:  # a model from scratch is nobody's kin
        others["student", student] = learns
    kin = find_kin(critics, others)
    if spec.same_family == "refuse" and (close := [k for k in kin if k.families]):
        raise JudgeError(
            f"{close[0].words}, and judge.critics.same_family is refuse. No verdict was written; replies so far are kept in "
            "the journal. Name another critic, correct terms.family or judge.critics.families, or write same_family: flag."
        )
    return kin


def compare_pairs(
    spec: CriticsSpec, generations: pl.DataFrame, verdicts: pl.DataFrame, asking: Asking, bench: Bench
) -> dict[Subject, ChatReply]:
    """Have each critic compare pairs of a sample that the verifiers pass and one that they fail, in both orders."""
    executed = verdicts.filter((pl.col("layer") == "verifier") & pl.col("is_decisive") & ~pl.col("is_canary"))
    failed = frozenset(executed.filter(pl.col("verdict_status") == "failed")["generation_id"])
    passed = frozenset(executed.filter(pl.col("verdict_status") == "passed")["generation_id"]) - failed
    pairs = choose_pairs(choose_samples(generations, frozenset(), 1.0), passed, failed, spec.n_pairs)
    requests = plan_comparisons(pairs, [critic.called for critic in spec.judges], asking)
    replies, _ = ask_critics(spec, requests, build_choice_model(), bench)
    return replies
