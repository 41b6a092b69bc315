"""A real HTTP server that speaks Chat Completions, Files and Batches, counts everything and fails as told.

Belongs here: sending, counting, rate limits, control over HTTP, and the client's side of it. Does not belong
here: what is answered and which fault hits (hostile_answers.py), texts (hostile_samples.py), batches
(hostile_batches.py).

`serve_hostile(**settings)` starts it in a process of its own, which ends with the thread that started it. By
hand: `python -m tests.hostile_server '{"latency_s": 0.02}'` prints its address. `GET /control` tells the counts,
with `?detail=1` of each body; `POST /control` changes settings; `POST /control/reset` forgets counts and batches,
with `?settings=1` also what settings were changed.
Times are of the monotonic clock. Any path that ends in /chat/completions is a chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from distill_assets.processes import constructed_environment, die_with_parent
from tests.hostile_answers import (
    CREATED,
    FAULTS,
    IN_BATCHES,
    JSON_HEADERS,
    SETTING_NAMES,
    Call,
    Reply,
    Settings,
    answer,
    choose_fault,
    delay_of,
    error,
    filter_prompt,
    hash_body,
    is_refused,
    misfit,
    needs_reask,
    wrong_key,
)
from tests.hostile_batches import BadRequest, Batches

MAX_UPLOAD = 256 * 1024 * 1024
# A told pause is known to the client only when the 429 has arrived.
PAUSE_GRACE_S = 0.05


# ---------------------------------------------------------------- counts


@dataclass
class Tally:
    """What happened to one body."""

    requests: int = 0
    tries: int = 0
    answers: int = 0
    billed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    body: dict[str, Any] | None = None


@dataclass
class Counts:
    """What the server was asked and what it sent."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    during_pause: int = 0
    pause: tuple[float, float] = (0.0, 0.0)
    targets: set[str] = field(default_factory=set)
    header_names: set[tuple[str, ...]] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    redirected: Counter[str] = field(default_factory=Counter)

    def note_request(self, digest: str, now: float) -> Tally:
        """Count a request for a body."""
        tally = self.tallies.get(digest)
        if tally is None:
            tally = self.tallies[digest] = Tally(first_s=now)
        tally.requests += 1
        tally.last_s = now
        self.during_pause += self.pause[0] < now < self.pause[1]
        return tally

    def note_end(self, tally: Tally, status: str, whole: bool) -> None:
        """Count how a request ended."""
        tally.statuses[status] += 1
        self.statuses[status] += 1
        tally.answers += whole
        self.answers += whole

    def bill(self, tally: Tally, reply: Reply, settings: Settings, price_frac: float = 1.0) -> None:
        """Charge a reply to its body."""
        tally.billed += 1
        tally.tokens_in += reply.tokens_in
        tally.tokens_out += reply.tokens_out
        usd = (reply.tokens_in * settings.price_in + reply.tokens_out * settings.price_out) / 1e6
        tally.usd += usd * price_frac

    def told(self, detail: bool) -> dict[str, Any]:
        """All counts, as JSON takes them."""
        tallies = self.tallies.values()
        summed = {name: sum(getattr(t, name) for t in tallies) for name in ("requests", "billed", "tokens_in", "tokens_out", "usd")}
        targets = [target.partition("?") for target in self.targets]
        return {
            **summed,
            "bodies": {digest: vars(t) for digest, t in self.tallies.items()} if detail else len(self.tallies),
            "answers": self.answers,
            "duplicates": sum(t.answers > 1 for t in tallies),
            "statuses": dict(self.statuses),
            "faults": dict(self.faults),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "during_pause": self.during_pause,
            "first_s": min((t.first_s for t in tallies), default=None),
            "last_s": max((t.last_s for t in tallies), default=None),
            "paths": sorted({path for path, _, _ in targets}),
            "queries": sorted({query for _, _, query in targets if query}),
            "header_names": sorted({name.lower() for names in self.header_names for name in names}),
            "keys": sorted(self.keys),
            "redirected": dict(self.redirected),
        }


