"""One call as bytes: its body, its key, and the HTTP exchange.

Belongs here: what is sent and how it is named. Does not belong here: what a reply means (replies), when a call
is sent (engine) or where replies are kept (journal).

The body is what instructor makes of the messages and the answer model in the endpoint's mode, and the address and
headers are those of the openai client: both are rehearsed once for an endpoint, through a transport that only
records. After that a call costs one substitution and one POST on a pooled aiohttp session (docs/adr/0008).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson

from distill_assets.clients.chat import ChatRequest
from distill_assets.clients.endpoints import Endpoint
from distill_assets.config import find_proxy

KEY_FORMAT = 2
MAX_REPLY_BYTES = 4 << 20
SYSTEM_MARK, USER_MARK = "<<system goes here>>", "<<user goes here>>"
MARKS = re.compile(f"{SYSTEM_MARK}|{USER_MARK}")
KEPT_HEADERS = (
    "x-request-id", "request-id", "openai-version", "openai-processing-ms", "openai-organization", "server", "x-ms-region",
)  # fmt: skip
KEPT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "x-litellm-", "llm_provider-")
# aiohttp makes these itself.
HOP_HEADERS = ("host", "content-length", "connection", "accept-encoding", "content-type", "transfer-encoding")


class Form(NamedTuple):
    """How an endpoint is asked for one kind of answer.

    `template` is the body without what differs from call to call; `messages` hold the two marks, and
    `messages_alone` the user's only, for a request without a system message.
    """

    endpoint: Endpoint
    answer_model: type
    url: str
    headers: dict[str, str]
    template: dict[str, Any]
    messages: list[dict[str, Any]]
    messages_alone: list[dict[str, Any]]


class Exchange(NamedTuple):
    """What came back: status, headers by lower-case name, and the bytes; `is_too_large` when they were not read."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    is_too_large: bool = False


def prepare_form(endpoint: Endpoint, answer_model: type) -> Form:
    """Rehearse a call: take the body from instructor, address and headers from the openai client."""
    user = {"role": "user", "content": USER_MARK}
    body = _rehearse_body(endpoint, answer_model, [{"role": "system", "content": SYSTEM_MARK}, user])
    alone = _rehearse_body(endpoint, answer_model, [user])["messages"]
    messages = body.pop("messages")
    url, headers = ("", {}) if endpoint.provider == "embedded" else _rehearse_address(endpoint)
    return Form(endpoint, answer_model, url, headers, body, messages, alone)


def base_parameters(endpoint: Endpoint) -> dict[str, Any]:
    """Parameters that every call to the endpoint carries."""
    spec = endpoint.spec
    body: dict[str, Any] = {"model": endpoint.model, **spec.extra_body}
    if endpoint.temperature is not None:
        body["temperature"] = endpoint.temperature
    if endpoint.provider == "embedded":
        body["metadata"] = {"error_frac": str(spec.error_frac)}
    return body


def _rehearse_body(endpoint: Endpoint, answer_model: type, messages: list[dict[str, Any]]) -> dict[str, Any]:
    import instructor
    from instructor.core.exceptions import InstructorRetryException

    seen: dict[str, Any] = {}

    def record(**body: Any) -> Any:
        seen.update(body)
        raise LookupError("a rehearsal has no reply")

    create = instructor.patch(create=record, mode=find_mode(endpoint))
    with quiet_instructor():
        try:
            create(response_model=answer_model, max_retries=0, messages=messages, **base_parameters(endpoint))
        except (InstructorRetryException, LookupError):
            return finish_body(endpoint, seen)
    raise AssertionError("instructor did not ask")


def find_mode(endpoint: Endpoint) -> Any:
    """instructor's mode for the endpoint."""
    import instructor

    modes = {"json_schema": "JSON_SCHEMA", "tools": "TOOLS", "json": "JSON", "md_json": "MD_JSON"}
    return instructor.Mode[modes[endpoint.mode]]


class quiet_instructor:
    """Keep instructor's log quiet about calls that fail on purpose."""

    def __enter__(self) -> None:
        import logging

        self._loggers = [logging.getLogger(name) for name in ("instructor", "instructor.v2", "instructor.v2.retry")]
        self._were = [logger.disabled for logger in self._loggers]
        for logger in self._loggers:
            logger.disabled = True

    def __exit__(self, *_: object) -> None:
        for logger, was in zip(self._loggers, self._were, strict=True):
            logger.disabled = was


