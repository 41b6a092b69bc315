"""The real `distill ui`: link, refusals, GraphQL, runs with and without the daemon, and no orphan after it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

import distill_assets
from distill_assets.commands.family import find_descendants
from distill_assets.commands.ui import write_workspace
from tests.scenario import write_scenario

ROOT = Path(distill_assets.__file__).resolve().parents[1]
READY_S = 60.0

REFUSALS = (401, 403, 405, 421)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.slow
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


class Server(NamedTuple):
    process: subprocess.Popen
    port: int
    token: str
    home: Path

    def ask(self, method: str = "GET", target: str = "/", body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
        """Send one request; underscores in header names stand for hyphens."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def query(self, text: str, **variables: object) -> dict:
        body = json.dumps({"query": text, "variables": variables}).encode()
        status, _, answer = self.ask(
            "POST", "/graphql", body, authorization=f"Bearer {self.token}", content_type="application/json"
        )
        assert status == 200, answer
        return json.loads(answer)["data"]

    def launch(self, recipe: str, asset: str) -> str:
        selector = {
            "repositoryLocationName": "distill_assets",
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [recipe, asset]}],
        }
        found = self.query(LAUNCH, params={"selector": selector, "mode": "default", "runConfigData": {}})["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return found["run"]["runId"]

    def status(self, run_id: str) -> str:
        return self.query(STATUS, id=run_id)["runOrError"]["status"]


def run_environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "DISTILL_RECIPES")}
    return inherited | {"DISTILL_HOME": str(home), "PYTHONPATH": str(ROOT)}


def start(folder: Path, recipe: Path, *options: str) -> Server:
    """Start `distill ui` in a folder that has nothing of the project in it, and wait for its link."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "ui.log"
    command = [sys.executable, "-m", "distill_assets.cli", "ui", "--port", "0", "--recipe", str(recipe), *options]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=run_environment(folder / "home"), stdout=out, stderr=out)
    link = wait_for(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", log.read_text()), READY_S)
    assert link, log.read_text()
    return Server(process, int(link[1]), link[2], folder / "home")


def wait_for(look: Callable[[], object], seconds: float):
    """Return the first true value that `look` gives, or the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def stop(server: Server) -> list[int]:
    """End the server as a service manager would; returns those of its processes that are left."""
    family = find_descendants(server.process.pid)
    assert family, "a server without children would prove nothing"
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(40)
    finally:
        server.process.kill()
    wait_for(lambda: not list(filter(is_alive, family)), 5)
    return list(filter(is_alive, family))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ui")
    recipe = write_scenario(folder / "choir").path
    running = start(folder / "elsewhere", recipe)
    yield running
    if running.process.poll() is None:
        stop(running)


def test_without_the_token_nothing_is_shown(server: Server):
    status, _, body = server.ask()
    assert status == 401
    assert b"distill ui" in body
    assert server.ask("POST", "/graphql", b"{}", content_type="application/json")[0] == 401


def test_the_link_opens_the_ui(server: Server):
    status, headers, _ = server.ask(target=f"/?token={server.token}")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"].partition(";")[0]
    status, headers, body = server.ask(cookie=cookie)
    assert status == 200
    assert b"<title" in body
    assert b'"telemetryEnabled": false' in body
    assert "img-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("status", "method", "headers"),
    [
        (405, "GET", {}),
        (405, "HEAD", {}),
        (421, "POST", {"host": "evil.example"}),
        (403, "POST", {"origin": "http://evil.example"}),
        (403, "POST", {"sec_fetch_site": "cross-site"}),
    ],
)
def test_what_another_site_could_send_is_refused_even_with_the_token(server: Server, status, method, headers):
    target = "/graphql?query=mutation%7Bx%7D" if method in ("GET", "HEAD") else "/graphql"
    assert server.ask(method, target, b"{}", authorization=f"Bearer {server.token}", **headers)[0] == status


def test_a_websocket_opens_with_the_token_only(server: Server):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    address = f"ws://127.0.0.1:{server.port}/graphql"
    with pytest.raises(InvalidStatus, match="401"):
        connect(address, subprotocols=["graphql-ws"], proxy=None)
    with pytest.raises(InvalidStatus, match="403"):
        connect(
            address, subprotocols=["graphql-ws"], proxy=None, origin="http://evil.example",
            additional_headers={"cookie": f"distill_{server.port}={server.token}"},
        )  # fmt: skip
    with connect(
        address, subprotocols=["graphql-ws"], proxy=None, origin=f"http://127.0.0.1:{server.port}",
        additional_headers={"cookie": f"distill_{server.port}={server.token}"},
    ) as socket_:  # fmt: skip
        socket_.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket_.recv(10))["type"] == "connection_ack"