# ---------------------------------------------------------------- rate limits


class Bucket:
    """A token bucket that fills all the time."""

    def __init__(self, per_minute: float, burst_s: float) -> None:
        self.limit, self.rate = per_minute, per_minute / 60
        self.capacity = max(1.0, self.rate * burst_s)
        self.level, self.at = self.capacity, time.monotonic()

    def wait_for(self, cost: float, now: float) -> float:
        """Seconds until `cost` may be taken; a cost above the capacity needs a full bucket."""
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now
        return max(0.0, (min(cost, self.capacity) - self.level) / self.rate)

    def headers(self, unit: str) -> dict[str, str]:
        """The limit as OpenAI tells it."""
        reset = (self.capacity - self.level) / self.rate
        return {
            f"x-ratelimit-limit-{unit}": str(int(self.limit)),
            f"x-ratelimit-remaining-{unit}": str(max(0, int(self.level))),
            f"x-ratelimit-reset-{unit}": f"{reset:.3f}s" if reset >= 1 else f"{int(reset * 1000)}ms",
        }


class Limits:
    """Requests and tokens per minute."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        wanted = {"requests": settings.rpm, "tokens": settings.tpm}
        self.buckets = {unit: Bucket(limit, settings.burst_s) for unit, limit in wanted.items() if limit}

    def admit(self, reply: Reply, now: float) -> Reply:
        """`reply` if the limits allow it, else a 429; with headers as the settings say."""
        costs = {"requests": 1, "tokens": reply.tokens_in + reply.tokens_out}
        wait = max(bucket.wait_for(costs[unit], now) for unit, bucket in self.buckets.items())
        if wait > 0:
            hint = {"retry-after": str(int(wait) + 1), "retry-after-ms": str(int(wait * 1000) + 1)}
            reply = error(429, "Rate limit reached.", "rate_limit_exceeded", hint if self.settings.retry_after else None)
        else:
            for unit, bucket in self.buckets.items():
                bucket.level -= costs[unit]
        if self.settings.rate_headers == "all" or (wait > 0 and self.settings.rate_headers == "on_429"):
            reply.headers = {**reply.headers}
            for unit, bucket in self.buckets.items():
                reply.headers.update(bucket.headers(unit))
        return reply


# ---------------------------------------------------------------- the server


class Hostile:
    """The server's state, and one method for each thing that it serves."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.started_with = settings
        self.trap_url = ""
        self.settings = Settings()
        self.configure(settings)
        self.reset()

    def configure(self, settings: dict[str, Any]) -> None:
        """Change settings; buckets are filled anew when a limit changes."""
        if unknown := settings.keys() - SETTING_NAMES:
            raise BadRequest(f"no such settings: {sorted(unknown)}")
        if (settings.get("fault") or "ok") not in {*FAULTS, "mix"}:
            raise BadRequest(f"no such fault: {settings['fault']}")
        for name, value in settings.items():
            setattr(self.settings, name, value)
        if settings.keys() & {"rpm", "tpm", "burst_s"} or not hasattr(self, "limits"):
            self.limits = Limits(self.settings)

    def reset(self, with_settings: bool = False) -> None:
        """Forget all counts, files and batches, maybe also all changes of settings."""
        if with_settings:
            self.settings = Settings(**self.started_with)
        self.counts = Counts()
        self.limits = Limits(self.settings)
        self.batches = Batches(self.settings, self.answer_row)

    # What is served. Raw paths are compared by hand: a router would cost more than the answer.

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of any kind."""
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/control"):
            return await self.control(request, path, query)
        counts = self.counts
        counts.targets.add(request.raw_path)
        counts.header_names.add(tuple(request.headers))
        key = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        counts.keys.add(key)
        if path.endswith("/chat/completions"):
            return await self.chat(request, key)
        if self.settings.api_key not in (None, key):
            return respond(wrong_key(Call({}, "", self.settings, key)))
        try:
            return await self.serve_rest(request, path, parse_qs(query))
        except BadRequest as wrong:
            return respond(error(400, str(wrong), "invalid_request"))
        except KeyError as missing:
            return respond(error(404, f"No such object: {missing.args[0]}", "not_found"))

    async def chat(self, request: web.BaseRequest, key: str) -> web.StreamResponse:
        """Answer a chat completion, or not."""
        counts = self.counts
        counts.in_flight += 1
        counts.max_in_flight = max(counts.max_in_flight, counts.in_flight)
        tally = None
        try:
            try:
                body = json.loads(await request.read())
            except ValueError:
                return respond(error(400, "We could not parse the JSON body of your request.", None))
            now = time.monotonic()
            call = Call(body, hash_body(body), self.settings, key)
            tally = counts.note_request(call.digest, now)
            if self.settings.keep_bodies:
                tally.body = body
            reply = self.decide(call, tally, now)
            if reply.billed:
                counts.bill(tally, reply, self.settings)
            # A rejection is told at once; the rest takes the time that a model takes.
            if not 300 <= reply.status < 500 and (delay := delay_of(call, tally.tries)):
                await asyncio.sleep(delay)
            return await self.send(request, reply, tally)
        except asyncio.CancelledError:
            if tally is not None:
                counts.note_end(tally, "gone", whole=False)
            raise
        finally:
            counts.in_flight -= 1

    def decide(self, call: Call, tally: Tally, now: float) -> Reply:
        """The reply to one try, before it is sent."""
        settings, counts = self.settings, self.counts
        if settings.api_key not in (None, call.key):
            return wrong_key(call)
        name = None
        if is_refused(call):
            reply = filter_prompt(call)
        elif name := choose_fault(call, tally.tries + 1, counts.answers):
            reply = FAULTS[name](call)
        else:
            reply = misfit(call) if needs_reask(call) else answer(call)
        if self.limits.buckets:
            admitted = self.limits.admit(reply, now)
            # A try that the limits sent away is no try at the fault.
            if admitted.status == 429 != reply.status:
                self.note_pause(admitted, now)
                return admitted
            reply = admitted
        tally.tries += 1
        if name:
            counts.faults[name] += 1
            if reply.status == 307:
                reply.headers = {"Location": self.trap_url}
            self.note_pause(reply, now)
        return reply

    def note_pause(self, reply: Reply, now: float) -> None:
        """Remember until when this reply asks to wait."""
        told = reply.headers.get("retry-after-ms"), reply.headers.get("retry-after")
        wait = float(told[0]) / 1000 if told[0] else float(told[1] or 0)
        if wait > PAUSE_GRACE_S and now + wait > self.counts.pause[1]:
            start = self.counts.pause[0] if now < self.counts.pause[1] else now + PAUSE_GRACE_S
            self.counts.pause = (start, now + wait)

    async def send(self, request: web.BaseRequest, reply: Reply, tally: Tally) -> web.StreamResponse:
        """Send a reply in its manner, and count it when the last byte is handed over."""
        if reply.manner == "whole":
            response: web.StreamResponse = respond(reply)
        else:
            response = web.StreamResponse(status=reply.status or 200, headers=reply.headers)
        try:
            if reply.manner != "whole":
                await MANNERS[reply.manner](request, response, reply, self.settings)
            if reply.manner in ("whole", "drip", "huge"):
                await response.prepare(request)
                await response.write_eof()
        except ConnectionError:
            self.counts.note_end(tally, "gone", whole=False)
            return response
        status = str(reply.status) if reply.manner in ("whole", "drip", "huge") else reply.manner
        self.counts.note_end(tally, status, whole=reply.is_answer)
        return response

    def answer_row(self, body: dict[str, Any]) -> Reply:
        """Answer a body within a batch, where the network's faults cannot reach it."""
        call = Call(body, hash_body(body), self.settings)
        tally = self.counts.note_request(call.digest, time.monotonic())
        tally.tries += 1
        name = choose_fault(call, tally.tries, self.counts.answers)
        if is_refused(call):
            reply = filter_prompt(call)
        elif name in IN_BATCHES:
            self.counts.faults[name] += 1
            reply = FAULTS[name](call)
        else:
            reply = misfit(call) if needs_reask(call) else answer(call)
        if reply.billed:
            self.counts.bill(tally, reply, self.settings, self.settings.batch_price_frac)
        self.counts.note_end(tally, f"batch-{reply.status}", whole=reply.is_answer)
        return reply

    async def serve_rest(self, request: web.BaseRequest, path: str, query: dict[str, list[str]]) -> web.StreamResponse:
        """Models, files and batches."""
        parts = path.rstrip("/").split("/")
        # Behind /v1, or behind Azure's /openai.
        what = parts[parts.index("v1") + 1 :] if "v1" in parts else parts[2:]
        method, batches = request.method, self.batches
        match (method, *what):
            case ("GET", "models"):
                model = {"id": self.settings.served_model, "object": "model", "created": CREATED, "owned_by": "tests"}
                return tell({"object": "list", "data": [model]})
            case ("POST", "files"):
                return tell(await self.upload(request))
            case ("GET", "files"):
                wanted = query.get("purpose")
                data = [file for file in reversed(batches.files.values()) if not wanted or file["purpose"] in wanted]
                return tell({"object": "list", "data": data, "has_more": False})
            case ("GET", "files", key):
                return tell(batches.files[key])
            case ("GET", "files", key, "content"):
                return web.Response(body=batches.contents[key], content_type="application/jsonl")
            case ("DELETE", "files", key):
                batches.contents.pop(key)
                return tell({"id": key, "object": "file", "deleted": True} | {"bytes": batches.files.pop(key)["bytes"]})
            case ("POST", "batches"):
                return await self.create_batch(request)
            case ("GET", "batches"):
                return tell(batches.newest_first(query.get("after", [None])[0], int(query.get("limit", ["20"])[0])))
            case ("GET", "batches", key):
                return tell(batches.poll(key))
            case ("POST", "batches", key, "cancel"):
                return tell(batches.cancel(key))
        raise KeyError(f"{method} {path}")

    async def upload(self, request: web.BaseRequest) -> dict[str, Any]:
        """Keep an uploaded file."""
        form = await request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField):
            raise BadRequest("'file' is a required property")
        return self.batches.add_file(file.filename, str(form.get("purpose")), file.file.read())

    async def create_batch(self, request: web.BaseRequest) -> web.StreamResponse:
        """Start a batch, and maybe lose the news of it."""
        shown = self.batches.create(json.loads(await request.read()))
        if len(self.batches.batches) > self.settings.batch_lost_replies:
            return tell(shown)
        cut_connection(request)
        return web.Response()

    async def control(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Tell the counts, change settings, or forget."""
        if path == "/control/reset":
            self.reset(with_settings="settings=1" in query)
        elif request.method == "POST":
            try:
                self.configure(json.loads(await request.read()))
            except BadRequest as wrong:
                return web.json_response({"error": str(wrong)}, status=400)
        return tell({**self.counts.told(detail="detail=1" in query), "settings": asdict(self.settings)})

    async def trap(self, request: web.BaseRequest) -> web.StreamResponse:
        """The second port: who comes here has followed a redirect, with the key or without."""
        body = json.loads(await request.read() or b"{}")
        self.counts.redirected["requests"] += 1
        self.counts.redirected["with_key"] += bool({"authorization", "api-key"} & {name.lower() for name in request.headers})
        return respond(answer(Call(body, hash_body(body), self.settings)))


# ---------------------------------------------------------------- ways to send


def respond(reply: Reply) -> web.Response:
    """A reply that is sent whole."""
    return web.Response(body=reply.data, status=reply.status, headers=reply.headers)


def tell(document: dict[str, Any]) -> web.Response:
    """A document as JSON."""
    return web.Response(body=json.dumps(document).encode(), headers=JSON_HEADERS)


def cut_connection(request: web.BaseRequest) -> None:
    """Close with a TCP reset instead of a goodbye."""
    if (transport := request.transport) is None:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def send_nothing(request: web.BaseRequest, response: web.StreamResponse, reply: Reply, settings: Settings) -> None:
    """Reset before the first byte."""
    cut_connection(request)


async def send_half(request: web.BaseRequest, response: web.StreamResponse, reply: Reply, settings: Settings) -> None:
    """Reset in the middle of the body."""
    response.content_length = len(reply.data)
    await response.prepare(request)
    await response.write(reply.data[: len(reply.data) // 2])
    # The half must leave the kernel before the reset throws it away.
    await asyncio.sleep(0.01)
    cut_connection(request)


async def drip(request: web.BaseRequest, response: web.StreamResponse, reply: Reply, settings: Settings) -> None:
    """One byte at a time."""
    response.content_length = len(reply.data)
    await response.prepare(request)
    for byte in reply.data:
        await response.write(bytes([byte]))
        await asyncio.sleep(settings.drip_s)


async def hang(request: web.BaseRequest, response: web.StreamResponse, reply: Reply, settings: Settings) -> None:
    """Nothing, until the client has had enough."""
    await asyncio.Event().wait()


async def pad(request: web.BaseRequest, response: web.StreamResponse, reply: Reply, settings: Settings) -> None:
    """A valid answer behind some MiB of padding, of a length that is not told."""
    await response.prepare(request)
    await response.write(b'{"padding":"')
    block = b"a" * (256 * 1024)
    for _ in range(settings.huge_mib * 4):
        await response.write(block)
    await response.write(b'",' + reply.data[1:])


MANNERS = {"reset-before": send_nothing, "reset-mid": send_half, "drip": drip, "hang": hang, "huge": pad}


# ---------------------------------------------------------------- the process


def make_request(*parts: Any) -> web.BaseRequest:
    """A request that may be as large as an upload."""
    return web.BaseRequest(*parts, asyncio.get_running_loop(), client_max_size=MAX_UPLOAD)


async def serve(settings: dict[str, Any]) -> None:
    """Listen on two ports of loopback, print the address of the first, and never return."""
    hostile = Hostile(settings)
    ports = []
    for handler in (hostile.handle, hostile.trap):
        server = web.Server(handler, request_factory=make_request, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        ports.append(runner.addresses[0][1])
    hostile.trap_url = f"http://127.0.0.1:{ports[1]}/v1/chat/completions"
    print(json.dumps({"base_url": f"http://127.0.0.1:{ports[0]}/v1"}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the parent ends."""
    die_with_parent()
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    with contextlib.suppress(KeyboardInterrupt):
        run(serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))


