"""What a person sees: graph, failed gate, checkpoint and report, in headless Chromium on the real `distill ui`.

The workspace is built once by `distill run` at scale tiny; then a seed with a forbidden word is added, so
that a gate fails. Screenshots go to $DISTILL_SCREENSHOTS when that is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.test_ui import ROOT, Server, run_environment, start, stop
from tests.scenario import SEEDS, write_jsonl, write_scenario

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(300)]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 40_000
FORBIDDEN = {"database": "choir", "kind": "topic", "text": "the secret hall of singers"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if CHROMIUM is None:
        pytest.fail("no chromium on this machine: apt-get install chromium, or set up any Chrome as google-chrome")
    folder = tmp_path_factory.mktemp("browser")
    recipe = write_scenario(folder / "choir", thresholds=', forbidden_pattern: "secret"').path
    assert distill_run(recipe, folder).returncode == 0
    write_jsonl(recipe / "seeds" / "seeds.jsonl", [*SEEDS, FORBIDDEN])
    assert distill_run(recipe, folder).returncode == 1
    withdrawn = distill(
        "lineage", "withdraw", "--source", "seeds/seeds.jsonl", "--reason", "the owner asked", recipe=recipe, folder=folder
    )
    assert withdrawn.returncode == 0, withdrawn.stderr
    running = start(folder, recipe, "--no-daemon")
    yield running
    stop(running)


def distill_run(recipe: Path, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return distill("run", "--quiet", recipe=recipe, folder=folder)


def distill(*words: str, recipe: Path, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "distill_assets.cli", *words, "--recipe", str(recipe)]
    return subprocess.run(command, cwd=ROOT, env=run_environment(folder / "home"), capture_output=True, check=False)


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1900, "height": 1200})
        opened.set_default_timeout(PATIENCE_MS)
        opened.goto(f"http://127.0.0.1:{server.port}/?token={server.token}")
        yield opened
        browser.close()


def visit(page, server: Server, path: str) -> None:
    page.goto(f"http://127.0.0.1:{server.port}{path}")


def keep(page, name: str) -> None:
    if folder := os.environ.get("DISTILL_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_the_graph_shows_every_group_and_the_failed_gate(page, server: Server) -> None:
    visit(page, server, "/asset-groups")
    for group in ("files", "seed", "generate", "judge", "curate", "train", "evaluate"):
        page.get_by_text(group, exact=True).first.wait_for()
    page.keyboard.press("Alt+e")
    page.get_by_text("student_checkpoint").first.wait_for()
    page.get_by_text("eval_report").first.wait_for()
    keep(page, "graph")


def test_a_failed_gate_shows_its_failing_rows(page, server: Server) -> None:
    visit(page, server, "/assets/choir/seed_corpus?view=checks&checkDetail=no_forbidden_text")
    page.get_by_text("This is a blocking asset check.").wait_for()
    page.get_by_text("Failed", exact=True).first.wait_for()
    page.get_by_text(FORBIDDEN["text"]).first.wait_for()
    keep(page, "failed_gate")


def test_a_checkpoint_tells_what_it_was_made_of(page, server: Server) -> None:
    visit(page, server, "/assets/choir/student_checkpoint")
    page.get_by_text("weights sha256").first.wait_for()
    page.get_by_text("embedded/sql-grammar@").first.wait_for()
    page.get_by_text("n_training_rows").first.wait_for()
    keep(page, "checkpoint")


def test_the_report_opens_with_its_tables_and_pictures(page, server: Server) -> None:
    visit(page, server, "/assets/choir/eval_report")
    page.get_by_text("[Show Markdown]").first.click()
    page.get_by_text("What these figures do not say").wait_for()
    picture = page.locator("img[alt=accuracy]").first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 300
    page.get_by_text("Eval report: choir").scroll_into_view_if_needed()
    keep(page, "report")
    picture.scroll_into_view_if_needed()
    keep(page, "report_pictures")


def test_a_checkpoint_shows_its_teachers_and_the_way_of_its_rows(page, server: Server) -> None:
    visit(page, server, "/assets/choir/student_checkpoint?view=events")
    page.get_by_text("loss_tokens").first.wait_for()
    page.get_by_text("sql-grammar@").first.wait_for()
    page.get_by_text("[Show Markdown]").last.click()
    picture = page.locator("img[src^='data:image/svg']").first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 300
    keep(page, "flow")


def test_a_withdrawal_turns_an_old_checkpoint_red(page, server: Server) -> None:
    visit(page, server, "/assets/choir/checkpoints?view=checks&checkDetail=no_withdrawn_teacher")
    page.get_by_text("Failed", exact=True).first.wait_for()
    page.get_by_text("the owner asked").first.wait_for()
    page.get_by_text("Partitions", exact=True).last.click()
    page.get_by_text("Failed (1)").wait_for()
    keep(page, "red_checkpoint")
