"""The guard around the webserver: who may talk to it, decided before Dagster sees a request.

Belongs here: refusing requests by host, origin, method and token, as pure ASGI. Does not belong here:
starting anything (ui) or what an answer holds (dagster_webserver).

Dagster's webserver asks nobody for a password, runs mutations sent by GET, and answers to any Host and
Origin, so that any web page could start paid runs on a developer's machine. Four refusals close that:

- 421: a Host that is not ours (DNS rebinding). 403: a foreign Origin on what changes state or opens a
  websocket. 405: GraphQL by GET or HEAD. 401: no token.

The token comes once by link, `/?token=...`, and is kept as a cookie that scripts cannot read and other
sites cannot send. Cookies know no ports: another server on this host that the same browser visits
would be sent it too, which is why the Origin is checked besides. Programs send it as a bearer token.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD", "OPTIONS")
POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1
# Dagster's own policy leaves images open, so that one in a model's text could call home.
EXTRA_POLICY = b"img-src 'self' data: blob:; frame-ancestors 'none'"


class Refusal(NamedTuple):
    """An HTTP status and its words for a person."""

    status: int
    words: str


class Guard:
    """ASGI middleware that lets through what comes from the holder of `token` at our own address.

    Args:
        app: the app to protect. port: the port that it is served on. token: the secret of the link.
        command: the command that printed the link.
    """

    def __init__(self, app: App, port: int, token: str, command: str = "distill ui") -> None:
        self._app = app
        self._port = port
        self._token = token
        self._command = command
        bare = HOSTS if port == 80 else ()
        self._hosts = frozenset([f"{host}:{port}" for host in HOSTS]).union(bare)

    @property
    def cookie_name(self) -> str:
        """One name a port, so that two workspaces do not overwrite each other's."""
        return f"distill_{self._port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with a refusal or the link's redirect, else hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif refusal := self._find_refusal(scope):
            await _refuse(scope, send, refusal)
        elif self._comes_by_link(scope):
            await self._admit(scope, send)
        elif not self._has_token(scope):
            await _refuse(scope, send, Refusal(401, self._say_where()))
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _with_policy(send))

    def _find_refusal(self, scope: Scope) -> Refusal | None:
        hosts = _read_headers(scope, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return Refusal(421, f"this server answers to 127.0.0.1:{self._port} only, not to {', '.join(hosts)[:80]!r}")
        is_websocket = scope["type"] == "websocket"
        if (is_websocket or scope["method"] not in READING) and (foreign := self._find_foreign(scope)):
            return Refusal(403, f"requests from {foreign[:80]!r} are not accepted")
        is_graphql = scope["path"].rstrip("/") == "/graphql"
        if is_graphql and not is_websocket and scope["method"] in READING and scope.get("query_string"):
            return Refusal(405, "GraphQL is accepted by POST only")
        return None

    def _find_foreign(self, scope: Scope) -> str | None:
        """The origin of another site's request; None for our own pages and for programs, which send none."""
        ours = {f"http://{host}" for host in self._hosts}
        for origin in _read_headers(scope, b"origin"):
            if origin.lower() not in ours:
                return origin
        return next((site for site in _read_headers(scope, b"sec-fetch-site") if site not in ("same-origin", "none")), None)

    def _comes_by_link(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET":
            return False
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        return any(self._is_token(value) for value in given)

    def _has_token(self, scope: Scope) -> bool:
        bearers = [value[7:] for value in _read_headers(scope, b"authorization") if value[:7].lower() == "bearer "]
        return any(self._is_token(value.strip()) for value in [*bearers, *_read_cookies(scope, self.cookie_name)])

    def _is_token(self, value: str) -> bool:
        return hmac.compare_digest(value.encode("utf-8", errors="replace"), self._token.encode())

    async def _admit(self, scope: Scope, send: Send) -> None:
        cookie = f"{self.cookie_name}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        # One slash in front, whatever was asked: "//host" would lead elsewhere.
        place = "/" + scope.get("raw_path", scope["path"].encode()).decode("latin-1").lstrip("/\\")
        headers = {"location": place, "set-cookie": cookie}
        await _answer(send, 303, "", headers)

    def _say_where(self) -> str:
        return (
            f"this page needs the link that '{self._command}' printed when it started "
            f"(http://127.0.0.1:{self._port}/?token=...). Open that link once in this browser; it sets a cookie"
        )


def _read_headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _read_cookies(scope: Scope, name: str) -> list[str]:
    found = []
    for header in _read_headers(scope, b"cookie"):
        for part in header.split(";"):  # one at a time: a malformed cookie of another server hides no other
            try:
                cookie = SimpleCookie(part.strip())
            except CookieError:
                continue
            found += [morsel.value for key, morsel in cookie.items() if key == name]
    return found


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    words = f"{refusal.status}: {refusal.words}.\n"
    if scope["type"] == "http":
        await _answer(send, refusal.status, words, {"allow": "POST"} if refusal.status == 405 else {})
    elif "websocket.http.response" in scope.get("extensions", {}):
        await _answer(send, refusal.status, words, {}, prefix="websocket.http.response")
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal.words[:120]})


async def _answer(send: Send, status: int, words: str, headers: dict[str, str], prefix: str = "http.response") -> None:
    body = words.encode()
    common = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    pairs = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in (common | headers).items()]
    await send({"type": f"{prefix}.start", "status": status, "headers": pairs})
    await send({"type": f"{prefix}.body", "body": body})


def _with_policy(send: Send) -> Send:
    """Add our content policy to a response; a browser obeys both it and Dagster's own."""

    async def send_with_policy(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            policy = (b"content-security-policy", EXTRA_POLICY)
            message = {**message, "headers": [*message.get("headers", []), policy]}
        await send(message)

    return send_with_policy
