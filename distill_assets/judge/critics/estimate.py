"""What judging would cost at most, before anything is generated: calls, tokens and money of each critic.

Belongs here: the estimate. Does not belong here: how it is shown (commands/plan).

Nobody knows the samples yet, so a stand-in of ordinary length is taken for each of them, and none is taken to be answered
already: after a first run most of them are, and cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from distill_assets.clients.desk import open_desks
from distill_assets.clients.replies import CHARS_PER_TOKEN
from distill_assets.clients.wire import build_body, encode_body
from distill_assets.judge.critics.asking import Asking, Judged, plan_judgements
from distill_assets.judge.critics.rubric import build_answer_model
from distill_assets.judging import CriticsSpec

STAND_IN = "a question, reasoning and a query as they often are; " * 10
WRITTEN_FRAC = 0.4  # of max_tokens; a guess, and shown as one


class JudgingEstimate(NamedTuple):
    """One critic's part: at most so many judgements, tokens read and written, and USD; None when no price is known."""

    critic: str
    judgements: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


def estimate_judging(
    spec: CriticsSpec, n_samples: Mapping[str, int], asking: Asking, read_secret: Callable[[str], str | None]
) -> list[JudgingEstimate]:
    """Estimate each critic's judgements.

    Args:
        n_samples: database -> planned generations.
    """
    desks = open_desks(spec.judges, build_answer_model(asking.rubric), read_secret)
    found = []
    for critic in spec.judges:
        desk, prompt = desks[critic.called], 0
        for database, n in sorted(n_samples.items()):
            [request] = plan_judgements([Judged("0", database, STAND_IN, "", "")], [critic.called], asking)
            prompt += n * len(encode_body(build_body(desk.form, request, critic.max_tokens))) // CHARS_PER_TOKEN
        n_all = sum(n_samples.values())
        total = n_all + spec.n_canaries
        prompt = prompt * total // max(1, n_all)
        written = round(total * critic.max_tokens * WRITTEN_FRAC)
        usd = desk.price.at_most_usd(prompt, written) if desk.price else None
        found.append(JudgingEstimate(critic.called, total, prompt, written, usd))
    return found
