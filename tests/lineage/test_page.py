"""audit.html in a real Chromium: nothing of a manifest runs, nothing leaves the page, and no text lies over another."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from distill_assets.lineage.page import render_page
from tests.lineage.example_manifest import HOSTILE, build_least, build_manifest, replace_strings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PAYLOADS = (
    HOSTILE,
    '"><script>window.pwned=1</script><img src=http://127.0.0.1:9/x onerror="window.pwned=2">',
    "</title></style></svg></pre></details><svg onload=window.pwned=3><iframe src=http://127.0.0.1:9/></iframe>",
    "' onmouseover='window.pwned=4' style='background:url(http://127.0.0.1:9/)",
    "{{ cycler.__init__.__globals__ }}{% include 'x' %}",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.fail("no chromium on this machine: apt-get install chromium, or set up any Chrome as google-chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        yield running
        running.close()


def show(browser: Any, folder: Path, html: str, width: int = 1280, scheme: str = "light") -> tuple[Any, list[str]]:
    """The page opened from a file, and every address that it asked for."""
    file = folder / "audit.html"
    file.write_text(html, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return page, [url for url in asked if url != file.as_uri()]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_runs_and_nothing_is_asked_for(browser: Any, tmp_path: Path, payload: str) -> None:
    page, asked = show(browser, tmp_path, render_page(replace_strings(build_manifest(), lambda _: payload)))
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.querySelectorAll('script,img,iframe,a,form,object,embed,link').length") == 0
    attributes = "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on'))"
    assert page.evaluate(attributes) == []
    assert asked == []
    page.close()


@pytest.fixture
def hits() -> Iterator[tuple[str, list[str]]]:
    """A real server that may be asked: its address and the paths that were asked for."""
    asked: list[str] = []

    class Ear(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("has_policy", [True, False])
def test_the_policy_holds_even_for_markup_that_got_through(
    browser: Any, tmp_path: Path, hits: tuple[str, list[str]], has_policy: bool
) -> None:
    planted = f"<script>window.pwned=1</script><img src='{hits[0]}/x'></body>"
    html = render_page(build_manifest()).replace("</body>", planted)
    page, _ = show(browser, tmp_path, html if has_policy else html.replace("Content-Security-Policy", "x-nothing"))
    page.wait_for_load_state("load")
    assert page.evaluate("window.pwned") == (None if has_policy else 1)
    assert hits[1] == ([] if has_policy else ["/x"])
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light")])
def test_the_page_is_no_wider_than_its_window_and_no_text_leaves_its_box(
    browser: Any, tmp_path: Path, width: int, scheme: str
) -> None:
    page, _ = show(browser, tmp_path, render_page(build_manifest()), width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = """[...document.querySelectorAll('td,th,dd,dt,.card,.banner')].filter(e => e.scrollWidth > e.clientWidth + 1)
        .map(e => e.textContent.slice(0, 40))"""
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(outside) == []
    if folder := os.environ.get("DISTILL_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"audit-{scheme}-{width}.png"), full_page=True)
    page.close()


def test_the_figures_and_the_banner_are_there(browser: Any, tmp_path: Path) -> None:
    manifest = build_manifest()
    page, _ = show(browser, tmp_path, render_page(manifest))
    assert "1 withdrawn or erased since" in page.inner_text(".banner")
    teachers = page.locator("table").first.locator("tbody tr")
    assert teachers.count() == len(manifest["teachers"])
    assert teachers.nth(0).locator("td.n").all_inner_texts() == ["420", "398", "18,000", "50.0%"]
    assert page.locator("svg.flow[role=img][aria-label]").count() == 1
    words = page.inner_text("body")
    assert "NOT met" in words and "not screened" in words and manifest["ledger"]["head"] in words
    page.close()


def test_an_empty_manifest_has_no_banner_and_says_what_is_missing(browser: Any, tmp_path: Path) -> None:
    page, _ = show(browser, tmp_path, render_page(build_least()))
    assert page.locator(".banner").count() == 0
    assert "None was recorded." in page.inner_text("body")
    page.close()
