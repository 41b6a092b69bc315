"""Calls to a Chat Completions endpoint: the embedded teacher and every real one, by the same code.

Belongs here: the client, structured outputs through instructor, what an attempt said of itself, and
which errors end a run. Does not belong here: what is asked (generate) or keeping replies (journal).

instructor 1.17 changes `completion.usage` to a running total and hides headers, so each attempt is
recorded in a wrapped `create` before instructor sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NamedTuple

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.config import TeacherSpec
from distill_assets.errors import TeacherError

MAX_REASKS = 1
DEFAULT_BASE_URL = "https://api.openai.com/v1"
EMBEDDED_BASE_URL = "http://embedded.invalid/v1"
FATAL_STATUS = {401: "the key was refused", 402: "the account cannot pay", 403: "access was denied", 404: "no such model"}


class Endpoint(NamedTuple):
    """Where and how to call: never part of an identity, and the key is never printed."""

    provider: str
    base_url: str
    model: str
    api_key: str
    mode: str
    temperature: float
    max_tokens: int
    concurrency: int
    timeout_s: float
    error_frac: float | None

    def __repr__(self) -> str:
        return f"Endpoint({self.provider}, {self.model})"


def plan_endpoint(spec: TeacherSpec, read_secret: Callable[[str], str | None]) -> Endpoint:
    """Turn a teacher spec into an endpoint.

    Raises:
        TeacherError: the environment variable that should hold the key is empty.
    """
    common = (spec.mode, spec.temperature, spec.max_tokens, spec.concurrency, spec.timeout_s)
    if spec.is_embedded:
        return Endpoint("embedded", EMBEDDED_BASE_URL, name_teacher(spec).split("/", 1)[1], "embedded", *common, spec.error_frac)
    key = read_secret(spec.api_key_env)
    if not key:
        raise TeacherError(
            f"teacher '{spec.model}' needs a key in the environment variable {spec.api_key_env}, which is empty. "
            "Nothing was sent. Set it (any text for an endpoint without keys), or use the embedded teacher."
        )
    base_url = spec.base_url or DEFAULT_BASE_URL
    return Endpoint(name_provider(spec), base_url, spec.model, key, *common, None)


def name_provider(spec: TeacherSpec) -> str:
    """The host that is asked, or `embedded`."""
    from urllib.parse import urlsplit

    return "embedded" if spec.is_embedded else urlsplit(spec.base_url or DEFAULT_BASE_URL).netloc


def name_teacher(spec: TeacherSpec) -> str:
    """The teacher with its version, as it stands in every provenance field."""
    from distill_assets.clients.sql_grammar import VERSION

    return f"{spec.model}@{VERSION}" if spec.is_embedded else spec.model


def teacher_identity(teacher: TeacherSpec, provider: str) -> dict[str, object]:
    """What of a teacher decides its answers; the embedded one's grammar is named by its version."""
    return teacher.identity("base_url", "api_key_env", "concurrency", "timeout_s") | {
        "provider": provider,
        "teacher": name_teacher(teacher),
    }


