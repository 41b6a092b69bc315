"""What a child may know, and that it ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_assets.processes import PARENT_VARIABLE, constructed_environment, is_allowed

from .conftest import plan_training


def test_a_child_gets_no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PYTHON_KEYRING_PASSWORD", "TEACHER_KEY", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "planted-secret")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", "import os; print(dict(os.environ))"]
    seen = subprocess.run(command, env=constructed_environment(), capture_output=True, text=True, check=True).stdout
    assert "planted-secret" not in seen
    assert "HF_HUB_OFFLINE" in seen
    assert f"'{PARENT_VARIABLE}': '{os.getpid()}'" in seen


def test_what_the_caller_adds_is_passed_on():
    assert constructed_environment({"DAGSTER_PIPES_CONTEXT": "x", "ODD": "1"})["ODD"] == "1"
    assert is_allowed("PATH") and is_allowed("CUDA_VISIBLE_DEVICES")
    assert not is_allowed("OPENAI_BASE_URL") and not is_allowed("HF_TOKEN")


PARENT = """
import subprocess, sys
from distill_assets.processes import constructed_environment
command = [sys.executable, "-m", "distill_assets.train.child", "--spec", sys.argv[1]]
child = subprocess.Popen(command, env=constructed_environment())
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent-death signal")
def test_a_training_whose_parent_is_killed_dies(tmp_path):
    training = plan_training(tmp_path, "orphan", n_rows=640, epochs=50)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(training.spec_file)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_until(lambda: training.work_dir.exists())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not is_running(child), limit_s=10)
    assert not training.target.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent-death signal")
def test_a_child_of_a_parent_that_is_gone_already_does_not_start(tmp_path):
    training = plan_training(tmp_path, "late", n_rows=16)
    command = [sys.executable, "-m", "distill_assets.train.child", "--spec", str(training.spec_file)]
    ended = subprocess.run(command, env=constructed_environment({PARENT_VARIABLE: "1"}), capture_output=True, check=False)
    assert ended.returncode == 128 + signal.SIGKILL
    assert not training.work_dir.exists()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, limit_s=60.0):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
