"""The hostile server itself: it counts right, holds its limits, and each fault is what its name says."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import duckdb
import openai
import pytest

from tests.hostile_answers import FAULTS, hash_body
from tests.hostile_samples import Draw, draw_sample, fill_schema
from tests.hostile_server import HostileServer, serve_hostile
from tests.scenario import DATABASE

TEXT = {"type": "string"}
SCHEMA = {
    "type": "object",
    "properties": {"question": TEXT, "reasoning": TEXT, "sql": TEXT},
    "required": ["question", "reasoning", "sql"],
}


@pytest.fixture(scope="module")
def process() -> Iterator[HostileServer]:
    with serve_hostile() as server:
        yield server


@pytest.fixture
def hostile(process: HostileServer) -> HostileServer:
    """The one server of this file, as if it had just been started."""
    process.reset(with_settings=True)
    return process


def body_of(number: int, **more: Any) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    return {
        "model": "m",
        "messages": [{"role": "user", "content": f"ask {number}"}],
        "seed": number,
        "response_format": form,
        **more,
    }


def post(
    server: HostileServer, bodies: list[dict[str, Any]], together: int = 64, wait_s: float = 5.0, key: str = "sk-1"
) -> list[Any]:
    """(status, headers, data) of each body, or the exception that it ended in."""

    async def run() -> list[Any]:
        gate = asyncio.Semaphore(together)
        timeout = aiohttp.ClientTimeout(total=wait_s)
        async with aiohttp.ClientSession(timeout=timeout, headers={"Authorization": f"Bearer {key}"}) as session:

            async def one(body: dict[str, Any]) -> Any:
                async with gate, session.post(f"{server.base_url}/chat/completions", json=body, allow_redirects=False) as reply:
                    return reply.status, reply.headers, await reply.read()

            return await asyncio.gather(*map(one, bodies), return_exceptions=True)

    return asyncio.run(run())


def content_of(reply: Any) -> dict[str, Any]:
    return json.loads(json.loads(reply[2])["choices"][0]["message"]["content"])


def test_the_same_body_gets_the_same_answer_and_all_is_counted(hostile: HostileServer) -> None:
    hostile.configure(price_in=1.0, price_out=2.0)
    bodies = [body_of(n) for n in range(50)] + [body_of(7)]
    replies = post(hostile, bodies)
    assert {reply[0] for reply in replies} == {200}
    assert replies[7][2] == replies[50][2]
    assert len({content_of(reply)["question"] for reply in replies}) == 50
    stats = hostile.stats(detail=True)
    assert (stats["requests"], stats["answers"], stats["billed"], stats["duplicates"]) == (51, 51, 51, 1)
    twice = stats["bodies"][hash_body(body_of(7))]
    assert (twice["requests"], twice["answers"], twice["statuses"]) == (2, 2, {"200": 2})
    usage = [json.loads(reply[2])["usage"] for reply in replies]
    told = sum(u["prompt_tokens"] + 2 * u["completion_tokens"] for u in usage) / 1e6
    assert stats["usd"] == pytest.approx(told)
    assert stats["keys"] == ["sk-1"]


def test_samples_run_on_the_scenarios_database_and_differ() -> None:
    samples = [draw_sample(Draw(str(n))) for n in range(2000)]
    assert len({sample["question"] for sample in samples}) > 1950
    with duckdb.connect() as database:
        database.execute(DATABASE)
        found = [database.execute(sample["sql"]).fetchall() for sample in samples[:300]]
    assert sum(rows not in ([], [(0,)], [(None,)]) for rows in found) > 200


def test_a_schema_is_filled() -> None:
    schema = {
        "$defs": {"Verdict": {"enum": ["good", "bad"]}},
        "type": "object",
        "properties": {
            "verdict": {"$ref": "#/$defs/Verdict"},
            "score": {"type": "integer", "minimum": 3, "maximum": 5},
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "items": {"type": "array", "minItems": 2, "items": SCHEMA},
        },
    }
    filled = fill_schema(schema, Draw("x"))
    assert filled["verdict"] in ("good", "bad")
    assert filled["score"] in (3, 4, 5)
    assert isinstance(filled["note"], str)
    assert [set(item) for item in filled["items"]] == [set(SCHEMA["required"])] * 2
    assert filled["items"][0] != filled["items"][1]


def test_a_tool_is_answered_in_a_call_and_a_trace_stands_where_it_is_asked_for(hostile: HostileServer) -> None:
    hostile.configure(reasoning="reasoning_content")
    tool = {"type": "function", "function": {"name": "Answer", "parameters": SCHEMA}}
    with_tool = {**body_of(1), "tools": [tool], "response_format": None}
    message = json.loads(post(hostile, [with_tool])[0][2])["choices"][0]["message"]
    assert set(json.loads(message["tool_calls"][0]["function"]["arguments"])) == set(SCHEMA["required"])
    assert message["content"] is None and message["reasoning_content"]
    hostile.configure(reasoning="think")
    assert json.loads(post(hostile, [body_of(1)])[0][2])["choices"][0]["message"]["content"].startswith("<think>")


def test_azures_paths_and_keys_are_seen(hostile: HostileServer) -> None:
    root = hostile.base_url.removesuffix("/v1")
    client = openai.AzureOpenAI(azure_endpoint=root, api_key="azure-key", api_version="2025-04-01", max_retries=0)
    client.chat.completions.create(model="deployed", messages=[{"role": "user", "content": "hi"}])
    stats = hostile.stats()
    assert stats["paths"] == ["/openai/deployments/deployed/chat/completions"]
    assert stats["queries"] == ["api-version=2025-04-01"]
    assert stats["keys"] == ["azure-key"] and "api-key" in stats["header_names"]


def test_requests_per_minute_are_enforced_and_told(hostile: HostileServer) -> None:
    hostile.configure(rpm=1200, burst_s=0.5, rate_headers="all")
    start = time.monotonic()
    replies = post(hostile, [body_of(n) for n in range(100)])
    allowed = sum(reply[0] == 200 for reply in replies)
    assert 10 <= allowed <= 11 + 20 * (time.monotonic() - start)
    refused = next(reply for reply in replies if reply[0] == 429)
    assert refused[1]["retry-after"] == "1" and 0 < int(refused[1]["retry-after-ms"]) <= 60
    assert refused[1]["x-ratelimit-limit-requests"] == "1200" and refused[1]["x-ratelimit-remaining-requests"] == "0"
    assert hostile.stats()["billed"] == allowed
    time.sleep(0.1)
    assert post(hostile, [body_of(1000)])[0][0] == 200


def test_tokens_per_minute_are_enforced(hostile: HostileServer) -> None:
    hostile.configure(tpm=60_000, burst_s=1.0, retry_after=False)
    replies = post(hostile, [body_of(n) for n in range(100)])
    spent = sum(json.loads(reply[2])["usage"]["total_tokens"] for reply in replies if reply[0] == 200)
    assert 800 < spent < 3000
    assert "retry-after" not in next(reply for reply in replies if reply[0] == 429)[1]


SHAPES: dict[str, Any] = {
    "ok": lambda r: content_of(r)["sql"].startswith("SELECT"),
    "429": lambda r: r[0] == 429 and r[1]["retry-after-ms"] == "50",
    "429-sec": lambda r: r[0] == 429 and r[1]["retry-after"] == "1",
    "429-noheader": lambda r: r[0] == 429 and not {"retry-after", "retry-after-ms"} & {k.lower() for k in r[1]},
    "429-huge": lambda r: r[0] == 429 and r[1]["retry-after"] == "999999",
    "500": lambda r: r[0] == 500 and "error" in json.loads(r[2]),
    "502": lambda r: r[0] == 502 and r[2].startswith(b"<html"),
    "503-html": lambda r: r[0] == 503 and r[2].startswith(b"<html"),
    "503-huge": lambda r: r[0] == 503 and len(r[2]) > 20 * 1024 * 1024,
    "reset-before": lambda r: isinstance(r, (aiohttp.ClientConnectionError, ConnectionError)),
    "reset-mid": lambda r: isinstance(r, (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, ConnectionError)),
    "truncated-json": lambda r: r[0] == 200 and r[2].startswith(b"{") and not r[2].endswith(b"}"),
    "slowloris": lambda r: isinstance(r, TimeoutError),
    "hang": lambda r: isinstance(r, TimeoutError),
    "empty-body": lambda r: r[0] == 200 and r[2] == b"",
    "not-json": lambda r: r[0] == 200 and r[2].startswith(b"<html"),
    "wrong-schema": lambda r: r[0] == 200 and "choices" not in json.loads(r[2]),
    "invalid-content": lambda r: set(content_of(r)) == {"unexpected"},
    "empty-choices": lambda r: json.loads(r[2])["choices"] == [],
    "null-content": lambda r: json.loads(r[2])["choices"][0]["message"]["content"] is None,
    "length": lambda r: json.loads(r[2])["choices"][0]["finish_reason"] == "length",
    "content_filter": lambda r: json.loads(r[2])["choices"][0]["finish_reason"] == "content_filter",
    "filter-400": lambda r: r[0] == 400 and json.loads(r[2])["error"]["code"] == "content_filter",
    "refusal": lambda r: json.loads(r[2])["choices"][0]["message"]["refusal"],
    "no-usage": lambda r: "usage" not in json.loads(r[2]) and content_of(r),
    "huge": lambda r: len(r[2]) > 20 * 1024 * 1024 and json.loads(r[2])["choices"],
    "context": lambda r: r[0] == 400 and json.loads(r[2])["error"]["code"] == "context_length_exceeded",
    "400": lambda r: r[0] == 400 and json.loads(r[2])["error"]["code"] == "unsupported_value",
    "redirect": lambda r: r[0] == 307 and r[1]["location"].endswith("/chat/completions"),
    "401": lambda r: r[0] == 401 and "sk-1" in json.loads(r[2])["error"]["message"],
    "insufficient_quota": lambda r: r[0] == 429 and json.loads(r[2])["error"]["code"] == "insufficient_quota",
    "quota-midway": lambda r: r[0] == 429 and json.loads(r[2])["error"]["code"] == "insufficient_quota",
    "wrong-model": lambda r: json.loads(r[2])["model"] == "another-model-2025-06-01",
    "litellm-fallback": lambda r: r[1]["x-litellm-attempted-fallbacks"] == "1" and content_of(r),
}
UNBILLED = {
    "429", "429-sec", "429-noheader", "429-huge", "500", "502", "503-html", "503-huge", "reset-before", "hang", "empty-body", "not-json",
    "filter-400", "context", "400", "redirect", "401", "insufficient_quota", "quota-midway",
}  # fmt: skip
PASSING = (UNBILLED | {"reset-mid", "truncated-json", "slowloris"}) - {
    "429-huge", "filter-400", "context", "400", "redirect", "401", "insufficient_quota", "quota-midway",
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_what_its_name_says(hostile: HostileServer, name: str) -> None:
    hostile.configure(fault=name, fault_after=0)
    wait_s = 0.5 if name in ("slowloris", "hang") else 10.0
    first, second = (post(hostile, [body_of(1)], wait_s=wait_s)[0] for _ in range(2))
    assert SHAPES[name](first), first
    # A permanent fault stays; the others let the second try pass.
    assert (second[0] == 200 and SHAPES["ok"](second)) if name in PASSING else SHAPES[name](second)
    stats = hostile.stats()
    assert stats["requests"] == 2
    assert stats["billed"] == (2 - 2 * (name in UNBILLED) + (name in PASSING & UNBILLED))


def test_a_share_of_the_bodies_is_hit_and_the_rest_is_not(hostile: HostileServer) -> None:
    hostile.configure(fault="500", fault_frac=0.3)
    statuses = [reply[0] for reply in post(hostile, [body_of(n) for n in range(300)])]
    assert 60 < statuses.count(500) < 120
    assert statuses.count(500) + statuses.count(200) == 300
    assert [reply[0] for reply in post(hostile, [body_of(n) for n in range(300)])] == [200] * 300


def test_quota_ends_midway_and_a_key_may_be_rotated(hostile: HostileServer) -> None:
    hostile.configure(fault="quota-midway", fault_after=20)
    statuses = [reply[0] for reply in post(hostile, [body_of(n) for n in range(30)], together=1)]
    assert statuses == [200] * 20 + [429] * 10
    hostile.configure(fault=None, api_key="sk-2")
    assert post(hostile, [body_of(1)])[0][0] == 401
    assert post(hostile, [body_of(1)], key="sk-2")[0][0] == 200


def test_length_passes_with_more_tokens_and_misfits_after_a_reask(hostile: HostileServer) -> None:
    hostile.configure(fault="length", length_needs=500)
    finish = [json.loads(r[2])["choices"][0]["finish_reason"] for r in post(hostile, [body_of(1), body_of(1, max_tokens=500)])]
    assert finish == ["length", "stop"]
    hostile.configure(fault=None, invalid_until_reask=1.0)
    turns = [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "{}"}, {"role": "user", "content": "again"}]
    misfit, right = post(hostile, [body_of(2), {**body_of(2), "messages": turns}])
    assert set(content_of(misfit)) == {"unexpected"}
    assert set(content_of(right)) == set(SCHEMA["required"])


def test_who_follows_a_redirect_is_caught_with_the_key(hostile: HostileServer) -> None:
    hostile.configure(fault="redirect")
    url = post(hostile, [body_of(1)])[0][1]["location"]

    async def follow() -> None:
        async with aiohttp.ClientSession() as session, session.post(url, json=body_of(1), headers={"api-key": "sk"}) as reply:
            assert reply.status == 200

    asyncio.run(follow())
    assert hostile.stats()["redirected"] == {"requests": 1, "with_key": 1}


def test_an_unknown_setting_is_refused(hostile: HostileServer) -> None:
    with pytest.raises(ValueError, match="latency"):
        hostile.configure(latency=1)


def test_it_ends_with_its_parent() -> None:
    code = "from tests.hostile_server import *\nwith serve_hostile() as s: print(s.base_url, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        address = ("127.0.0.1", urlsplit(parent.stdout.readline()).port)
        socket.create_connection(address, timeout=1).close()
        parent.kill()
    deadline = time.monotonic() + 5
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(address, timeout=1).close()
            time.sleep(0.05)


# ---------------------------------------------------------------- batches, through the real client


def start_batch(client: openai.OpenAI, rows: list[dict[str, Any]], **more: Any) -> Any:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    url = "/v1/chat/completions"
    return client.batches.create(input_file_id=file.id, endpoint=url, completion_window="24h", metadata={"key": "k1"}, **more)


def rows_of(count: int) -> list[dict[str, Any]]:
    return [{"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body_of(n)} for n in range(count)]


def wait_for(client: openai.OpenAI, batch: Any) -> tuple[Any, list[str]]:
    seen = [batch.status]
    while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
        batch = client.batches.retrieve(batch.id)
        seen.append(batch.status)
    return batch, seen


def lines_of(client: openai.OpenAI, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.files.content(key).text.splitlines()]


@pytest.fixture
def client(hostile: HostileServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=hostile.base_url, api_key="sk-1", max_retries=0)


def test_a_batch_lives_and_answers_as_the_chat_does(hostile: HostileServer, client: openai.OpenAI) -> None:
    hostile.configure(batch_polls=4, batch_error_frac=0.2)
    batch, seen = wait_for(client, start_batch(client, rows_of(50)))
    assert seen == ["validating", "in_progress", "in_progress", "finalizing", "completed"]
    good, bad = lines_of(client, batch.output_file_id), lines_of(client, batch.error_file_id)
    assert batch.request_counts.completed == len(good) and batch.request_counts.failed == len(bad) > 0
    names = [line["custom_id"] for line in good]
    assert names != sorted(names, key=lambda name: int(name[1:]))
    assert {line["custom_id"] for line in good + bad} == {f"r{n}" for n in range(50)}
    first = good[0]
    chat = post(hostile, [body_of(int(first["custom_id"][1:]))])[0]
    assert json.loads(chat[2]) == first["response"]["body"]
    stats = hostile.stats()
    assert (stats["billed"], stats["duplicates"]) == (len(good) + 1, 1)
    assert [b.metadata for b in client.batches.list(limit=1).data] == [{"key": "k1"}]


def test_a_batch_expires_is_cancelled_or_fails(hostile: HostileServer, client: openai.OpenAI) -> None:
    hostile.configure(batch_polls=2, batch_outcome="expired", batch_partial_frac=0.25)
    batch, _ = wait_for(client, start_batch(client, rows_of(40)))
    assert batch.status == "expired" and len(lines_of(client, batch.output_file_id)) == 10
    assert {line["error"]["code"] for line in lines_of(client, batch.error_file_id)} == {"batch_expired"}
    cancelled, seen = wait_for(client, client.batches.cancel(start_batch(client, rows_of(4)).id))
    assert seen == ["cancelling", "cancelled"] and cancelled.output_file_id
    hostile.configure(batch_outcome="completed")
    twice, _ = wait_for(client, start_batch(client, rows_of(2) + rows_of(1)))
    assert (twice.status, twice.errors.data[0].code, twice.output_file_id) == ("failed", "duplicate_custom_id", None)
    astray = [{**row, "url": "/v1/embeddings"} for row in rows_of(1)]
    assert wait_for(client, start_batch(client, astray))[0].errors.data[0].code == "mismatched_url"
    ids = [shown.id for shown in client.batches.list(limit=2)]
    assert ids == sorted(ids, reverse=True) and len(ids) == 4


def test_the_news_of_a_batch_may_be_lost_and_found_in_the_list(hostile: HostileServer, client: openai.OpenAI) -> None:
    hostile.configure(batch_lost_replies=1)
    with pytest.raises(openai.APIConnectionError):
        start_batch(client, rows_of(3))
    assert [b.metadata for b in client.batches.list()] == [{"key": "k1"}]