async def ask_all(endpoint: Endpoint, answer_model: type, requests: Iterable[ChatRequest]) -> AsyncIterator[ChatReply]:
    """Send `requests` with bounded concurrency and yield replies as they come.

    Raises:
        TeacherError: at the first error that a retry does not mend; calls in flight are cancelled.
    """
    http_client, client = _open_client(endpoint)
    source = iter(requests)
    running: set[asyncio.Task[ChatReply]] = set()
    try:
        while True:
            while len(running) < endpoint.concurrency and (request := next(source, None)) is not None:
                running.add(asyncio.create_task(_ask(endpoint, client, answer_model, request)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            fatal = None
            for task in done:
                if (error := task.exception()) is not None:
                    fatal = error
                else:
                    yield task.result()
            if fatal is not None:
                raise fatal
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await http_client.aclose()


def _open_client(endpoint: Endpoint) -> tuple[Any, Any]:
    import httpx2
    import openai

    if endpoint.provider == "embedded":
        from distill_assets.clients.embedded_chat import embedded_transport

        http_client = httpx2.AsyncClient(transport=embedded_transport())
    else:
        limits = httpx2.Limits(max_keepalive_connections=endpoint.concurrency, max_connections=endpoint.concurrency)
        http_client = httpx2.AsyncClient(limits=limits, timeout=endpoint.timeout_s, follow_redirects=False)
    client = openai.AsyncOpenAI(
        base_url=endpoint.base_url, api_key=endpoint.api_key, http_client=http_client, timeout=endpoint.timeout_s
    )
    return http_client, client


async def _ask(endpoint: Endpoint, client: Any, answer_model: type, request: ChatRequest) -> ChatReply:
    import instructor
    from instructor.core.exceptions import IncompleteOutputException, InstructorRetryException
    from pydantic import ValidationError

    attempts: list[Any] = []
    mode = instructor.Mode.JSON_SCHEMA if endpoint.mode == "json_schema" else instructor.Mode.TOOLS
    create = instructor.patch(create=_record_attempts(client, attempts), mode=mode)
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            answer = await create(response_model=answer_model, max_retries=MAX_REASKS, **_build_body(endpoint, request))
    except IncompleteOutputException:
        return _describe(request, attempts, "truncated", None, "the reply reached max_tokens")
    except (InstructorRetryException, ValidationError) as error:
        return _settle_failure(endpoint, request, attempts, error)
    except TimeoutError:
        return _describe(request, attempts, "error", None, f"no whole reply within {endpoint.timeout_s:g} s")
    return _describe(request, attempts, "ok", answer.model_dump(), None)


def _build_body(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}],
        "temperature": endpoint.temperature,
        "max_tokens": endpoint.max_tokens,
        "seed": request.seed,
    }
    if endpoint.error_frac is not None:
        body["metadata"] = {"error_frac": str(endpoint.error_frac)}
    return body


def _record_attempts(client: Any, attempts: list[Any]) -> Callable[..., Any]:
    async def create(**body: Any) -> Any:
        completion = await client.chat.completions.create(**body)
        if isinstance(completion, str) or not completion.choices:
            raise ValueError("the reply is not a chat completion")
        attempts.append(completion.model_copy(deep=False))
        return completion

    return create


def _settle_failure(endpoint: Endpoint, request: ChatRequest, attempts: list[Any], error: Exception) -> ChatReply:
    import openai

    cause = error.__cause__ or error
    if isinstance(cause, openai.APIStatusError):
        text = redact(f"HTTP {cause.status_code}: {str(cause)[:300]}", endpoint.api_key)
        quota = cause.status_code == 429 and "insufficient_quota" in text
        if cause.status_code in FATAL_STATUS or quota:
            why = FATAL_STATUS.get(cause.status_code, "the quota is used up")
            raise TeacherError(
                f"teacher {endpoint.model} at {endpoint.provider}: {why} ({text}). Nothing more was sent; all replies "
                "so far are kept in the journal. Mend it and run again: only what is missing is asked for."
            ) from None
        return _describe(request, attempts, "error", None, text)
    status = "invalid" if attempts else "error"
    return _describe(request, attempts, status, None, redact(f"{type(cause).__name__}: {str(cause)[:300]}", endpoint.api_key))


def redact(text: str, secret: str) -> str:
    """Take a key out of a text that an endpoint or a library wrote."""
    return text.replace(secret, "[redacted]") if len(secret) > 5 else text


def _describe(
    request: ChatRequest, attempts: list[Any], status: str, answer: dict[str, str] | None, error: str | None
) -> ChatReply:
    if not attempts:
        return ChatReply(request.request_id, status, answer, error)
    last = attempts[-1]
    choice = last.choices[0]
    refused = status != "ok" and (choice.finish_reason == "content_filter" or bool(choice.message.refusal))
    usage = [attempt.usage for attempt in attempts if attempt.usage is not None]
    return ChatReply(
        request.request_id,
        "refused" if refused else status,
        answer,
        error,
        served_model=last.model,
        system_fingerprint=last.system_fingerprint,
        response_id=last.id,
        finish_reason=choice.finish_reason,
        prompt_tokens=sum(u.prompt_tokens for u in usage),
        completion_tokens=sum(u.completion_tokens for u in usage),
        extra=dict((last.model_extra or {}).get("embedded") or {}),
    )
