"""The embedded teacher through the real clients: openai, sync and async, and instructor in both modes."""

from __future__ import annotations

import asyncio
import json

import httpx2
import instructor
import openai
import pytest
from pydantic import BaseModel

from distill_assets.clients.embedded_chat import MODEL, BadRequestError, fingerprint_source, route
from distill_assets.clients.sql_grammar import write_sample
from distill_assets.databases import Column, Schema, Table, schema_to_json

BASE_URL = "http://embedded.invalid/v1"
CARD = Schema(
    "zoo",
    (
        Table(
            "animals", "an animal of the zoo", 40,
            (
                Column("id", "INTEGER", "", tuple(map(str, range(1, 25))), 40, True, None),
                Column("name", "VARCHAR", "", ("Bo", "Kim", "Zed"), 40, False, None),
                Column("species", "VARCHAR", "", ("lion", "otter", "owl"), 3, False, None),
                Column("weight", "DOUBLE", "", ("0.4", "12.0", "210.0"), 38, False, None),
            ),
        ),
    ),
)  # fmt: skip


class Answer(BaseModel):
    """The teacher's answer form."""

    question: str
    reasoning: str
    sql: str


def make_messages(seed: str = "heaviest animals", kind: str = "topic") -> list[dict[str, str]]:
    """Write messages as a prompt does."""
    return [
        {"role": "system", "content": "You write questions and SQL."},
        {"role": "user", "content": f'Card:\n<schema>\n{schema_to_json(CARD)}\n</schema>\n<seed kind="{kind}">{seed}</seed>'},
    ]


class EmbeddedTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """The embedded teacher where an endpoint stands, so that the real clients can judge its protocol."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return respond(request.method, request.url.path, request.read())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return respond(request.method, request.url.path, await request.aread())


def respond(method: str, path: str, content: bytes) -> httpx2.Response:
    try:
        return httpx2.Response(200, json=route(method, path, content))
    except BadRequestError as error:
        body = {"message": str(error), "type": "invalid_request_error", "param": None, "code": error.code}
        return httpx2.Response(error.status, json={"error": body})


def open_async() -> openai.AsyncOpenAI:
    """Open an async client over the transport."""
    http_client = httpx2.AsyncClient(transport=EmbeddedTransport())
    return openai.AsyncOpenAI(base_url=BASE_URL, api_key="embedded", http_client=http_client)


@pytest.fixture
def client():
    """A sync client over the transport."""
    with openai.OpenAI(base_url=BASE_URL, api_key="embedded", http_client=httpx2.Client(transport=EmbeddedTransport())) as opened:
        yield opened


def test_lists_its_one_model(client):
    assert [model.id for model in client.models.list()] == [MODEL]


def test_a_completion_carries_the_answer_and_the_record_apart(client):
    reply = client.chat.completions.create(model=MODEL, messages=make_messages(), seed=5, metadata={"error_frac": "1"})
    answer = json.loads(reply.choices[0].message.content)
    sample = write_sample(CARD, "heaviest animals", "topic", 5, 1.0)
    assert answer == {"question": sample.question, "reasoning": sample.reasoning, "sql": sample.sql}
    assert reply.model_extra["embedded"] == {"planted_error": sample.planted_error, "intent": sample.intent}
    assert sample.planted_error
    assert (reply.model, reply.created, reply.system_fingerprint) == (MODEL, 0, fingerprint_source())
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 50
    assert reply.choices[0].finish_reason == "stop"


def test_equal_requests_get_equal_replies_and_others_get_other_ids(client):
    def ask(seed):
        return client.chat.completions.create(model=MODEL, messages=make_messages(), seed=seed)

    assert ask(1) == ask(1)
    assert ask(1).id != ask(2).id


def test_the_last_seed_of_the_user_messages_counts(client):
    messages = [*make_messages("owls"), {"role": "user", "content": '<seed kind="question">how many otters</seed>'}]
    reply = client.chat.completions.create(model=MODEL, messages=messages, seed=3, metadata={"error_frac": "0"})
    sample = write_sample(CARD, "how many otters", "question", 3, 0.0)
    assert json.loads(reply.choices[0].message.content)["question"] == sample.question


@pytest.mark.parametrize("mode", [instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS])
def test_instructor_parses_both_forms_concurrently(mode):
    async def ask_many():
        async with open_async() as client:
            patched = instructor.from_openai(client, mode=mode)
            calls = [
                patched.create_with_completion(
                    model=MODEL,
                    messages=make_messages(),
                    response_model=Answer,
                    max_retries=0,
                    seed=seed,
                    metadata={"error_frac": "0"},
                )
                for seed in range(30)
            ]
            return await asyncio.gather(*calls)

    for seed, (answer, completion) in enumerate(asyncio.run(ask_many())):
        sample = write_sample(CARD, "heaviest animals", "topic", seed, 0.0)
        assert (answer.question, answer.sql) == (sample.question, sample.sql)
        assert completion.model_extra["embedded"]["intent"] == sample.intent


def test_instructor_patch_as_the_project_uses_it():
    async def ask():
        async with open_async() as client:
            create = instructor.patch(create=client.chat.completions.create, mode=instructor.Mode.JSON_SCHEMA)
            patched = instructor.AsyncInstructor(client=client, create=create, mode=instructor.Mode.JSON_SCHEMA)
            return await patched.create(model=MODEL, messages=make_messages(), response_model=Answer, max_retries=0, seed=9)

    assert asyncio.run(ask()).sql


def test_an_unknown_model_is_404(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="sql-grammar@0", messages=make_messages())
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": [{"role": "user", "content": "hello"}]}, "schema card"),
        ({"messages": [*make_messages()[:1], {"role": "user", "content": f"<schema>\n{schema_to_json(CARD)}\n</schema>"}]}, "seed"),
        (
            {"messages": [{"role": "user", "content": '<schema>\n{"a": 1}\n</schema>\n<seed kind="topic">x</seed>'}]},
            "cannot be read",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": '<schema>\n{"database":"d","tables":[]}\n</schema><seed kind="topic">x</seed>'}
                ]
            },
            "no table",
        ),
        ({"extra_body": {"seed": "x"}}, "integer"),
        ({"metadata": {"error_frac": "2"}}, "0..1"),
        ({"metadata": {"error_frac": "much"}}, "number"),
        ({"extra_body": {"messages": "hello"}}, "messages"),
    ],
)
def test_a_bad_body_is_400_in_the_openai_shape(client, change, words):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**({"model": MODEL, "messages": make_messages()} | change))
    assert words in caught.value.body["message"]
    assert caught.value.type == "invalid_request_error"


def test_unknown_routes_and_broken_json():
    with httpx2.Client(transport=EmbeddedTransport()) as client:
        assert client.get(f"{BASE_URL}/embeddings").status_code == 404
        reply = client.post(f"{BASE_URL}/chat/completions", content=b"{")
        assert reply.status_code == 400
        assert reply.json()["error"]["code"] == "invalid_request"
