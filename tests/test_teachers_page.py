"""docs/teachers.md: each recipe block is one that works, and asks as its kind of endpoint wants to be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.desk import open_desks
from distill_assets.clients.endpoints import KINDS, find_base_url
from distill_assets.clients.engine import ask
from distill_assets.clients.journal import Cap, open_journal
from distill_assets.config import Recipe
from distill_assets.generate.sampling import SqlSample
from distill_assets.teachers import TeacherSpec
from tests.hostile_server import HostileServer, serve_hostile

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "teachers.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^### (\w+)\n.*?^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
KEY = "sk-planted-page-77aa"
# What arrives at the endpoint: path, how the form is asked for, whether a seed is sent, what bounds the reply, where the key is.
EXPECTED = {
    "openai": ("/v1/chat/completions", "strict", True, "max_completion_tokens"),
    "azure": ("/openai/v1/chat/completions", "strict", True, "max_completion_tokens"),
    "openrouter": ("/api/v1/chat/completions", "strict", True, "max_tokens"),
    "vllm": ("/v1/chat/completions", "schema", True, "max_tokens"),
    "llama_cpp": ("/v1/chat/completions", "schema", True, "max_tokens"),
    "litellm": ("/v1/chat/completions", "schema", True, "max_tokens"),
    "gemini": ("/v1beta/openai/chat/completions", "schema", False, "max_tokens"),
    "anthropic": ("/v1/chat/completions", "tools", False, "max_tokens"),
    "deepseek": ("/chat/completions", "json", False, "max_tokens"),
    "compatible": ("/v1/chat/completions", "tools", True, "max_tokens"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with serve_hostile(keep_bodies=True) as served:
        yield served


def read_teacher(kind: str) -> TeacherSpec:
    recipe = Recipe.model_validate({"name": "page", "databases": {"d": "d.sql"}, **yaml.safe_load(BLOCKS[kind])})
    return recipe.teacher


def move_to(server: HostileServer, spec: TeacherSpec) -> TeacherSpec:
    """The same teacher at the local server, under the same path."""
    path = urlsplit(find_base_url(spec)).path
    return spec.model_copy(update={"base_url": f"{server.base_url.removesuffix('/v1')}{path}"})


def ask_twice(spec: TeacherSpec, folder: Path) -> list[ChatReply]:
    requests = [ChatRequest("Write SQL.", f"topic {n}", n, 0, (spec.called,)) for n in range(2)]
    replies: list[ChatReply] = []
    with open_journal(folder) as journal:
        desks = open_desks([spec], SqlSample, lambda _: KEY)
        ask(requests, desks, journal, Cap(), lambda _, reply: replies.append(reply), lambda _: None)
    return replies


def test_every_kind_has_a_block():
    assert set(BLOCKS) == set(KINDS) == set(EXPECTED)


@pytest.mark.parametrize("kind", sorted(EXPECTED))
def test_a_block_asks_as_its_kind_wants_to_be_asked(kind: str, server: HostileServer, tmp_path: Path):
    spec = read_teacher(kind)
    served = spec.pin.served_model if spec.pin else f"{spec.model}-served"
    server.reset(with_settings=True)
    server.configure(keep_bodies=True, served_model=served)
    replies = ask_twice(move_to(server, spec), tmp_path)
    assert [reply.status for reply in replies] == ["ok", "ok"], replies
    assert {reply.served_model for reply in replies} == {served}
    stats = server.stats(detail=True)
    path, form, has_seed, tokens_field = EXPECTED[kind]
    assert list(stats["paths"]) == [path]
    assert stats["keys"] in ([KEY], {KEY: 2})
    bodies = [entry["body"] for entry in stats["bodies"].values()]
    assert len(bodies) == 2
    for body in bodies:
        assert body["model"] == spec.model
        assert body[tokens_field] == spec.max_tokens
        assert ("seed" in body) == has_seed
        assert body.get("temperature") == spec.temperature
        assert spec.extra_body.items() <= body.items()
        assert find_form(body) == form


def find_form(body: dict) -> str:
    if "tools" in body:
        assert body["tool_choice"]["function"]["name"] == "SqlSample"
        return "tools"
    kind = body["response_format"]
    if kind["type"] == "json_object":
        assert '"sql"' in str(body["messages"]), "the form stands in the prompt"
        return "json"
    schema = kind["json_schema"]
    assert set(schema["schema"]["properties"]) == {"question", "reasoning", "sql"}
    if schema.get("strict"):
        assert schema["schema"]["additionalProperties"] is False
        assert "maxLength" not in str(schema)
        return "strict"
    return "schema"


def test_azures_dated_api_has_its_own_address_and_header(server: HostileServer, tmp_path: Path):
    spec = read_teacher("azure").model_copy(
        update={"api_version": "2024-10-21", "base_url": server.base_url.removesuffix("/v1")}
    )  # fmt: skip
    server.reset(with_settings=True)
    assert [reply.status for reply in ask_twice(spec, tmp_path)] == ["ok", "ok"]
    stats = server.stats()
    assert list(stats["paths"]) == ["/openai/deployments/my-deployment/chat/completions"]
    assert "api-version=2024-10-21" in str(stats["queries"])
    assert "api-key" in stats["header_names"] and "authorization" not in stats["header_names"]


def test_the_block_of_several_teachers_is_a_recipe():
    block = re.search(r"^## Several teachers\n.*?^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    recipe = Recipe.model_validate({"name": "page", "databases": {"d": "d.sql"}, **yaml.safe_load(block)})
    assert [teacher.called for teacher in recipe.list_teachers()] == ["strong", "cheap"]
