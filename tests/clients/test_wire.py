"""Bodies and keys: the short way asks just what instructor would ask, and a key covers all that decides an answer."""

from __future__ import annotations

from typing import Any

import instructor
import pytest

from distill_assets.clients.chat import ChatRequest
from distill_assets.clients.endpoints import KINDS, plan_endpoint
from distill_assets.clients.wire import (
    base_parameters,
    build_body,
    encode_body,
    find_mode,
    finish_body,
    name_call,
    prepare_form,
    quiet_instructor,
)
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import TeacherSpec

REQUEST = ChatRequest("You write {{SQL}}.", 'A topic: <<user>> ünï \\ " \u2028', 17, 3)


def endpoint_of(**fields: Any):
    spec = TeacherSpec(**{"model": "m", "base_url": "http://127.0.0.1:1/v1", **fields})
    return plan_endpoint(spec, lambda _: "sk-key")


def ask_instructor(endpoint, request: ChatRequest, max_tokens: int) -> dict[str, Any]:
    """The body of the first call that instructor itself makes."""
    seen: list[dict[str, Any]] = []

    def record(**body: Any) -> Any:
        seen.append(body)
        raise LookupError("enough")

    messages = [{"role": "user", "content": request.user}]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    body = {**base_parameters(endpoint), "messages": messages, endpoint.kind.tokens_field: max_tokens}
    if endpoint.kind.sends_seed:
        body["seed"] = request.seed
    create = instructor.patch(create=record, mode=find_mode(endpoint))
    with quiet_instructor(), pytest.raises(Exception, match="enough"):
        create(response_model=SqlSample, max_retries=1, **body)
    return finish_body(endpoint, seen[0])


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("mode", ["json_schema", "tools", "json", "md_json"])
@pytest.mark.parametrize("system", ["You write {{SQL}}.", ""])
def test_the_short_way_asks_what_instructor_asks(kind: str, mode: str, system: str):
    endpoint = endpoint_of(endpoint=kind, mode=mode, extra_body={"reasoning_effort": "low"})
    request = REQUEST._replace(system=system)
    short = build_body(prepare_form(endpoint, SqlSample), request, 300)
    assert encode_body(short) == encode_body(ask_instructor(endpoint, request, 300))


def test_a_text_that_looks_like_a_mark_is_a_text():
    request = REQUEST._replace(user="<<system goes here>> and <<user goes here>>")
    body = build_body(prepare_form(endpoint_of(), SqlSample), request, 300)
    assert body["messages"][1]["content"] == request.user
    body = build_body(prepare_form(endpoint_of(mode="json"), SqlSample), request, 300)
    assert body["messages"][-1]["content"] == request.user


def key_of(request: ChatRequest = REQUEST, round_ix: int = 0, **fields: Any) -> str:
    endpoint = endpoint_of(**fields)
    content = encode_body(build_body(prepare_form(endpoint, SqlSample), request, endpoint.spec.max_tokens))
    return name_call(endpoint, content, request, round_ix)


def test_a_key_changes_with_all_that_decides_an_answer():
    changes: list[dict[str, Any]] = [
        {"model": "n"}, {"base_url": "http://127.0.0.1:2/v1"}, {"temperature": 0.1}, {"temperature": None}, {"max_tokens": 601},
        {"mode": "tools"}, {"extra_body": {"top_p": 0.5}}, {"round_ix": 1},
        {"request": REQUEST._replace(seed=18)}, {"request": REQUEST._replace(sample_ix=4)},
        {"request": REQUEST._replace(user="x")}, {"request": REQUEST._replace(system="x")},
    ]  # fmt: skip
    keys = [key_of(), *(key_of(**change) for change in changes)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)


def test_two_seeds_with_one_text_are_two_requests_also_where_no_seed_is_sent():
    assert key_of(endpoint="anthropic") != key_of(REQUEST._replace(seed=18), endpoint="anthropic")


def test_a_key_does_not_change_with_how_the_endpoint_is_reached_or_what_it_costs():
    same: list[dict[str, Any]] = [
        {"api_key_env": "OTHER"}, {"limits": {"concurrency": 1, "timeout_s": 1}}, {"weight": 9}, {"name": "other"},
        {"price": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "as_of": "2026-01-01"}},
        {"terms": {"family": "x"}}, {"pin": {"served_model": "y"}}, {"max_reasks": 3}, {"batch": True},
    ]  # fmt: skip
    assert {key_of(**fields) for fields in same} == {key_of()}


def test_an_endpoint_never_shows_its_key():
    assert "sk-key" not in repr(endpoint_of()) + str(endpoint_of())