# ---------------------------------------------------------------- the client's side


@dataclass
class HostileServer:
    """A running server, seen from the tests."""

    base_url: str
    process: subprocess.Popen[str]

    def configure(self, **settings: Any) -> None:
        """Change settings from now on."""
        self._control("", settings)

    def stats(self, detail: bool = False) -> dict[str, Any]:
        """The counts; with `detail`, `bodies` holds those of each body by its hash."""
        return self._control("?detail=1" if detail else "", None)

    def reset(self, with_settings: bool = False) -> None:
        """Forget counts, files and batches; `with_settings`, be set as at the start again."""
        self._control("/reset?settings=1" if with_settings else "/reset", {})

    def _control(self, path: str, settings: dict[str, Any] | None) -> dict[str, Any]:
        url = f"{self.base_url.removesuffix('/v1')}/control{path}"
        data = None if settings is None else json.dumps(settings).encode()
        # No proxy of the environment stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(url, data=data), timeout=60) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as wrong:
            raise ValueError(json.load(wrong)["error"]) from None


@contextlib.contextmanager
def serve_hostile(**settings: Any) -> Iterator[HostileServer]:
    """Run a server in a process of its own until the block ends."""
    command = [sys.executable, "-m", "tests.hostile_server", json.dumps(settings)]
    folder = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=folder, env=constructed_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the hostile server did not start (exit code {process.wait()})")
            yield HostileServer(json.loads(line)["base_url"], process)
        finally:
            process.kill()


if __name__ == "__main__":
    main()
