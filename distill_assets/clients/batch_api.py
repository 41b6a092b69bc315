"""Files and batches of one endpoint, through the openai client: upload, create, look, list, download.

Belongs here: each exchange with its deadline and its tries, and what a refusal means. Does not belong here: when one
happens (batches) or what is remembered of it (batch_files).

All but `create` may be repeated: looking buys nothing, and a file that was uploaded twice is a file too many. A
`create` whose reply was lost is looked for in the endpoint's list, by the name that we gave the batch, for as long as
it could still appear; only then it is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from distill_assets.clients.endpoints import Endpoint, name_teacher
from distill_assets.clients.faults import Fault, read_fault, redact
from distill_assets.clients.wire import open_openai
from distill_assets.config import find_proxy
from distill_assets.errors import TeacherError

ENDS = ("completed", "failed", "expired", "cancelled")
NAME_FIELD = "distill_batch"
WINDOW = "24h"
TRANSFER_S = 3600.0  # the deadline of a file's way up or down
MAX_TOLD_BYTES = MAX_LINE_BYTES = 16 << 20  # of a reply that is no file; of a line in a file
MAX_WAIT_S = 30.0
CREATE_GRACE_S = 30.0  # for so long a batch that was created may be missing in the list
LIST_EVERY_S = 2.0
MAX_LISTED = 2_000
FILE_WAITS = ("pending", "running")
T = TypeVar("T")


class NotStartedError(TeacherError):
    """The endpoint has refused to start a batch, and has not started it."""


class UnreachableError(TeacherError):
    """Nothing got through for now; later it may."""


class Told(NamedTuple):
    """What an endpoint tells of a batch."""

    batch_id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    codes: tuple[str, ...] = ()
    words: str = ""
    n_done: int = 0
    n_total: int = 0

    @property
    def has_ended(self) -> bool:
        """True when the endpoint will do no more; a status that nobody knows has not ended."""
        return self.status in ENDS


def name_path(endpoint: Endpoint) -> str:
    """What a batch and its lines ask; Azure names the path without its version (its guide to batch deployments)."""
    return "/chat/completions" if endpoint.spec.endpoint == "azure" else "/v1/chat/completions"


@contextmanager
def open_client(endpoint: Endpoint, timeout_s: float | None = None) -> Iterator[Any]:
    """The openai client of an endpoint: no retries of its own, no redirects, a deadline for each exchange."""
    import httpx2

    seconds = timeout_s or endpoint.spec.limits.timeout_s
    transport = _build_transport(endpoint.base_url, seconds)
    with (
        httpx2.Client(transport=transport, timeout=httpx2.Timeout(seconds), follow_redirects=False) as http_client,
        open_openai(endpoint, http_client) as client,
    ):
        yield client


def _build_transport(base_url: str, seconds: float) -> Any:
    """A transport whose replies have a deadline as a whole: httpx2's own timeouts start anew with each byte."""
    import httpx2

    class Until(httpx2.SyncByteStream):
        """A reply's bytes, for as long as they may take."""

        def __init__(self, inner: httpx2.SyncByteStream, request: httpx2.Request, ends: float, is_file: bool) -> None:
            self.inner, self.request, self.ends, self.is_file = inner, request, ends, is_file

        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for piece in self.inner:
                size += len(piece)
                if time.monotonic() > self.ends:
                    raise httpx2.ReadTimeout("the deadline of the whole exchange has passed", request=self.request)
                if size > MAX_TOLD_BYTES and not self.is_file:
                    raise httpx2.RemoteProtocolError("the reply is larger than any that is expected", request=self.request)
                yield piece

        def close(self) -> None:
            self.inner.close()

    class Hurried(httpx2.BaseTransport):
        """httpx2's transport with a deadline."""

        def __init__(self) -> None:
            self.inner = httpx2.HTTPTransport(proxy=find_proxy(base_url))

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            is_file = request.url.path.endswith(("/content", "/files"))
            ends = time.monotonic() + (TRANSFER_S if is_file else seconds)
            response = self.inner.handle_request(request)
            response.stream = Until(response.stream, request, ends, is_file)
            return response

        def close(self) -> None:
            self.inner.close()

    return Hurried()


