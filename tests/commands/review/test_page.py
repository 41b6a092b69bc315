"""The review's page through the real server: who may ask, what it answers, what it saves; then in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from distill_assets.config import RecipeFolder
from distill_assets.reviews.labels import read_journal
from distill_assets.storage import Workspace
from tests.commands.review.world import HOSTILE, ROOT, build_judged, review_command, sample_id
from tests.scenario import write_scenario

pytestmark = pytest.mark.slow
PATIENCE_S = 40
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Page(NamedTuple):
    process: subprocess.Popen
    log: Path
    port: int
    token: str
    home: Path

    def ask(self, method: str = "GET", target: str = "/", body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
        """Send one request; underscores in header names stand for hyphens."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            named = {name.lower(): "; ".join(answer.headers.get_all(name)) for name in answer.headers}
            return answer.status, named, answer.read()
        finally:
            connection.close()

    def read(self, target: str) -> dict:
        status, _, body = self.ask(target=target, authorization=f"Bearer {self.token}")
        assert status == 200, body
        return json.loads(body)

    def label(self, body: object, **headers: str) -> tuple[int, dict]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.token}", "content_type": "application/json", **headers}
        status, _, answer = self.ask("POST", "/api/labels", data, **sent)
        return status, json.loads(answer)

    def labels(self) -> list:
        return list(read_journal(Workspace(self.home), "choir").labels)


def start_page(folder: RecipeFolder, home: Path, log: Path, *options: str) -> Page:
    environment = {**os.environ, "DISTILL_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out:
        process = subprocess.Popen(review_command(folder, *options), stdout=out, stderr=out, env=environment)
    deadline = time.monotonic() + PATIENCE_S
    while not (link := re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n", log.read_text())):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return Page(process, log, int(link[1]), link[2], home)


def stop(page: Page, number: int = signal.SIGINT) -> str:
    page.process.send_signal(number)
    try:
        page.process.wait(PATIENCE_S)
    finally:
        page.process.kill()
    return page.log.read_text()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RecipeFolder, Path]]:
    folder = tmp_path_factory.mktemp("review")
    home = folder / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILL_HOME", str(home))
        patch.delenv("DAGSTER_HOME", raising=False)
        recipe = write_scenario(folder / "choir")
        build_judged(recipe, home)
        yield recipe, home


@pytest.fixture(scope="module")
def page(world: tuple[RecipeFolder, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    opened = start_page(*world, tmp_path_factory.mktemp("log") / "page.log", "--reviewer", "ann")
    yield opened
    stop(opened)


def make_body(number: int = 0, **changes: object) -> dict[str, object]:
    return {"sample_id": sample_id(number), "label": "accept", "comment": "", "drawn": "random"} | changes


def test_without_the_links_token_nothing_is_shown_or_taken(page: Page) -> None:
    for target in ("/", "/review.js", "/api/session", f"/api/samples/{sample_id(0)}", "/?token=guess"):
        status, _, body = page.ask(target=target)
        assert status == 401 and b"'distill review' printed" in body, target
    assert page.ask("POST", "/api/labels", json.dumps(make_body()).encode(), content_type="application/json")[0] == 401
    assert page.labels() == []


def test_the_link_sets_a_cookie_that_opens_the_page(page: Page) -> None:
    status, headers, _ = page.ask(target=f"/?token={page.token}")
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=Strict" in headers["set-cookie"]
    cookie = headers["set-cookie"].partition(";")[0]
    for target, kind in (("/", "text/html"), ("/review.js", "text/javascript"), ("/review.css", "text/css")):
        status, headers, body = page.ask(target=target, cookie=cookie)
        assert status == 200 and headers["content-type"].startswith(kind) and body
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    page_text = page.ask(cookie=cookie)[2].decode()
    assert not re.search(r"\son\w+=|<script>|<style|https?://|style=", page_text), "the policy would forbid it"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (421, {"host": "evil.example"}),
        (403, {"origin": "http://evil.example"}),
        (403, {"origin": "null"}),
        (403, {"sec_fetch_site": "cross-site"}),
        (415, {"content_type": "text/plain"}),
    ],
)
def test_what_another_site_could_send_is_refused_even_with_the_token(page: Page, status: int, headers: dict[str, str]) -> None:
    before = page.labels()
    sent = {"authorization": f"Bearer {page.token}", "content_type": "application/json", **headers}
    assert page.ask("POST", "/api/labels", json.dumps(make_body()).encode(), **sent)[0] == status
    assert page.labels() == before


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        (b"[" * 60_000, 400, "no JSON"),
        (b"x" * 70_000, 413, "at most"),
        ([], 422, "a label has sample_id"),
        (make_body(label=1), 422, "each a text"),
        (make_body(label="good"), 422, "label: Input should be"),
        (make_body(drawn="twice"), 422, "drawn: Input should be"),
        (make_body(comment="x" * 5000), 422, "comment: String should have at most"),
        (make_body(more="x"), 422, "a label has sample_id"),
        (make_body(sample_id="f" * 32), 422, "is not in this review"),
        (make_body(sample_id="../../etc"), 422, "is not in this review"),
        (json.dumps(make_body()).replace('"comment": ""', '"comment": "\\ud800"').encode(), 422, "comment: "),
    ],
)
def test_what_is_no_label_is_refused_and_nothing_is_saved(page: Page, body: object, status: int, words: str) -> None:
    before = page.labels()
    got, answer = page.label(body)
    assert got == status and words in answer["error"]
    assert page.labels() == before