def finish_body(endpoint: Endpoint, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make a schema binding where the endpoint binds only strict ones; instructor 1.17 never asks for that."""
    finished = dict(body)
    if endpoint.kind.is_strict and endpoint.mode == "json_schema":
        described = finished["response_format"]["json_schema"]
        schema = tighten_schema(described["schema"])
        finished["response_format"] = {"type": "json_schema", "json_schema": {**described, "schema": schema, "strict": True}}
    return finished


def tighten_schema(schema: Any) -> Any:
    """A schema as strict outputs take it: all properties required, no others, no bounds on strings.

    The bounds are checked on the reply all the same. Source: OpenAI's guide to structured outputs, "Supported schemas".
    """
    if isinstance(schema, list):
        return [tighten_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: tighten_schema(value) for name, value in schema.items() if name not in ("minLength", "maxLength", "default")}
    if out.get("type") == "object":
        out |= {"additionalProperties": False, "required": list(out.get("properties", {}))}
    return out


def _rehearse_address(endpoint: Endpoint) -> tuple[str, dict[str, str]]:
    import httpx2
    import openai

    seen: list[httpx2.Request] = []

    class Recorder(httpx2.BaseTransport):
        """Records the request and answers nothing of use."""

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(418)

    with httpx2.Client(transport=Recorder()) as http_client, open_openai(endpoint, http_client) as client:
        try:
            client.chat.completions.create(model=endpoint.model, messages=[{"role": "user", "content": ""}])
        except openai.APIStatusError:
            headers = {name: value for name, value in seen[0].headers.items() if name.lower() not in HOP_HEADERS}
            return str(seen[0].url), headers
    raise AssertionError("the openai client did not ask")


def open_openai(endpoint: Endpoint, http_client: Any, is_async: bool = False) -> Any:
    """The openai client of an endpoint, without retries of its own: those would be hidden spending."""
    import openai

    common = {"api_key": endpoint.api_key, "max_retries": 0, "http_client": http_client}
    if endpoint.spec.api_version:  # Azure's dated API; its v1 API takes the plain client
        azure = openai.AsyncAzureOpenAI if is_async else openai.AzureOpenAI
        return azure(azure_endpoint=endpoint.base_url, api_version=endpoint.spec.api_version, **common)
    plain = openai.AsyncOpenAI if is_async else openai.OpenAI
    return plain(base_url=endpoint.base_url, **common)


def build_body(form: Form, request: ChatRequest, max_tokens: int) -> dict[str, Any]:
    """The body of a request's first call."""
    texts = {SYSTEM_MARK: request.system, USER_MARK: request.user}
    template = form.messages if request.system else form.messages_alone
    messages = [{**message, "content": _fill(message["content"], texts)} for message in template]
    body = {**form.template, "messages": messages, form.endpoint.kind.tokens_field: max_tokens}
    if form.endpoint.kind.sends_seed:
        body["seed"] = request.seed
    return body


def _fill(content: Any, texts: dict[str, str]) -> Any:
    """Put the texts where the marks are, in one pass: a text that looks like a mark stays a text."""
    if isinstance(content, list):
        return [{**part, "text": _fill(part["text"], texts)} if "text" in part else part for part in content]
    if content in texts:
        return texts[content]
    return MARKS.sub(lambda match: texts[match[0]], content)


def encode_body(body: Mapping[str, Any]) -> bytes:
    """A body as it goes over the wire: JSON with sorted keys, so that equal bodies are equal bytes."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def name_call(endpoint: Endpoint, content: bytes, request: ChatRequest, round_ix: int) -> str:
    """The key of a call: who is asked, every byte of what is asked, which of k samples, and which round.

    The request's seed counts also where the endpoint takes none: it parts the samples of two seeds with one text.

    The prompt's version needs no part of its own: the rendered messages are in the body.
    """
    head = f"{KEY_FORMAT}\n{endpoint.provider}\n{request.seed}\n{request.sample_ix}\n{round_ix}\n".encode()
    return hashlib.sha256(head + content).hexdigest()[:32]


@asynccontextmanager
async def open_session(url: str, concurrency: int) -> AsyncIterator[Any]:
    """One pooled session for the endpoint at `url`: as many connections as calls may be in flight, kept open."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=concurrency, ttl_dns_cache=300)
    timeout = aiohttp.ClientTimeout(total=None)  # the engine has one deadline for the whole call
    # The proxy is looked up once: aiohttp's own trust_env asks the environment and ~/.netrc at every request.
    proxy, jar = find_proxy(url), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, proxy=proxy, cookie_jar=jar) as session:
        yield session


async def exchange(session: Any, form: Form, content: bytes) -> Exchange:
    """POST a body and read the whole reply, at most `MAX_REPLY_BYTES`; redirects are not followed."""
    headers = {**form.headers, "Content-Type": "application/json"}
    async with session.post(form.url, data=content, headers=headers, allow_redirects=False) as response:
        told = {name.lower(): value for name, value in response.headers.items()}
        if (response.content_length or 0) > MAX_REPLY_BYTES:
            response.close()
            return Exchange(response.status, told, b"", is_too_large=True)
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                response.close()
                return Exchange(response.status, told, b"", is_too_large=True)
        return Exchange(response.status, told, b"".join(pieces))


def keep_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that say who answered and how much is left."""
    return {name: value[:200] for name, value in headers.items() if name in KEPT_HEADERS or name.startswith(KEPT_PREFIXES)}