# --- what the endpoint is asked ---


def upload(client: Any, endpoint: Endpoint, file: Path) -> str:
    """Give the endpoint a batch's calls; return its name for the file.

    Raises:
        TeacherError: it takes no files, or nothing gets through.
    """

    def send() -> Any:
        with file.open("rb") as handle:
            return client.files.create(file=(file.name, handle, "application/jsonl"), purpose="batch")

    told = _ask(endpoint, "upload of a batch", send)
    file_id, ends = str(told.id), time.monotonic() + TRANSFER_S
    while told.status in FILE_WAITS and time.monotonic() < ends:  # Azure looks through a file before a batch may name it
        time.sleep(LIST_EVERY_S)
        told = _ask(endpoint, "look at a file", lambda: client.files.retrieve(file_id))
    return file_id


def create(client: Any, endpoint: Endpoint, name: str, file_id: str, grace_s: float = 0.0) -> Told:
    """Have the endpoint start the batch that we call `name`, or find the one that it has started already.

    Args:
        grace_s: for so long one that an earlier run asked for could still appear in the list; 0 when none asked.

    Raises:
        NotStartedError: it refuses. TeacherError: nobody can tell whether it has started one.
    """
    if grace_s > 0 and (found := _wait_in_list(client, endpoint, name, grace_s)) is not None:
        return found
    tries, fault = 0, Fault("passing", "not sent")
    while tries < endpoint.spec.limits.max_tries:
        tries += 1
        got = _try(endpoint, lambda: _send_create(client, endpoint, name, file_id))
        if not isinstance(got, Fault):
            return read_batch(got, endpoint)
        fault = got
        if fault.kind not in ("passing", "limited"):
            raise NotStartedError(str(refuse(endpoint, f"it starts no batch: {fault.words}")))
        if fault.is_in_doubt and (found := _wait_in_list(client, endpoint, name, CREATE_GRACE_S)) is not None:
            return found
        time.sleep(_wait_s(endpoint, fault, tries))
    raise refuse(endpoint, f"it starts no batch: {fault.words} (after {tries} tries)")


def _send_create(client: Any, endpoint: Endpoint, name: str, file_id: str) -> Any:
    return client.batches.create(
        input_file_id=file_id, endpoint=name_path(endpoint), completion_window=WINDOW, metadata={NAME_FIELD: name}
    )


def _wait_in_list(client: Any, endpoint: Endpoint, name: str, grace_s: float) -> Told | None:
    """Look for a batch in the endpoint's list until it cannot appear any more."""
    ends = time.monotonic() + grace_s
    while True:
        if (found := find_by_name(client, endpoint, name)) is not None or time.monotonic() >= ends:
            return found
        time.sleep(min(LIST_EVERY_S, max(0.0, ends - time.monotonic())))


def find_by_name(client: Any, endpoint: Endpoint, name: str) -> Told | None:
    """The batch that we called `name`, from the endpoint's list."""

    def search() -> list[Any]:
        listed = []
        for number, batch in enumerate(client.batches.list(limit=100)):
            if number >= MAX_LISTED:
                break
            if (getattr(batch, "metadata", None) or {}).get(NAME_FIELD) == name:
                listed.append(batch)
        return listed

    found = [read_batch(batch, endpoint) for batch in _ask(endpoint, "list of batches", search, is_list=True)]
    return found[0] if found else None


def look(client: Any, endpoint: Endpoint, batch_id: str, tries: int | None = None) -> Told:
    """How a batch is doing.

    Args:
        tries: as many as the recipe says, if none are given.

    Raises:
        TeacherError: the endpoint does not know it, refuses, or cannot be reached.
    """
    told = _ask(endpoint, f"look at {batch_id}", lambda: client.batches.retrieve(batch_id), tries=tries)
    return read_batch(told, endpoint)


