"""Progress on a terminal: it is seen while a step runs, although Dagster points standard output at a file meanwhile."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from distill_assets.call_log import describe_progress, preview_answer
from distill_assets.clients.chat import ChatReply
from distill_assets.clients.engine import Counts
from tests.hostile_server import serve_hostile
from tests.scenario import write_scenario

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.mark.slow
def test_a_terminal_shows_how_asking_goes_while_it_goes(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", "sk-planted")
    monkeypatch.setenv("COLUMNS", "200")
    seen: list[tuple[int, str]] = []
    with serve_hostile(latency_s=0.15) as server:
        limits = "limits: {concurrency: 3}"
        teacher = f"teacher: {{model: asked, base_url: '{server.base_url}', api_key_env: PLANTED_KEY, {limits}}}"
        recipe = write_scenario(tmp_path / "recipe", samples_per_seed=20, extra=teacher)

        def read(handle: int) -> bytes:
            data = os.read(handle, 1 << 16)
            seen.append((server.stats()["answers"], ESCAPES.sub("", data.decode(errors="replace"))))
            return data

        command = [sys.executable, "-m", "distill_assets.cli", "run", "--recipe", str(recipe.path), "-s", "raw_generations"]
        assert pty.spawn(command, read) == 0
    early = "".join(text for answers, text in seen if answers < 120)
    [first, *_] = re.findall(r"generations (\d+)/120 · 0 cached · 0 failed · [\d.]+/s · \d+ s left", early)
    assert 0 < int(first) < 120
    assert re.search(r"preview of asked: .* \| SELECT .*\r\n", early), "it stays on the screen"


def test_a_line_says_what_is_done_and_what_it_cost() -> None:
    line = describe_progress(
        "generations", Counts(done=600, reused=100, sent=510, failed=2, usd=0.5, tokens=7000, concurrency=16), 1000, 10.0
    )
    assert line == (
        "generations 600/1,000 · 100 cached · 2 failed · 50.0/s · 8 s left · up to 16 at once · 0.5000 USD · 7,000 tokens"
    )
    assert describe_progress("generations", Counts(done=5, reused=5), 5, 0.0) == "generations 5/5 · 5 cached · 0 failed"
    batched = describe_progress("generations", Counts(done=5, reused=1, waiting=4), 5, 1.0)
    assert batched == "generations 1/5 · 1 cached · 0 failed · 4 for a batch"


def test_a_preview_holds_nothing_that_a_terminal_would_obey() -> None:
    shown = preview_answer(ChatReply("r", "ok", "t", {"question": "a\x1b[2Jb\nc\u202e", "reasoning": "no", "sql": "x" * 500}))
    assert shown.isprintable() and len(shown) == 160 and "no" not in shown
