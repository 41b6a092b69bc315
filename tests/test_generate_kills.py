"""A generation that is killed: nothing that was acknowledged is lost or asked again. benchmarks/generate does 200 kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.generate.kills import measure


@pytest.mark.slow
def test_kills_lose_nothing_buy_nothing_twice_and_end_in_the_same_table(tmp_path: Path) -> None:
    figures = measure(tmp_path, kills=4, rows=400, window_s=1.5)
    assert figures["kills"] == 4
    assert figures["lost"] == figures["rebought_acknowledged"] == 0
    assert figures["identical_table"]
    assert figures["acknowledged"] == figures["rows_ok"] == 400
    assert figures["repeated_in_flight"] <= 4 * 32, "more was asked again than was in flight"
