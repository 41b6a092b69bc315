"""What a reply means: the trace apart from the answer, and what is no answer told as what it is."""

from __future__ import annotations

import orjson
import pytest

from distill_assets.clients.faults import read_duration_s, read_error_body, read_fault, read_wait_s, redact
from distill_assets.clients.replies import clean_json, find_upstream, has_fallen_back, read_completion, read_usage

ANSWER = '{"sql": "SELECT 1"}'


def reply(finish: str = "stop", **message: object) -> dict:
    return {"choices": [{"message": {"role": "assistant", "content": ANSWER, **message}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("message", "trace", "field"),
    [
        ({}, None, None),
        ({"reasoning_content": "hm"}, "hm", "reasoning_content"),
        ({"reasoning": "hm", "reasoning_content": ""}, "hm", "reasoning"),
        ({"reasoning_details": [{"type": "x", "text": "h"}, {"summary": "m"}, {"data": "sealed"}]}, "hm", "reasoning_details"),
        ({"content": f"<think>hm</think>\n{ANSWER}"}, "hm", "think"),
        ({"content": f"\n <think>\n hm\n</think>{ANSWER}"}, "hm", "think"),
        ({"content": f"hm</think>{ANSWER}"}, "hm", "think"),
        ({"content": f"<think></think>{ANSWER}"}, None, None),
    ],
)
def test_the_trace_is_kept_apart_from_every_place_it_stands_in(message: dict, trace: str | None, field: str | None):
    found = read_completion(reply(**message))
    assert (found.status, found.text, found.trace, found.trace_field) == ("ok", ANSWER, trace, field)


@pytest.mark.parametrize(
    ("content", "cleaned"),
    [
        (b'{"a": "x\\ud800y"}', {"a": "x?y"}), (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}), (b'{"a": NaN, "b": -Infinity}', {"a": None, "b": None}),
        (b'{"a": "NaN"}', {"a": "NaN"}), (b'{"a": 1}', {"a": 1}),
    ],
)  # fmt: skip
def test_json_that_no_table_can_store_is_cleaned_and_not_thrown_away(content: bytes, cleaned: dict):
    assert orjson.loads(clean_json(content)) == cleaned


def test_what_is_no_json_stays_what_it_is():
    for content in (b"", b"<html>NaN</html>", b'{"a": "\\ud8', b"[" * 100_000 + b"NaN"):
        assert clean_json(content) == content


def test_a_closing_tag_inside_an_answer_is_no_trace():
    text = '{"sql": "SELECT \'</think>\'"}'
    assert read_completion(reply(content=text)).text == text


def test_tool_calls_and_parts_are_read():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ANSWER}}
    assert read_completion(reply(content=None, tool_calls=[call])).text == ANSWER
    assert (
        read_completion(reply(content=[{"type": "text", "text": ANSWER[:5]}, {"type": "text", "text": ANSWER[5:]}])).text == ANSWER
    )


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"choices": []}, "invalid"), ({"choices": None}, "invalid"), ({"foo": 1}, "invalid"), ([], "invalid"), ("text", "invalid"),
        ({"choices": [{"text": "old"}]}, "invalid"), (reply(content=None), "invalid"), (reply(content=""), "invalid"),
        (reply("length"), "truncated"), (reply("content_filter"), "refused"), (reply(refusal="no"), "refused"),
        (reply(tool_calls=[{"function": {"arguments": 3}}]), "ok"), (reply(content=7), "invalid"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told_as_what_it_is(data: object, status: str):
    assert read_completion(data).status == status


def test_usage_is_as_billed_or_estimated_and_flagged():
    data = reply() | {"usage": {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3},
                                "completion_tokens_details": {"reasoning_tokens": 2}}}  # fmt: skip
    assert read_usage(data, 400) == (7, 5, 2, 3, False)
    assert read_usage(reply(), 400) == (101, len(ANSWER) // 4 + 1, 0, 0, True)
    assert read_usage({"usage": {"prompt_tokens": "x"}}, 8).is_estimated


def test_who_stood_behind_a_router():
    assert find_upstream({"provider": "DeepInfra"}, {}) == "DeepInfra"
    assert find_upstream({}, {"x-litellm-model-name": "azure/x"}) == "azure/x"
    assert has_fallen_back({"x-litellm-attempted-fallbacks": "1"})
    assert not has_fallen_back({"x-litellm-attempted-fallbacks": "0"}) and not has_fallen_back({})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None), ({"retry-after": "2"}, 2), ({"retry-after": "0.5"}, 0.5), ({"retry-after-ms": "50"}, 0.05), ({"retry-after": "x"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 30),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, None), ({"retry-after": "-3"}, None), ({"retry-after-ms": "-3"}, 0),
    ],
)  # fmt: skip
def test_how_long_to_wait(headers: dict, seconds: float | None):
    assert read_wait_s(headers) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("6m0s", 360), ("120ms", 0.12), ("1h30m", 5400), ("60", 60), ("soon", None), ("", None)]
)
def test_durations_of_rate_limit_headers(text: str, seconds: float | None):
    found = read_duration_s(text)
    assert found == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}', "limited"), (429, b"", "limited"),
        (429, b'{"error": {"message": "x", "code": "insufficient_quota"}}', "fatal"), (401, b"", "fatal"), (402, b"", "fatal"),
        (403, b"<html>", "fatal"), (404, b"", "fatal"), (307, b"", "fatal"), (500, b"", "passing"), (503, b"<html>", "passing"),
        (529, b"", "passing"), (408, b"", "passing"), (400, b'{"error": {"message": "x", "code": "content_filter"}}', "refused"),
        (400, b'{"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}', "refused"),
        (400, b'{"error": {"message": "x", "code": "context_length_exceeded"}}', "rejected"), (422, b"[1]", "rejected"),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, body: bytes, kind: str):
    assert read_fault(status, {}, body, "sk-secret").kind == kind


def test_no_text_carries_the_key_or_a_page():
    fault = read_fault(401, {}, b'{"error": {"message": "Incorrect API key: sk-secret-1\\nX"}}', "sk-secret-1")
    assert "sk-secret-1" not in fault.words and "\n" not in fault.words and "[redacted]" in fault.words
    assert read_error_body(b"<html>page</html>") == ("", "")
    assert "sk-secret-1" not in read_fault(302, {"location": "http://x/?k=sk-secret-1"}, b"", "sk-secret-1").words
    assert redact("abc", "c") == "abc", "a key of a few characters is no secret, and its text would be everywhere"
