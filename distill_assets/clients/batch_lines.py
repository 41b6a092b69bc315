"""What came back in a batch's files, line by line, and how each line ends its call in the journal.

Belongs here: one ended batch. Does not belong here: getting the files (batch_api) or what follows (batches).

Collecting bears a kill at any line: what is in the journal is not written again. A line's reply is read as that of a
call of its own (outcomes). A call that the batch did not answer leaves it and is asked in the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from distill_assets.clients.batch_files import Batch
from distill_assets.clients.caller import MAX_STREAK
from distill_assets.clients.desk import Desk
from distill_assets.clients.faults import Fault, redact
from distill_assets.clients.journal import Journal
from distill_assets.clients.outcomes import Whole, describe_rejection, find_stranger, hide_key, read_outcome
from distill_assets.clients.prices import Price
from distill_assets.clients.replies import clean_json
from distill_assets.clients.wire import MAX_REPLY_BYTES, Exchange, keep_headers

MAX_WORDS = 300
ROW_ERRORS = {"batch_expired": "the batch expired before its turn", "batch_cancelled": "the batch was cancelled before its turn"}


class Collected(NamedTuple):
    """What a batch brought: calls answered, rejected, and to be asked again; its cost; and what should end the run."""

    n_answered: int = 0
    n_rejected: int = 0
    n_failed: int = 0
    usd: float = 0.0
    tokens: int = 0
    problem: str | None = None


class Collector:
    """Takes a batch's lines in, in any order and any number of times."""

    def __init__(self, batch: Batch, desk: Desk, price: Price | None, journal: Journal, sizes: Mapping[str, int]) -> None:
        """Args: price: that of batched calls. sizes: key -> bytes of its body; a key may be missing."""
        self.batch, self.desk, self.price, self.journal = batch, desk, price, journal
        self.sizes = {**dict.fromkeys(journal.batched.list_keys(batch.id), 0), **sizes}
        self.settled: set[str] = set()
        self.held: dict[str, dict[str, Any]] = {}
        self.held_of_row: set[str] = set()
        self.n_answered = self.n_rejected = self.n_failed = self.tokens = self.n_stray = 0
        self.usd = 0.0
        self.fatal: str | None = None
        self.stranger: str | None = None

    def take(self, line: bytes, read_wall_clock: Callable[[], float]) -> None:
        """Take one line of the output file or of the error file."""
        line = clean_json(hide_key(line, self.desk.endpoint.api_key))
        try:
            data = orjson.loads(line)
            key, response = str(data["custom_id"]), data.get("response")
        except (ValueError, TypeError, KeyError, AttributeError):
            self.n_stray += bool(line.strip())
            return
        if key in self.settled or key not in self.sizes:
            self.n_stray += key not in self.sizes
            return
        self.settled.add(key)
        if not isinstance(response, dict) or not isinstance(response.get("status_code"), int):
            self._end(key, read_row_error(data.get("error"), self.desk.endpoint.api_key))
            return
        headers = {"x-request-id": str(response.get("request_id") or "")}
        facts = {
            "s": response["status_code"], "headers": keep_headers(headers), "teacher": self.desk.spec.called,
            "batch": self.batch.batch_id, "at": round(read_wall_clock(), 3),
        }  # fmt: skip
        content = orjson.dumps(response.get("body"))
        if len(content) > MAX_REPLY_BYTES:
            self._keep_too_large(key, facts)
            return
        got = Exchange(response["status_code"], headers, content)
        outcome = read_outcome(got, facts, self.desk.endpoint, self.price, self.sizes[key])
        if isinstance(outcome, Whole):
            self._keep(key, outcome)
        else:
            self._end(key, outcome)

    def _keep(self, key: str, whole: Whole) -> None:
        self.n_answered += 1
        self.stranger = self.stranger or find_stranger(self.desk.spec, whole)
        if not self._is_known(key):
            self.usd += whole.usd or 0.0
            self.tokens += whole.tokens
            usd, tokens = self._find_most(key) if whole.is_estimated else (whole.usd or 0.0, whole.tokens)
            self.journal.append(key, usd, tokens, whole.facts, whole.content, self.batch.id)

    def _find_most(self, key: str) -> tuple[float, int]:
        """The most that a call can have cost, as it was reserved."""
        place = self.journal.batched.find(key)
        return (place.usd_nano / 1e9, place.tokens) if place else (0.0, 0)

    def _keep_too_large(self, key: str, facts: dict[str, Any]) -> None:
        """The reply is not kept, but its cost is: the most that it could be."""
        self.n_answered += 1
        if not self._is_known(key):
            usd, tokens = self._find_most(key)
            known = {**facts, "outcome": "invalid", "error": "the reply is over 4 MiB", "usd": usd}
            self.journal.append(key, usd, tokens, known, batch_id=self.batch.id)

    def _is_known(self, key: str) -> bool:
        return any(record.get("batch") == self.batch.batch_id for record in self.journal.find(key))

    def _is_here(self, key: str) -> bool:
        place = self.journal.batched.find(key)
        return place is not None and place.batch_id == self.batch.id

    def _end(self, key: str, fault: Fault) -> None:
        """A call that has no whole reply: kept as a negative answer, or let go."""
        if fault.kind in ("rejected", "refused"):
            self.held[key] = {**describe_rejection(fault), "batch": self.batch.batch_id}
            if fault.is_of_row:
                self.held_of_row.add(key)
            return
        self.n_failed += 1
        if fault.kind == "fatal":
            self.fatal = self.fatal or fault.words
        if self._is_here(key):
            words = "" if fault.kind == "fatal" else redact(fault.words, self.desk.endpoint.api_key)[:MAX_WORDS]
            self.journal.leave_batch(key, self.batch.id, words, fault.is_in_doubt)

    def finish(self) -> Collected:
        """End what no line spoke of, and say what the batch brought; it is durable after the journal's next `sync`."""
        has_failed = self.batch.status == "failed"
        for key in self.sizes.keys() - self.settled:
            if self._is_here(key):
                self.n_failed += 1
                words = "" if has_failed else "the batch's files do not hold it"
                self.journal.leave_batch(key, self.batch.id, words, is_in_doubt=not has_failed)
        problem = self._settle_held()
        if has_failed:
            problem = f"batch {self.batch.batch_id} was not carried out: {self.batch.words or 'no reason given'}"
        counts = (self.n_answered, self.n_rejected, self.n_failed, self.usd, self.tokens)
        return Collected(*counts, problem or self.fatal or self.stranger)

    def _settle_held(self) -> str | None:
        """Keep rejections, so that they are not asked again; but not when it may be the endpoint that takes nothing."""
        problem = None
        others = [key for key in self.held if key not in self.held_of_row]
        if self.n_answered == 0 and len(others) >= MAX_STREAK:
            last = self.held[others[-1]]["error"]
            problem = f"all {len(self.held)} requests of batch {self.batch.batch_id} were rejected, the last with: {last}"
            for key in others:
                del self.held[key]
                if self._is_here(key):
                    self.journal.leave_batch(key, self.batch.id)
            self.n_failed += len(others)
        for key, record in self.held.items():
            self.n_rejected += 1
            if not self._is_known(key):
                self.journal.append(key, 0.0, 0, record, batch_id=self.batch.id)
        return problem


def read_row_error(error: Any, key: str) -> Fault:
    """What a line without a response says of its call."""
    code, message = ("", "") if not isinstance(error, dict) else (str(error.get("code") or ""), str(error.get("message") or ""))
    words = ROW_ERRORS.get(code) or redact(f"{code}: {message}", key)[:MAX_WORDS]
    return Fault("passing", words if words.strip(": ") else "the batch gave no reply and no reason")