def read_batch(batch: Any, endpoint: Endpoint) -> Told:
    """Read a batch as the client gives it: unchecked, so a field may be missing."""
    errors = getattr(getattr(batch, "errors", None), "data", None) or []
    counts = getattr(batch, "request_counts", None)
    words = "; ".join(_describe_error(error) for error in errors[:3]) + (f"; and {len(errors) - 3} more" if len(errors) > 3 else "")
    return Told(
        str(batch.id),
        str(getattr(batch, "status", "")),
        getattr(batch, "output_file_id", None) or None,
        getattr(batch, "error_file_id", None) or None,
        tuple(str(getattr(error, "code", "")) for error in errors),
        redact(words, endpoint.api_key)[:1000],
        int(getattr(counts, "completed", 0) or 0) + int(getattr(counts, "failed", 0) or 0),
        int(getattr(counts, "total", 0) or 0),
    )


def _describe_error(error: Any) -> str:
    line = getattr(error, "line", None)
    where = f"line {line}: " if line else ""
    return f"{where}{getattr(error, 'message', None) or getattr(error, 'code', None) or 'no reason given'}"


def download(client: Any, endpoint: Endpoint, file_id: str, take: Callable[[bytes], None]) -> None:
    """Read a file line by line; after a break it starts anew, so `take` must bear a line twice.

    Raises:
        TeacherError: nothing gets through.
    """

    def read() -> bool:
        with client.files.with_streaming_response.content(file_id) as response:
            for line in split_lines(response.iter_bytes()):
                take(line)
        return True

    _ask(endpoint, f"download of {file_id}", read, is_list=True)


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of a file that comes in pieces; one that is too long for memory is left out.

    The client's own way to lines also splits at characters that may stand inside a JSON string, such as U+2028.
    """
    rest, is_cut = b"", False
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines[is_cut:]
        is_cut = is_cut and not lines
        if len(rest) > MAX_LINE_BYTES:
            rest, is_cut = b"", True
    if rest and not is_cut:
        yield rest


# --- tries and faults ---


def _ask(endpoint: Endpoint, what: str, call: Callable[[], T], is_list: bool = False, tries: int | None = None) -> T:
    """Do what may be repeated, until it succeeds or there is no hope."""
    n_tried, fault = 0, Fault("passing", "not sent")
    for n_tried in range(1, 1 + (tries or endpoint.spec.limits.max_tries)):
        if n_tried > 1:
            time.sleep(_wait_s(endpoint, fault, n_tried - 1))
        got = _try(endpoint, call, is_list)
        if not isinstance(got, Fault):
            return got
        fault = got
        if fault.kind not in ("passing", "limited"):
            break
    error = refuse(endpoint, f"{what}: {fault.words}" + (f" (after {n_tried} tries)" if n_tried > 1 else ""))
    raise UnreachableError(str(error)) if fault.kind in ("passing", "limited") else error


def _wait_s(endpoint: Endpoint, fault: Fault, tries: int) -> float:
    asked = fault.wait_s if fault.wait_s is not None else endpoint.spec.limits.first_wait_s * 2 ** (tries - 1)
    return min(MAX_WAIT_S, asked)


def _try(endpoint: Endpoint, call: Callable[[], T], is_list: bool = False) -> T | Fault:
    """Do one exchange; a reply that is no object with an id is a fault."""
    import httpx2
    import openai

    try:
        got = call()
    except openai.APIStatusError as error:
        headers = {name.lower(): value for name, value in error.response.headers.items()}
        fault = read_fault(error.status_code, headers, error.response.content, endpoint.api_key)
        return fault._replace(is_in_doubt=error.status_code >= 500)
    except (openai.APIConnectionError, httpx2.HTTPError) as error:
        cause = error.__cause__ or error
        was_sent = not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)
        words = redact(f"{endpoint.provider}: {type(cause).__name__}: {cause}", endpoint.api_key)[:300]
        return Fault("passing", words, is_in_doubt=was_sent)
    if not is_list and not isinstance(getattr(got, "id", None), str):
        return Fault("passing", "the reply is not what the protocol says", is_in_doubt=True)
    return got


def refuse(endpoint: Endpoint, why: str) -> TeacherError:
    """The error of an endpoint whose batches cannot be used."""
    return TeacherError(
        f"teacher {name_teacher(endpoint.spec)} at {endpoint.provider}: {why}. Batches that were started go on there, and what "
        "came back is kept in the journal. Mend it and run again: nothing is bought twice."
    )
