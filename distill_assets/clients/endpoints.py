"""Endpoints: what each kind of Chat Completions server needs, and a teacher's spec turned into one.

Belongs here: addresses, modes and parameters by kind, names for provenance, the key's place. Does not belong
here: calls (wire, engine) or what they cost (prices).

What a kind supports is from its own documentation, read in 2026-11 (docs/teachers.md names the pages).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from distill_assets.errors import TeacherError
from distill_assets.teachers import TeacherSpec

EMBEDDED_BASE_URL = "http://embedded.invalid/v1"


class Kind(NamedTuple):
    """What a kind of endpoint takes.

    `mode`: how structured outputs are asked for. `is_strict`: whether a JSON schema binds only with
    `strict`. `sends_seed`: whether `seed` is a parameter. `tokens_field`: the parameter that bounds the reply.
    """

    base_url: str | None
    mode: str = "json_schema"
    is_strict: bool = False
    sends_seed: bool = True
    tokens_field: str = "max_tokens"


KINDS: dict[str, Kind] = {
    "compatible": Kind(None),
    "openai": Kind("https://api.openai.com/v1", is_strict=True, tokens_field="max_completion_tokens"),
    "azure": Kind(None, is_strict=True, tokens_field="max_completion_tokens"),
    "openrouter": Kind("https://openrouter.ai/api/v1", is_strict=True),
    "vllm": Kind("http://127.0.0.1:8000/v1"),
    "llama_cpp": Kind("http://127.0.0.1:8080/v1"),
    "litellm": Kind("http://127.0.0.1:4000/v1"),
    "gemini": Kind("https://generativelanguage.googleapis.com/v1beta/openai", sends_seed=False),
    # The compatibility layer reads neither response_format nor seed.
    "anthropic": Kind("https://api.anthropic.com/v1", mode="tools", sends_seed=False),
    "deepseek": Kind("https://api.deepseek.com", mode="json", sends_seed=False),
}
HOSTS = {
    "api.openai.com": "openai",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "gemini",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
}


class Endpoint(NamedTuple):
    """Where and how to call: never part of an identity, and the key is never printed."""

    spec: TeacherSpec
    kind: Kind
    provider: str
    base_url: str
    model: str
    api_key: str
    mode: str
    temperature: float | None

    def __repr__(self) -> str:
        return f"Endpoint({self.provider}, {self.model})"


def plan_endpoint(spec: TeacherSpec, read_secret: Callable[[str], str | None]) -> Endpoint:
    """Turn a teacher spec into an endpoint.

    Raises:
        TeacherError: the environment variable that should hold the key is empty.
    """
    kind = KINDS[name_kind(spec)]
    mode = spec.mode or kind.mode
    if spec.is_embedded:
        model = name_teacher(spec).split("/", 1)[1]
        return Endpoint(spec, kind, "embedded", EMBEDDED_BASE_URL, model, "embedded", mode, spec.temperature)
    key = read_secret(spec.api_key_env)
    if not key:
        raise TeacherError(
            f"{spec.role} '{spec.called}' needs a key in the environment variable {spec.api_key_env}, which is empty. "
            "Nothing was sent. Set it (any text for an endpoint without keys), or use the embedded teacher."
        )
    return Endpoint(spec, kind, name_provider(spec), find_base_url(spec), spec.model, key, mode, spec.temperature)


def name_kind(spec: TeacherSpec) -> str:
    """The kind of endpoint: as the recipe says, else by its host."""
    if spec.endpoint:
        return spec.endpoint
    if spec.is_embedded:
        return "compatible"
    return HOSTS.get(urlsplit(spec.base_url).hostname or "", "compatible") if spec.base_url else "openai"


def find_base_url(spec: TeacherSpec) -> str:
    """The address that calls go to.

    Raises:
        TeacherError: the recipe names none, and the kind has none.
    """
    base_url = spec.base_url or KINDS[name_kind(spec)].base_url
    if spec.is_embedded:
        return EMBEDDED_BASE_URL
    if base_url is None or urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname:
        raise TeacherError(
            f"{spec.role} '{spec.called}': base_url {spec.base_url!r} is no address of an endpoint. Nothing was sent. "
            "Write it as https://host/v1 in recipe.yaml."
        )
    return base_url


def name_provider(spec: TeacherSpec) -> str:
    """The host that is asked, or `embedded`."""
    return "embedded" if spec.is_embedded else urlsplit(find_base_url(spec)).netloc.rpartition("@")[2]


def name_teacher(spec: TeacherSpec) -> str:
    """The teacher with its version, as it stands in every provenance field."""
    from distill_assets.clients.sql_grammar import VERSION

    if spec.is_embedded:
        return f"{spec.model}@{VERSION}"
    return spec.model if spec.name is None else f"{spec.name}:{spec.model}"


# What of a teacher's spec never reaches a reply: how it is reached, how hard, at which price, and what is made of it.
NOT_IN_IDENTITY = ("base_url", "api_key_env", "limits", "price", "terms", "weight", "strategies", "fallback", "batch", "name")


def teacher_identity(spec: TeacherSpec) -> dict[str, object]:
    """What of a teacher decides its answers; the embedded one's grammar is named by its version."""
    return spec.identity(*NOT_IN_IDENTITY) | {"provider": name_provider(spec), "teacher": name_teacher(spec)}