def test_the_recipes_graph_is_loaded(server: Server):
    nodes = server.query("{ assetNodes { assetKey { path } } }")["assetNodes"]
    assert {"choir/databases", "choir/seed_corpus", "choir/training_dataset"} <= {"/".join(n["assetKey"]["path"]) for n in nodes}


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_a_browser_shows_the_graph_and_keeps_no_token_in_its_address(server: Server):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None)
        page.on("response", lambda answer: refused.append(f"{answer.status} {answer.url}") if answer.status in REFUSALS else None)
        page.goto(f"http://127.0.0.1:{server.port}/?token={server.token}")
        assert "token" not in page.url
        page.goto(f"http://127.0.0.1:{server.port}/assets/choir/seed_corpus")
        page.get_by_text("One row a seed", exact=False).first.wait_for(timeout=30_000)
        browser.close()
    assert refused == []


def test_a_run_goes_through_the_queue_and_succeeds(server: Server):
    run_id = server.launch("choir", "databases")
    done = wait_for(lambda: server.status(run_id) in ("SUCCESS", "FAILURE", "CANCELED"), 60)
    assert done, server.status(run_id)
    assert server.status(run_id) == "SUCCESS"
    assert list((server.home / "databases" / "choir").glob("choir-*.duckdb"))


def test_a_second_ui_of_the_workspace_names_the_first(server: Server):
    command = [sys.executable, "-m", "distill_assets.cli", "ui", "--port", "0"]
    second = subprocess.run(command, env=run_environment(server.home), capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert f"pid {server.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_refused_before_anything_starts(server: Server, tmp_path: Path):
    command = [sys.executable, "-m", "distill_assets.cli", "ui", "--port", str(server.port)]
    second = subprocess.run(command, env=run_environment(tmp_path / "home"), capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert f"port {server.port} of 127.0.0.1 cannot be used" in second.stderr
    assert "Nothing was started" in second.stderr
    assert not (tmp_path / "home" / "dagster").exists()


def test_it_listens_on_loopback_only(server: Server):
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == server.port}
    assert {socket.inet_ntoa(bytes.fromhex(address)[::-1]) for address in listening} == {"127.0.0.1"}


def test_after_sigterm_no_process_is_left(server: Server):
    assert stop(server) == []
    assert server.process.returncode == 0


def test_without_the_daemon_a_run_starts_and_is_cancelled_at_the_end(tmp_path: Path):
    recipe = write_scenario(tmp_path / "slow", name="slow").path
    script = recipe / "databases" / "choir.sql"
    script.write_text(script.read_text() + "\nCREATE TABLE big AS SELECT count(*) AS n FROM range(4000000000) a, range(1000) b;\n")
    server = start(tmp_path / "elsewhere", recipe, "--no-daemon")
    try:
        run_id = server.launch("slow", "databases")
        assert wait_for(lambda: server.status(run_id) == "STARTED", 30), server.status(run_id)
    finally:
        left = stop(server)
    assert left == []
    assert find_status(server.home, run_id) in ("CANCELED", "FAILURE")


def find_status(home: Path, run_id: str) -> str:
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        return instance.get_run_by_id(run_id).status.value


def test_a_broken_recipe_is_named_by_line_before_anything_starts(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text("name: x\ndatabases: {a: a.sql}\nscales: tiny\n")
    command = [sys.executable, "-m", "distill_assets.cli", "ui", "--port", "0", "--recipe", str(tmp_path)]
    found = subprocess.run(command, env=run_environment(tmp_path / "home"), capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert f"{tmp_path / 'recipe.yaml'}:3: scales: unknown field" in found.stderr


def test_the_workspace_file_finds_the_package_without_installation(tmp_path: Path):
    written = yaml.safe_load(write_workspace(tmp_path / "workspace.yaml").read_text())
    module = written["load_from"][0]["python_module"]
    assert module["location_name"] == "distill_assets"
    assert (Path(module["working_directory"]) / "distill_assets" / "definitions.py").is_file()