def test_what_is_not_there_is_told_as_json(page: Page) -> None:
    for method, target, status in (
        ("GET", "/nothing", 404),
        ("GET", f"/api/samples/{'f' * 32}", 404),
        ("DELETE", "/api/labels", 405),
    ):
        got, _, body = page.ask(method, target, authorization=f"Bearer {page.token}")
        assert got == status and "error" in json.loads(body)


def test_a_label_is_on_the_disk_when_it_is_acknowledged(page: Page) -> None:
    session = page.read("/api/session")
    assert (session["recipe"], session["reviewer"], session["drawn"], len(session["samples"])) == ("choir", "ann", "random", 6)
    status, saved = page.label(make_body(1, label="reject", comment="no\x1b[2J", drawn="chosen"))
    last = page.labels()[-1]
    assert status == 200 and saved == {**last.model_dump(), "status": "accepted"}
    assert (last.label, last.comment, last.drawn, last.seen_status) == ("reject", "no[2J", "chosen", "accepted")
    [own] = [sample for sample in page.read("/api/session")["samples"] if sample["label"]]
    assert (own["sample_id"], own["label"], own["comment"]) == (sample_id(1), "reject", "no[2J")
    assert "1 reject" in page.read("/api/summary")["summary"]


def test_a_models_text_goes_out_as_letters_and_what_acts_is_spelt_out(page: Page) -> None:
    detail = page.read(f"/api/samples/{sample_id(4)}")
    assert HOSTILE in detail["question"] and detail["status"] == "rejected"
    assert "\x1b" not in detail["trace"] and "\\u202etxt" in detail["trace"]
    assert [one["status"] for one in detail["evidence"]] == ["failed", "passed"]


def test_a_label_that_cannot_be_saved_is_not_acknowledged(tmp_path: Path, world: tuple[RecipeFolder, Path]) -> None:
    recipe, home = world
    own = tmp_path / "home"
    shutil.copytree(home, own)
    page = start_page(recipe, own, tmp_path / "page.log", "--reviewer", "ann")
    try:
        shutil.rmtree(own / "reviews", ignore_errors=True)
        (own / "reviews").write_text("in the way")
        status, answer = page.label(make_body())
    finally:
        told = stop(page)
    assert status == 507 and "were not saved; earlier ones are untouched" in answer["error"]
    assert "Traceback" not in told


def test_two_reviewers_at_once_lose_nothing_of_each_other(page: Page, world: tuple[RecipeFolder, Path], tmp_path: Path) -> None:
    other = start_page(*world, tmp_path / "other.log", "--reviewer", "bob", "--with-others")
    try:
        for number in range(6):
            assert page.label(make_body(number, label="accept"))[0] == 200
            assert other.label(make_body(number, label="reject"))[0] == 200
    finally:
        told = stop(other, signal.SIGTERM)
    by_person = {name: {label.sample_id for label in page.labels() if label.reviewer == name} for name in ("ann", "bob")}
    assert by_person["ann"] == by_person["bob"] == {sample_id(number) for number in range(6)}
    assert "Labelled in this review: 6 (0 accept, 6 reject, 0 unsure)" in told
    assert "6 samples by 2 people; 6 by more than one, who differ on 6" in told
    assert "Traceback" not in told and other.process.returncode == 0


