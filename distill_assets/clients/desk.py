"""One teacher during a run: how it is asked, what its calls cost, and how it has been doing.

Belongs here: what is kept about a teacher while it is asked, opening the desks of a recipe's teachers, and the errors
that end asking. Does not belong here: sending (engine, batches) or the recipe's words (teachers).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from distill_assets.clients.endpoints import Endpoint, name_teacher, plan_endpoint
from distill_assets.clients.journal import Cap, Journal
from distill_assets.clients.outbox import Outbox
from distill_assets.clients.prices import Price, find_price
from distill_assets.clients.throttle import Throttle
from distill_assets.clients.wire import Form, prepare_form
from distill_assets.errors import BudgetError, TeacherError
from distill_assets.teachers import TeacherSpec

CHARS_PER_TOKEN_AT_LEAST = 2.5  # for reservations; a text with more tokens than that is rare in any language


class Desk:
    """One teacher during a run: how it is asked, and how it has been doing."""

    def __init__(self, endpoint: Endpoint, answer_model: type) -> None:
        self.endpoint, self.spec = endpoint, endpoint.spec
        self.form: Form = prepare_form(endpoint, answer_model)
        self.price: Price | None = find_price(endpoint.spec)
        self.stopped: TeacherError | None = None
        self.throttle: Throttle | None = None
        self.waiting: set[asyncio.Task[None]] = set()
        self.session: Any = None
        self.mean_tokens: float | None = None
        self.streak = self.refused_streak = 0
        self.has_answered = False
        self.held: list[str] = []
        self.outbox: Outbox | None = None

    def expect_tokens(self, content: bytes) -> int:
        """What a call will read and write, as earlier ones did."""
        return round(self.mean_tokens) if self.mean_tokens else len(content) // 4 + self.spec.max_tokens // 4

    def reserve(self, content: bytes, max_tokens: int) -> tuple[float, int]:
        """The most that a call can cost, in USD and in tokens."""
        return self.reserve_bytes(len(content), max_tokens)

    def reserve_bytes(self, n_bytes: int, max_tokens: int) -> tuple[float, int]:
        """The same of a body of so many bytes."""
        prompt = int(n_bytes / CHARS_PER_TOKEN_AT_LEAST) + 1
        return (self.price.at_most_usd(prompt, max_tokens) if self.price else 0.0), prompt + max_tokens


def open_desks(
    specs: Sequence[TeacherSpec],
    answer_model: type,
    read_secret: Callable[[str], str | None],
    temperature: float | None = None,
) -> dict[str, Desk]:
    """A desk for each teacher, by name.

    Args:
        temperature: asked for instead of the recipe's, where the recipe gives one at all.

    Raises:
        TeacherError: a key's variable is empty.
    """
    desks = {}
    for spec in specs:
        endpoint = plan_endpoint(spec, read_secret)
        if temperature is not None and endpoint.temperature is not None:
            endpoint = endpoint._replace(temperature=temperature)
        desks[spec.called] = Desk(endpoint, answer_model)
    return desks


def check_budget(desks: dict[str, Desk], cap: Cap) -> None:
    """Refuse a budget in USD for a teacher whose price nobody knows."""
    unknown = sorted(name for name, desk in desks.items() if desk.price is None)
    if cap.usd is not None and unknown:
        raise BudgetError(
            f"budget.usd is {cap.usd:g}, but the price of teacher '{unknown[0]}' is not known. Nothing was sent. "
            "Write teacher.price (input_usd_per_mtok, output_usd_per_mtok, as_of) in recipe.yaml, or bound budget.tokens."
        )


def refuse_teacher(desk: Desk, why: str) -> TeacherError:
    """The error that ends a teacher's run."""
    return TeacherError(
        f"{desk.spec.role} {name_teacher(desk.spec)} at {desk.endpoint.provider}: {why}. Nothing more was sent; all replies "
        "so far are kept in the journal. Mend it and run again: only what is missing is asked for."
    )


def exceed_budget(journal: Journal, cap: Cap, usd: float, tokens: int) -> BudgetError:
    """The error of a budget that has no room for a call of this cost."""
    spent = journal.spent()
    return BudgetError(
        f"the budget is used up: {spent.usd:.4f} USD and {spent.tokens} tokens spent, {spent.usd_in_doubt:.4f} USD and "
        f"{spent.tokens_in_doubt} tokens in doubt, and one more call could cost {usd:.4f} USD and {tokens} tokens "
        f"({describe_cap(cap)}). Nothing more was sent; all replies so far are kept in the journal. "
        "Raise the budget in recipe.yaml and run again: only what is missing is asked for."
    )


def describe_cap(cap: Cap) -> str:
    """A budget in words."""
    parts = [f"{cap.usd:g} USD" if cap.usd is not None else "", f"{cap.tokens} tokens" if cap.tokens is not None else ""]
    return "budget: " + " and ".join(part for part in parts if part)
