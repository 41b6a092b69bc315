"""No answer can write its own verdict, and hostile SQL reaches nothing: one attack of each kind, and the whole corpus as `slow`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.judge.attacks import CORPUS, run_attacks
from benchmarks.judge.ground import Ground
from tests.verifiers.sandboxes import TIERS

SAMPLE = (
    "unix-datagram-pair", "x32-socket", "signal-by-owner", "spawn-many-ways", "own-machine-code", "capabilities", "read-by-library",
    "later-run-poison", "disk-open-files", "disk-grow-later", "pipes-and-pairs", "break-interpreter", "stop-iteration", "lying-str",
    "early-verdict", "through-harness", "patched-codec", "find-expected", "change-arguments", "end-after-first", "desync",
    "many-colliding", "raw-deep-reply", "odd-replies", "trace-hook", "exit-in-import", "close-link", "sql-query-function",
    "sql-two-statements", "sql-environment", "sql-lpad-bomb",
)  # fmt: skip


@pytest.mark.parametrize("tier", TIERS)
def test_no_sampled_attack_gets_out_or_passes(tier: str, tmp_path: Path) -> None:
    file = tmp_path / "sample.jsonl"
    chosen = [line for line in CORPUS.read_text(encoding="utf-8").splitlines() if json.loads(line)["id"] in SAMPLE]
    assert len(chosen) == len(SAMPLE)
    file.write_text("\n".join(chosen))
    found = run_attacks(file, tier)
    assert (found["attacks"], found["what_escaped"], found["tier"]) == (len(SAMPLE), {}, tier)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tier", TIERS)
def test_no_attack_gets_out_or_passes(tier: str) -> None:
    found = run_attacks(CORPUS, tier)
    assert found["attacks"] >= 140 and found["what_escaped"] == {} and found["tier"] == tier


def test_the_traps_notice_what_gets_out(tmp_path: Path) -> None:
    with Ground(tmp_path) as ground:
        ground.remember()
        assert ground.damage() == [] and ground.leaks("nothing") == []
        ground.canary.chmod(0o777)
        (ground.drop / "new").write_text("x")
        import socket

        with socket.create_connection(("127.0.0.1", ground.tcp_port)):
            damage = ground.damage()
        assert len(damage) == 4 and any("canary.txt" in sign for sign in damage) and any("127.0.0.1" in sign for sign in damage)
        assert ground.leaks(f"x{ground.token}") and ground.leaks("CANARY-ESCAPED")