def test_a_blind_review_sends_no_word_of_the_judges_before_the_label(world: tuple[RecipeFolder, Path], tmp_path: Path) -> None:
    server = start_page(*world, tmp_path / "blind.log", "--reviewer", "eve", "--with-others", "--blind")
    try:
        assert {sample["status"] for sample in server.read("/api/session")["samples"]} == {""}
        before = server.read(f"/api/samples/{sample_id(3)}")
        assert (before["status"], before["evidence"]) == ("", [])
        assert server.label(make_body(3))[1]["status"] == "rejected"
        after = server.read(f"/api/samples/{sample_id(3)}")
        assert after["status"] == "rejected" and len(after["evidence"]) == 2
        assert [sample["status"] for sample in server.read("/api/session")["samples"] if sample["label"]] == ["rejected"]
    finally:
        stop(server)


def test_a_port_in_use_is_refused(page: Page, world: tuple[RecipeFolder, Path]) -> None:
    command = review_command(world[0], "--reviewer", "cleo", "--with-others", "--port", str(page.port))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert second.returncode == 1 and "choose a port: distill review --port 0" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.browser
def test_a_person_labels_by_keyboard_in_a_browser(world: tuple[RecipeFolder, Path], tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.fail("no chromium on this machine: apt-get install chromium, or set up any Chrome as google-chrome")
    server = start_page(*world, tmp_path / "page.log", "--reviewer", "dora", "--with-others")
    complaints: list[str] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            page.set_default_timeout(PATIENCE_S * 1000)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"http://127.0.0.1:{server.port}/?token={server.token}")
            assert "token" not in page.url
            label_by_keyboard(page)
            assert page.title() == "Review" and page.locator("main img, main script").count() == 0
            assert HOSTILE in page.locator("#sql").inner_text()
            look_by_keyboard(page)
            if folder := os.environ.get("DISTILL_SCREENSHOTS"):
                page.screenshot(path=str(Path(folder) / "review.png"))
            server.process.send_signal(signal.SIGINT)
            server.process.wait(PATIENCE_S)
            before = list(complaints)
            page.keyboard.press("a")
            page.get_by_text("Not saved: the server does not answer").wait_for()
            browser.close()
    finally:
        stop(server)
    assert before == []
    said = [(label.label, label.comment, label.drawn) for label in server.labels() if label.reviewer == "dora"]
    assert said == [("accept", "", "random"), ("reject", "why, in words", "random"), ("unsure", "", "random")]


def label_by_keyboard(page) -> None:
    page.locator("#sample[data-shown]").wait_for()
    held = []
    page.route("**/api/samples/*", lambda route: held.append(route))
    first = page.locator("#sample").get_attribute("data-shown")
    page.keyboard.press("a")
    page.get_by_text("saved: accept").wait_for()
    page.get_by_text("1 of 6 labelled").wait_for()
    page.keyboard.press("c")
    page.keyboard.type("why, in words")  # the next sample has not come yet
    page.keyboard.press("Escape")
    page.keyboard.press("r")  # nobody labels what is not shown
    assert len(held) == 1
    page.unroute("**/api/samples/*")  # what is held goes on
    second = wait_for_another(page, first)
    page.keyboard.press("r")
    page.get_by_text("saved: reject").wait_for()
    third = wait_for_another(page, second)
    page.keyboard.press("u")
    page.get_by_text("3 of 6 labelled").wait_for()
    wait_for_another(page, third)


def wait_for_another(page, shown: str) -> str:
    another = page.locator(f"#sample[data-shown]:not([data-shown='{shown}'])")
    another.wait_for()
    return another.get_attribute("data-shown")


def look_by_keyboard(page) -> None:
    shown = page.locator("#sample").get_attribute("data-shown")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("you: unsure").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator(f"#sample[data-shown='{shown}']").wait_for()
    page.keyboard.press("2")
    page.get_by_text("judges: rejected").wait_for()
    assert page.locator("#list button").count() == 2
    assert page.locator("#evidence").get_by_text("failed").count() == 1
    page.keyboard.press("0")
    page.keyboard.press("?")
    page.locator("#help[open]").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.get_by_text("Labelled in this review: 3").wait_for()
    page.keyboard.press("Escape")
    page.locator("#summary:not([open])").wait_for(state="attached")
    page.locator("article:not([hidden])").wait_for()
