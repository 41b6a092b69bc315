"""A run on batches that is killed between any two of its steps: nothing is lost, nothing is bought twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.batch_kills import SETTINGS, N
from tests.clients.batch_world import KEY, make_requests, make_teacher, run_once
from tests.hostile_server import serve_hostile

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_after_a_kill_at_any_step_the_next_run_ends_with_the_same_table_and_bill(tmp_path: Path) -> None:
    with serve_hostile(api_key=KEY, price_in=10.0, price_out=100.0) as server:
        command = [sys.executable, "-m", "tests.clients.batch_kills", server.base_url, str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads(done.stdout)
        server.reset()
        server.configure(**{**SETTINGS, "batch_error_frac": 0.0})
        online = run_once(tmp_path / "online", make_teacher(server.base_url, batch=False), make_requests(N))
    assert found["table"] == json.loads(json.dumps([list(row) for row in online.table]))
    good = {"is_equal": True, "billed_twice": 0, "usd_off": False, "left": 0, "states": ["collected"], "keys": 0}
    assert found["calm"] == good
    singles = [trial for trial in found["trials"] if len(trial["kills"]) == 1]
    assert len(singles) == found["n_steps"] > 80 and all(trial["n_killed"] == 1 for trial in singles)
    bad = [trial for trial in found["trials"] if {name: trial[name] for name in good} != good]
    assert bad == []
