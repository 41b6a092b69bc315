"""Replies of any shape: whatever JSON an endpoint sends with status 200, reading it ends in a status, never in a crash."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import Desk, open_desks
from distill_assets.clients.faults import Fault
from distill_assets.clients.journal import Journal, open_journal
from distill_assets.clients.outcomes import Whole, read_outcome
from distill_assets.clients.replies import read_usage
from distill_assets.clients.resolve import Call, resolve
from distill_assets.clients.wire import Exchange
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import TeacherSpec

ANSWER = json.dumps({"question": "how many", "reasoning": "count", "sql": "SELECT 1"})
WHOLE = {
    "id": "chatcmpl-1",
    "model": "served",
    "system_fingerprint": "fp",
    "provider": "someone",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": ANSWER,
                "refusal": None,
                "reasoning": "first I count",
                "reasoning_details": [{"type": "reasoning.text", "text": "a"}],
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "SqlSample", "arguments": ANSWER}}],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 5},
        "prompt_tokens_details": {"cached_tokens": 2},
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
ODD = JSON | st.sampled_from([-5, 1 << 70, "", "{}", ANSWER[:30], '{"question": 1}', "<think>", "x</think>" + ANSWER, [None], [{}]])
MODES = ("json_schema", "tools", "json", "md_json")


def paths(node: Any, at: tuple = ()) -> list[tuple]:
    """Where every value of a document stands."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(path for name, child in children for path in paths(child, (*at, name)))]


def replace(document: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    node = changed
    for name in path[:-1]:
        node = node[name]
    if value is KeyError and isinstance(node, dict):
        del node[path[-1]]
    else:
        node[path[-1]] = None if value is KeyError else value
    return changed


@pytest.fixture(scope="module")
def desks() -> dict[str, Desk]:
    specs = [TeacherSpec(name=mode, model="m", base_url="http://127.0.0.1:1/v1", mode=mode, max_reasks=1) for mode in MODES]
    return open_desks(specs, SqlSample, lambda _: "sk-odd-replies")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory):
    with open_journal(tmp_path_factory.mktemp("journal")) as opened:
        yield opened


def read_whole(content: bytes, desk: Desk) -> Whole | Fault:
    return read_outcome(Exchange(200, {}, content), {"s": 200}, desk.endpoint, desk.price, 100)


def settle(desk: Desk, journal: Journal, request: ChatRequest, body: Any) -> ChatReply:
    """Give the same reply to every call that the request needs."""
    for _ in range(8):
        step = resolve(desk.form, desk.price, request, journal)
        if not isinstance(step, Call):
            return step
        whole = read_whole(json.dumps(body).encode(), desk)
        assert isinstance(whole, Whole)
        usage = read_usage(whole.body, len(step.content))
        assert 0 <= usage.prompt + usage.completion + usage.reasoning + usage.cached < 1 << 40
        journal.append(step.key, 0.0, 0, {**whole.facts, "s": 200, "headers": {}}, whole.content)
    raise AssertionError("the calls for one request do not end")


NUMBERS = iter(range(10**9))


@settings(deadline=None, max_examples=250)
@given(st.sampled_from(MODES), st.sampled_from(paths(WHOLE)), ODD | st.just(KeyError))
@example("tools", ("choices", 0, "message", "tool_calls", 0), {})
@example("tools", ("choices", 0, "message", "tool_calls", 0, "function", "name"), None)
@example("json_schema", ("usage", "completion_tokens"), "many")
@example("json", ("choices", 0, "message", "content"), ["a", {"text": None}])
def test_any_reply_ends_in_a_status(desks: dict[str, Desk], journal: Journal, mode: str, path: tuple, value: Any) -> None:
    body = replace(WHOLE, path, value if path or value is not KeyError else None)
    number = next(NUMBERS)
    reply = settle(desks[mode], journal, ChatRequest("s", f"u{number}", number, 0, (mode,)), body)
    assert reply.status in ("ok", "invalid", "truncated", "refused")
    assert (reply.answer is not None) == (reply.status == "ok")


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b'{"text": "half a pair \\ud83d"}', {"text": "half a pair ?"}),
        (b'{"logprob": -Infinity, "n": NaN, "m": 1e999}', {"logprob": None, "n": None, "m": None}),
        (b'\xef\xbb\xbf{"bom": "\xff"}', {"bom": "\N{REPLACEMENT CHARACTER}"}),
    ],
)
def test_what_is_nearly_json_was_paid_for_and_is_kept(desks: dict[str, Desk], tmp_path: Path, content: bytes, body: Any) -> None:
    whole = read_whole(content, desks["json"])
    assert isinstance(whole, Whole) and whole.body == body
    with open_journal(tmp_path) as journal:
        journal.append("a" * 32, 0.0, 0, {"s": 200}, whole.content)
        assert journal.find("a" * 32)[0]["body"] == body


@pytest.mark.parametrize("depth", [1020, 1024, 100_000])
def test_a_reply_is_whole_only_if_it_can_be_read_back(desks: dict[str, Desk], tmp_path: Path, depth: int) -> None:
    read = read_whole(b"[" * depth + b"]" * depth, desks["json"])
    assert isinstance(read, Whole) == (depth < 1024)
    if isinstance(read, Whole):
        with open_journal(tmp_path) as journal:
            journal.append("a" * 32, 0.0, 0, {"s": 200}, read.content)
            assert journal.find("a" * 32)
