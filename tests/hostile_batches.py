"""Files and batches as the hostile server keeps them: a batch moves on by being looked at.

Belongs here: the life of files and batches, and their rows' files. Does not belong here: what a row is
answered (hostile_answers.py), what it costs and HTTP (hostile_server.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.hostile_answers import CREATED, Reply, Settings, error
from tests.hostile_samples import share

Document = dict[str, Any]
MAX_ROWS = 50_000
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
UNANSWERED = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}


class BadRequest(Exception):
    """A request that the protocol refuses at once."""


@dataclass
class Batch:
    """One batch: what its owner sees, and what is kept to move it on."""

    shown: Document
    rows: list[Document]
    errors: list[Document]
    polls: int = 0


@dataclass
class Batches:
    """All files and batches.

    Args:
        settings: looked at anew on each poll.
        answer_row: answers a body, and counts that it did.
    """

    settings: Settings
    answer_row: Callable[[Document], Reply]
    contents: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, Document] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)

    def add_file(self, name: str, purpose: str, data: bytes) -> Document:
        """Keep a file."""
        key = f"file-{len(self.files) + 1:06d}"
        self.contents[key] = data
        self.files[key] = {
            "id": key, "object": "file", "bytes": len(data), "created_at": CREATED, "filename": name, "purpose": purpose,
            "status": "processed",
        }  # fmt: skip
        return self.files[key]

    def create(self, wanted: Document) -> Document:
        """Start a batch; what is wrong with its rows shows when it is looked at."""
        source = wanted.get("input_file_id")
        if source not in self.contents:
            raise BadRequest(f"No such File object: {source}")
        if len(wanted.get("metadata") or {}) > 16:
            raise BadRequest("metadata holds at most 16 pairs")
        rows, errors = read_rows(self.contents[source], wanted.get("endpoint", ""))
        key = f"batch_{len(self.batches) + 1:06d}"
        times = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
        shown = {
            "id": key, "object": "batch", "endpoint": wanted.get("endpoint"), "errors": None, "input_file_id": source,
            "completion_window": wanted.get("completion_window", "24h"), "status": "validating", "output_file_id": None,
            "error_file_id": None, "created_at": CREATED + len(self.batches), "expires_at": CREATED + 86_400,
            "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": wanted.get("metadata"),
            **{f"{name}_at": None for name in times},
        }  # fmt: skip
        self.batches[key] = Batch(shown, rows, errors)
        return shown

    def poll(self, key: str) -> Document:
        """Move a batch one step on, and show it."""
        batch = self.batches[key]
        batch.polls += 1
        shown, status = batch.shown, batch.shown["status"]
        if status in ENDED:
            return shown
        if status == "cancelling":
            self._end(batch, "cancelled")
        elif batch.errors:
            shown["errors"] = {"object": "list", "data": batch.errors}
            self._mark(batch, "failed")
        elif batch.polls >= self.settings.batch_polls:
            self._end(batch, self.settings.batch_outcome)
        else:
            self._mark(batch, "finalizing" if batch.polls == self.settings.batch_polls - 1 > 1 else "in_progress")
            done = len(batch.rows) * batch.polls // self.settings.batch_polls
            shown["request_counts"] = {"total": len(batch.rows), "completed": done, "failed": 0}
        return shown

    def cancel(self, key: str) -> Document:
        """Ask a batch to end; the next poll finds it cancelled."""
        batch = self.batches[key]
        if batch.shown["status"] not in ENDED:
            self._mark(batch, "cancelling")
        return batch.shown

    def newest_first(self, after: str | None, limit: int) -> Document:
        """A page of all batches."""
        keys = list(reversed(self.batches))
        start = keys.index(after) + 1 if after in self.batches else 0
        page = [self.batches[key].shown for key in keys[start : start + limit]]
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        return {"object": "list", "data": page, **ends, "has_more": start + limit < len(keys)}

    def _mark(self, batch: Batch, status: str) -> None:
        batch.shown["status"] = status
        batch.shown[f"{status}_at"] = batch.shown["created_at"] + batch.polls

    def _end(self, batch: Batch, outcome: str) -> None:
        shown = batch.shown
        if outcome == "failed":
            shown["errors"] = {"object": "list", "data": [_fault(None, "server_error", "The batch could not be processed.")]}
            self._mark(batch, "failed")
            return
        # The order of the output says nothing; rows are joined by their custom_id.
        rows = sorted(batch.rows, key=lambda row: share(f"{shown['id']}/{row['custom_id']}"))
        answered = len(rows) if outcome == "completed" else round(len(rows) * self.settings.batch_partial_frac)
        good, bad = [], []
        for number, row in enumerate(rows):
            line = self._answer(shown["id"], row) if number < answered else _line(row, None, UNANSWERED[outcome])
            (good if line["response"] and line["response"]["status_code"] == 200 else bad).append(line)
        for name, lines in (("output", good), ("error", bad)):
            if lines:
                data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
                shown[f"{name}_file_id"] = self.add_file(f"{shown['id']}_{name}.jsonl", "batch_output", data)["id"]
        shown["request_counts"] = {"total": len(rows), "completed": len(good), "failed": len(bad)}
        shown["model"] = self.settings.served_model
        self._mark(batch, outcome)

    def _answer(self, key: str, row: Document) -> Document:
        if share(f"row/{key}/{row['custom_id']}") < self.settings.batch_error_frac:
            reply = error(500, "The server had an error while processing your request.", None)
        else:
            reply = self.answer_row(row["body"])
        response = {"status_code": reply.status, "request_id": f"req_{row['custom_id']}", "body": json.loads(reply.data)}
        return _line(row, response, None)


def read_rows(data: bytes, endpoint: str) -> tuple[list[Document], list[Document]]:
    """The rows of an input file, and what is wrong with them."""
    rows, errors, names = [], [], set()
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError:
            errors.append(_fault(number, "invalid_json_line", "This line is not parseable as valid JSON."))
            continue
        name = row.get("custom_id")
        if name in names or not isinstance(name, str):
            errors.append(_fault(number, "duplicate_custom_id", f"The custom_id for this request is a duplicate: {name}"))
        elif row.get("url") != endpoint:
            errors.append(_fault(number, "mismatched_url", "The URL provided for this request does not match the batch endpoint."))
        elif row.get("method") != "POST" or not isinstance(row.get("body"), dict):
            errors.append(_fault(number, "invalid_request", "A request needs the method POST and a body."))
        names.add(name)
        rows.append(row)
    if not rows:
        errors.append(_fault(None, "empty_file", "The input file holds no request."))
    if len(rows) > MAX_ROWS:
        errors.append(_fault(None, "too_many_tasks", f"A batch holds at most {MAX_ROWS} requests."))
    return rows, errors


def _fault(line: int | None, code: str, message: str) -> Document:
    return {"code": code, "line": line, "message": message, "param": None}


def _line(row: Document, response: Document | None, failure: tuple[str, str] | None) -> Document:
    told = {"code": failure[0], "message": failure[1]} if failure else None
    return {"id": f"batch_req_{row['custom_id']}", "custom_id": row["custom_id"], "response": response, "error": told}
