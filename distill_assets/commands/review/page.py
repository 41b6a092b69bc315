"""The review as a local page: what the browser asks for, and the server on loopback.

Belongs here: the page's routes and their answers. Does not belong here: who may ask (commands.guard), what is drawn
and saved (session), or how it looks (the files in `static`).

What a model wrote goes out as JSON and is put on the page as text. The page loads nothing but its own three files, and
its policy forbids the browser everything else: a script in a model's text is letters.
"""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from distill_assets.commands.guard import Guard
from distill_assets.commands.loopback import ADDRESS, listen, run_server
from distill_assets.commands.review.session import Review, read_own_labels, save_label, summarize_review
from distill_assets.errors import ReviewError, StorageError

Say = Callable[[str], object]
Endpoint = Callable[[Request], Awaitable[Response]]

COMMAND = "distill review"
FILES = Path(__file__).parent / "static"
KINDS = {"review.html": "text/html", "review.js": "text/javascript", "review.css": "text/css"}
MAX_BODY_BYTES = 64 << 10
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def serve_page(review: Review, port: int, say: Say) -> dict[str, str]:
    """Serve the page until SIGINT or SIGTERM; return sample_id -> label of what was labelled.

    Raises:
        DistillError: the port is in use.
    """
    given: dict[str, str] = {}
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    with listen(port, COMMAND) as listener:
        port, token = listener.getsockname()[1], secrets.token_urlsafe(24)
        say(f"{len(review.samples)} samples for {review.reviewer}. Open this link in your browser; it holds the key:\n")
        say(f"  http://{ADDRESS}:{port}/?token={token}\n\nEnd with Ctrl-C.")
        try:
            run_server(Guard(build_app(review, given), port, token, COMMAND), listener)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return given


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def build_app(review: Review, given: dict[str, str]) -> Starlette:
    """The page's app; whoever reaches it may label, so it stands behind the guard.

    Args:
        given: filled with sample_id -> label as labels are saved.
    """

    async def show_session(request: Request) -> Response:
        return _answer(await run_in_threadpool(_describe_session, review, given))

    async def show_sample(request: Request) -> Response:
        shown = review.samples.get(request.path_params["sample_id"])
        if shown is None:
            return _refuse(404, "this sample is not in this review")
        if review.is_blind and shown.sample_id not in given:
            shown = shown._replace(status="", evidence=())
        return _answer({**shown._asdict(), "evidence": [one._asdict() for one in shown.evidence]})

    async def take_label(request: Request) -> Response:
        return await _take_label(review, given, request)

    async def show_summary(request: Request) -> Response:
        return _answer({"summary": await run_in_threadpool(summarize_review, review.world, dict(given))})

    routes = [
        Route("/", _serve_file("review.html")),
        Route("/review.js", _serve_file("review.js")),
        Route("/review.css", _serve_file("review.css")),
        Route("/api/session", show_session),
        Route("/api/samples/{sample_id}", show_sample),
        Route("/api/labels", take_label, methods=["POST"]),
        Route("/api/summary", show_summary),
    ]
    return Starlette(routes=routes, exception_handlers={404: _tell_unknown, 405: _tell_unknown})


async def _take_label(review: Review, given: dict[str, str], request: Request) -> Response:
    values = _read_label(request, await _read_body(request))
    if isinstance(values, Response):
        return values
    try:
        saved = await run_in_threadpool(save_label, review, *values)
    except ReviewError as error:
        return _refuse(422, str(error))
    except StorageError as error:
        return _refuse(507, str(error))
    given[saved.sample_id] = saved.label
    return _answer({**saved.model_dump(), "status": saved.seen_status})


def _describe_session(review: Review, given: Mapping[str, str]) -> dict[str, Any]:
    own = read_own_labels(review)
    nothing = {"label": "", "comment": ""}
    status = {key: "" if review.is_blind and key not in given else shown.status for key, shown in review.samples.items()}
    return {
        "recipe": review.world.recipe,
        "reviewer": review.reviewer,
        "drawn": review.drawn,
        "is_blind": review.is_blind,
        "samples": [
            {
                "sample_id": shown.sample_id,
                "status": status[shown.sample_id],
                "question": shown.question,
                **own.get(shown.sample_id, nothing),
            }
            for shown in review.samples.values()
        ],
    }


async def _read_body(request: Request) -> bytes | None:
    """The request's body; None when it is too long."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _read_label(request: Request, body: bytes | None) -> tuple[str, str, str, str] | Response:
    """What save_label takes, or the refusal."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return _refuse(415, "a label comes as application/json")
    if body is None:
        return _refuse(413, f"a label has at most {MAX_BODY_BYTES} bytes")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return _refuse(400, "the label is no JSON")
    names = ("sample_id", "label", "comment", "drawn")
    if not isinstance(values, dict) or set(values) != set(names) or not all(isinstance(v, str) for v in values.values()):
        return _refuse(422, f"a label has {', '.join(names)}, each a text")
    return tuple(values[name] for name in names)


def _serve_file(name: str) -> Endpoint:
    async def serve(request: Request) -> Response:
        return Response((FILES / name).read_bytes(), media_type=KINDS[name], headers=HEADERS)

    return serve


def _answer(data: Any) -> Response:
    return JSONResponse(data, headers=HEADERS)


def _refuse(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status_code=status, headers=HEADERS)


async def _tell_unknown(request: Request, error: Exception) -> Response:
    return _refuse(getattr(error, "status_code", 404), "there is nothing of that kind here")
