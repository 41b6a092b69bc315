"""A small plan, teachers at a hostile server, and one run after the other over one journal, without Dagster.

Belongs here: what the tests of batches share. Does not belong here: a test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.clients.batch_api import ENDS, open_client
from distill_assets.clients.batch_files import FOLDER, Batch, read_batches
from distill_assets.clients.batches import Batches
from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.endpoints import plan_endpoint
from distill_assets.clients.engine import Counts
from distill_assets.clients.journal import Cap, Spent, open_journal
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import TeacherSpec

KEY = "sk-planted-4f9a8c7e21d05b36"
NO_CAP = Cap()
PRICE = {"input_usd_per_mtok": 10.0, "output_usd_per_mtok": 100.0, "as_of": "2026-11-01"}


class Ran(NamedTuple):
    """One run: how each request ended, the counts, what was spent by then, what was said, and the batches after it."""

    replies: dict[int, ChatReply]
    counts: Counts
    spent: Spent
    said: list[str]
    batches: list[Batch]

    @property
    def table(self) -> list[tuple[object, ...]]:
        """What the replies are, apart from what they cost and how they came."""
        names = ("request_id", "status", "answer", "error", "served_model", "response_id", "finish_reason", "n_calls",
                 "prompt_tokens", "completion_tokens")  # fmt: skip
        return [(number, *(getattr(reply, name) for name in names)) for number, reply in sorted(self.replies.items())]

    def count(self, status: str) -> int:
        return sum(reply.status == status for reply in self.replies.values())


def make_teacher(base_url: str, **more: Any) -> TeacherSpec:
    limits = {"concurrency": 4, "timeout_s": 20, "first_wait_s": 0.01, **more.pop("limits", {})}
    spec = {"model": "asked-model", "base_url": base_url, "api_key_env": "PLANTED_KEY", "batch": True, "price": PRICE}
    return TeacherSpec.model_validate({**spec, **more, "limits": limits})


def make_requests(n: int, *route: str) -> list[ChatRequest]:
    return [
        ChatRequest("You write SQL.", f"Question {i} about singers,\u2028and halls.", i, 0, route or ("asked-model",), i)
        for i in range(n)
    ]


def run_once(
    folder: Path,
    teachers: TeacherSpec | list[TeacherSpec],
    requests: list[ChatRequest],
    cap: Cap = NO_CAP,
    say: Callable[[str], None] | None = None,
) -> Ran:
    """One run over the journal in `folder`, as raw_generations makes it."""
    specs = teachers if isinstance(teachers, list) else [teachers]
    replies: dict[int, ChatReply] = {}
    said: list[str] = []
    desks = open_desks(specs, SqlSample, lambda _: KEY)
    with open_journal(folder) as journal:
        batches = Batches(desks, journal, cap, time.time, say or said.append)
        counts = batches.ask(requests, lambda request, reply: replies.update({request.subject: reply}), lambda _: None)
        return Ran(replies, counts, journal.spent(), said, read_batches(folder / FOLDER))


def run_until_done(folder: Path, teachers: Any, requests: list[ChatRequest], cap: Cap = NO_CAP, limit: int = 40) -> Ran:
    """Run after run, each of which looks at the batches once, until nothing waits."""
    for _ in range(limit):
        ran = run_once(folder, teachers, requests, cap)
        if not ran.counts.waiting:
            return ran
    raise AssertionError(f"still waiting after {limit} runs: {ran.counts} {ran.batches}")


def find_key(folder: Path) -> list[str]:
    """Files that hold the key."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return [str(file) for file in files if KEY.encode() in file.read_bytes()]


def billed_twice(stats: dict[str, Any]) -> int:
    return sum(tally["billed"] > 1 for tally in stats["bodies"].values())


def carry_out_all(base_url: str) -> int:
    """Have the server end every batch that it was given, also one that nobody asks after; return how many there are.

    A real endpoint works on by itself; the hostile one only when it is looked at, so a batch that was bought twice by
    mistake would cost nothing there.
    """
    with open_client(plan_endpoint(make_teacher(base_url), lambda _: KEY)) as client:
        names = [batch.id for batch in client.batches.list()]
        for name in names:
            while client.batches.retrieve(name).status not in ENDS:
                pass
    return len(names)
