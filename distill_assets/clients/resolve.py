"""From the journal to a reply, or to the next call that is missing for it.

Belongs here: the order of calls that one request can need (first, longer, re-asks, another round), replayed from
the journal each time. Does not belong here: sending (engine, batches) or reading one reply (replies).

The one idea: `resolve` is a function of the request and the journal alone. Whoever sends calls it, sends what is
missing, journals the reply and calls it again; so a run that was killed, a second run and a batch all go the same way,
and a request whose calls are all known costs nothing. instructor judges and re-asks; where the first reply already
fits the answer model, its machinery is left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import ValidationError

from distill_assets.clients.chat import ChatReply, ChatRequest
from distill_assets.clients.journal import Journal
from distill_assets.clients.prices import Price
from distill_assets.clients.replies import (
    Reading,
    Usage,
    find_logprobs,
    find_upstream,
    has_fallen_back,
    name_server,
    read_completion,
    read_usage,
)
from distill_assets.clients.wire import (
    Form,
    base_parameters,
    build_body,
    encode_body,
    find_mode,
    finish_body,
    name_call,
    quiet_instructor,
)

LONGER = 2
MAX_WORDS = 300


class Call(NamedTuple):
    """One call to send. `is_repeat`: a reply is known, but not one that the recipe takes."""

    key: str
    content: bytes
    max_tokens: int
    is_repeat: bool = False


class MissingError(Exception):
    """A call that the journal does not hold."""

    def __init__(self, call: Call) -> None:
        super().__init__(call.key)
        self.call = call


class EndedError(Exception):
    """A reply that no re-ask can follow."""


def name_first_call(form: Form, request: ChatRequest) -> str:
    """The key of a request's first call, which is the request's id."""
    content = encode_body(build_body(form, request, form.endpoint.spec.max_tokens))
    return name_call(form.endpoint, content, request, 0)


def resolve(form: Form, price: Price | None, request: ChatRequest, journal: Journal) -> ChatReply | Call:
    """Give the request's reply as the journal has it, or the next call to send for it."""
    try:
        return _Replay(form, price, request, journal).settle()
    except MissingError as missing:
        return missing.call


