"""The guard decides by host, origin, method and token; each refusal has its own status."""

from __future__ import annotations

import asyncio

import pytest

from distill_assets.commands.guard import Guard

PORT, TOKEN = 4321, "s3cret-token"
HOST = f"127.0.0.1:{PORT}"
BEARER = {"authorization": f"Bearer {TOKEN}"}
COOKIE = {"cookie": f"distill_{PORT}={TOKEN}"}


async def _inner(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-security-policy", b"object-src 'none'")]})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(method="GET", target="/", headers=None, kind="http", host=HOST, port=PORT, extensions=()):
    """Send one request through the guard and return the messages it answers with."""
    path, _, query = target.partition("?")
    pairs = [(b"host", host.encode())] if host is not None else []
    pairs += [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {"type": kind, "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": pairs}
    scope |= {"method": method} if kind == "http" else {"extensions": {name: {} for name in extensions}}
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(Guard(_inner, port, TOKEN)(scope, receive, send))
    return sent


def status_of(**request) -> int:
    return ask(**request)[0]["status"]


def headers_of(messages) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in messages[0]["headers"]}


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"[::1]:{PORT}", f"LocalHost:{PORT}"])
def test_our_own_names_are_answered(host):
    assert status_of(headers=BEARER, host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{PORT}", "", None]
)
def test_a_foreign_host_is_misdirected_even_with_the_token(host):
    assert status_of(headers=BEARER, host=host) == 421


def test_two_host_headers_are_refused():
    assert status_of(headers={**BEARER, "host": "evil.example"}) == 421


def test_on_port_80_the_host_may_stand_without_port():
    assert status_of(headers=BEARER, host="127.0.0.1", port=80) == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
def test_graphql_by_get_is_not_allowed(method, path):
    answer = ask(method=method, target=f"{path}?query=mutation{{x}}", headers=COOKIE)
    assert answer[0]["status"] == 405
    assert headers_of(answer)["allow"] == "POST"


def test_the_graphiql_page_itself_may_be_read():
    assert status_of(target="/graphql", headers=COOKIE) == 200


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": f"https://{HOST}"},
    {"origin": "http://127.0.0.1:9999"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_foreign_page_changes_nothing_even_with_the_cookie(method, foreign):
    assert status_of(method=method, target="/graphql", headers={**COOKIE, **foreign}) == 403


@pytest.mark.parametrize(
    "own", [{"origin": f"http://{HOST}"}, {"origin": f"http://localhost:{PORT}"}, {"sec-fetch-site": "same-origin"}, {}]
)
def test_our_own_page_and_programs_may_post(own):
    assert status_of(method="POST", target="/graphql", headers={**COOKIE, **own}) == 200


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_page_opens_no_websocket(foreign):
    assert ask(kind="websocket", target="/graphql", headers={**COOKIE, **foreign})[0]["type"] == "websocket.close"


def test_a_websocket_needs_the_token():
    closed = ask(kind="websocket", target="/graphql")[0]
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    refused = ask(kind="websocket", target="/graphql", extensions=["websocket.http.response"])
    assert (refused[0]["type"], refused[0]["status"]) == ("websocket.http.response.start", 401)
    assert ask(kind="websocket", target="/graphql", headers=COOKIE)[0]["type"] == "websocket.accept"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": f"Bearer {TOKEN}é"},
        {"cookie": f"distill_1={TOKEN}"},
        {"cookie": f"distill_{PORT}={TOKEN[:-1]}"},
        {"cookie": f"distill_{PORT}="},
    ],
)
def test_without_the_token_a_plain_page_says_where_the_link_is(headers):
    answer = ask(headers=headers)
    assert answer[0]["status"] == 401
    assert headers_of(answer)["content-type"].startswith("text/plain")
    assert b"distill ui" in answer[1]["body"]
    assert TOKEN.encode() not in answer[1]["body"]


def test_a_wrong_link_is_refused():
    assert status_of(target="/?token=wrong") == 401
    assert status_of(target="/?token=") == 401


def test_the_link_sets_a_strict_cookie_and_leaves_the_address_bar():
    answer = ask(target=f"/?token={TOKEN}")
    headers = headers_of(answer)
    assert answer[0]["status"] == 303
    assert headers["location"] == "/"
    cookie = headers["set-cookie"]
    assert cookie.startswith(f"distill_{PORT}={TOKEN};")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert status_of(headers={"cookie": cookie.partition(";")[0]}) == 200


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "///evil.example/x"])
def test_the_link_never_leads_to_another_site(path):
    location = headers_of(ask(target=f"{path}?token={TOKEN}"))["location"]
    assert location.startswith("/evil.example")


def test_the_link_does_not_admit_a_post():
    assert status_of(method="POST", target=f"/graphql?token={TOKEN}") == 401


def test_a_malformed_cookie_of_another_server_hides_no_token():
    assert status_of(headers={"cookie": f'bad"x=[;]; {COOKIE["cookie"]}; other={{"a": 1}}'}) == 200


def test_images_and_frames_of_other_sites_are_kept_out():
    policies = [value for key, value in ask(headers=COOKIE)[0]["headers"] if key == b"content-security-policy"]
    assert policies[0] == b"object-src 'none'"
    assert any(b"img-src 'self'" in policy and b"frame-ancestors 'none'" in policy for policy in policies)