class _Replay:
    """One request's calls so far."""

    def __init__(self, form: Form, price: Price | None, request: ChatRequest, journal: Journal) -> None:
        self.form, self.price, self.request, self.journal = form, price, request, journal
        self.endpoint, self.spec = form.endpoint, form.endpoint.spec
        self.first_key = ""
        self.last: dict[str, Any] = {}
        self.usages: list[Usage] = []
        self.costs: list[float] = []
        self.missing: MissingError | None = None

    def settle(self) -> ChatReply:
        reply = self._go_round(0)
        return self._go_round(1) if reply.status in self.spec.retry_outcomes else reply

    def _go_round(self, round_ix: int) -> ChatReply:
        max_tokens = self.spec.max_tokens
        reading = self._read(build_body(self.form, self.request, max_tokens), round_ix, max_tokens)
        if reading.status == "truncated" and self.spec.retry_truncated:
            max_tokens *= LONGER
            reading = self._read(build_body(self.form, self.request, max_tokens), round_ix, max_tokens)
        if reading.status != "ok":
            return self._describe(reading, None)
        try:
            answer = self.form.answer_model.model_validate_json(reading.text, strict=True)
        except (ValidationError, ValueError):
            return self._ask_again(reading, round_ix, max_tokens)
        return self._describe(reading, answer.model_dump())

    def _read(self, body: dict[str, Any], round_ix: int, max_tokens: int) -> Reading:
        """Find a body's reply and read it; one that the endpoint would not take has no reply to read."""
        content = encode_body(body)
        record = self._find(content, round_ix, max_tokens)
        self.last = record
        if "outcome" in record:
            return Reading(record["outcome"], "", record.get("error"), None, None, None)
        usage = read_usage(record["body"], len(content))
        self.usages.append(usage)
        return read_completion(record["body"])

    def _find(self, content: bytes, round_ix: int, max_tokens: int) -> dict[str, Any]:
        key = name_call(self.endpoint, content, self.request, round_ix)
        self.first_key = self.first_key or key
        records = self.journal.find(key)
        expected = [record for record in records if self.is_expected(record)]
        if not expected and (not records or (self.spec.pin is not None and self.spec.pin.otherwise == "stop")):
            raise MissingError(Call(key, content, max_tokens, bool(records)))
        chosen = (expected or records)[-1]
        self.costs.append(chosen.get("usd"))
        return chosen

    def is_expected(self, record: dict[str, Any]) -> bool:
        """Whether the model that answered is the pinned one; without a pin, whether no proxy swapped it."""
        return is_expected(self.spec, record)

    def _ask_again(self, first: Reading, round_ix: int, max_tokens: int) -> ChatReply:
        """Let instructor parse the first reply its way and, with the error, ask again."""
        import instructor
        from instructor.core.exceptions import IncompleteOutputException, InstructorRetryException

        readings = [first]

        def replay(**body: Any) -> Any:
            if not self._is_replayed:
                self._is_replayed = True
                return as_completion(self.last["body"], first)
            try:
                reading = self._read(finish_body(self.endpoint, body), round_ix, max_tokens)
            except MissingError as missing:
                self.missing = missing
                raise
            readings.append(reading)
            if reading.status != "ok":
                raise EndedError(reading.status)
            return as_completion(self.last["body"], reading)

        self._is_replayed = False
        create = instructor.patch(create=replay, mode=find_mode(self.endpoint))
        with quiet_instructor():
            try:
                answer = create(
                    response_model=self.form.answer_model, max_retries=self.spec.max_reasks, **self._plain_body(max_tokens)
                )
            except (InstructorRetryException, IncompleteOutputException, ValidationError, EndedError, ValueError) as error:
                if self.missing is not None:
                    raise self.missing from None
                words = " ".join(str(error.__cause__ or error).split())[:MAX_WORDS]
                last = readings[-1]
                return self._describe(last if last.status != "ok" else last._replace(status="invalid", error=words), None)
        return self._describe(readings[-1], answer.model_dump())

    def _plain_body(self, max_tokens: int) -> dict[str, Any]:
        """The first call's parameters as instructor takes them: before it adds the schema."""
        messages = [{"role": "system", "content": self.request.system}] if self.request.system else []
        messages.append({"role": "user", "content": self.request.user})
        kind = self.endpoint.kind
        body = {**base_parameters(self.endpoint), "messages": messages, kind.tokens_field: max_tokens}
        return {**body, "seed": self.request.seed} if kind.sends_seed else body

    def _describe(self, reading: Reading, answer: dict[str, str] | None) -> ChatReply:
        body = self.last.get("body")
        data = body if isinstance(body, dict) else {}
        status, error = reading.status, reading.error
        if "outcome" not in self.last and not self.is_expected(self.last):
            status, answer = "other_model", None
            pinned = self.spec.pin.served_model if self.spec.pin else self.spec.model
            error = f"answered by {data.get('model')}, not by {pinned}"
        known = [cost for cost in self.costs if cost is not None]
        return ChatReply(
            self.first_key,
            status,
            self.spec.called,
            answer,
            error,
            served_model=_text(data.get("model")),
            upstream=find_upstream(data, self.last.get("headers") or {}),
            system_fingerprint=_text(data.get("system_fingerprint")),
            headers=name_server(self.last.get("headers") or {}),
            response_id=_text(data.get("id")),
            finish_reason=reading.finish_reason,
            trace=reading.trace,
            trace_field=reading.trace_field,
            prompt_tokens=sum(usage.prompt for usage in self.usages),
            completion_tokens=sum(usage.completion for usage in self.usages),
            reasoning_tokens=sum(usage.reasoning for usage in self.usages),
            cost_usd=sum(known) if len(known) == len(self.costs) else None,
            n_calls=len(self.costs),
            extra=data.get("embedded"),
            logprobs=find_logprobs(data),
        )


def is_expected(spec: Any, record: dict[str, Any]) -> bool:
    """Whether a journaled reply is from the model that the recipe expects.

    Without a pin any model will do, but not one that a proxy swapped in silently.
    """
    if "outcome" in record:
        return True
    if has_fallen_back(record.get("headers") or {}):
        return False
    body = record["body"]
    served = body.get("model") if isinstance(body, dict) else None
    return spec.pin is None or served == spec.pin.served_model


def as_completion(data: dict[str, Any], reading: Reading) -> Any:
    """A reply as the openai client gives it to instructor, its reasoning taken out of the content."""
    from openai.types.chat import ChatCompletion

    choice = data["choices"][0]
    message = choice["message"]
    if not message.get("tool_calls"):
        message = {**message, "content": reading.text}
    return ChatCompletion.construct(**{**data, "choices": [{**choice, "message": message}], "usage": None})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
