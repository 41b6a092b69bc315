"""The real `distill serve-teacher` with a real small model: the process border for tests of local teachers.

`serve_local_teacher` starts it, waits until it says ready, and ends it. The model is the default one; its file
is in the cache when the student's base model was fetched.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

import distill_assets

ROOT = Path(distill_assets.__file__).resolve().parents[1]
READY = "Stop with Ctrl-C."
# The first start may have to download the model.
READY_S = 90.0
END_S = 10.0


class LocalTeacher(NamedTuple):
    """The command's process, the file of what it printed, and how long it took to be ready."""

    process: subprocess.Popen[bytes]
    log: Path
    ready_s: float

    @property
    def output(self) -> str:
        """All that the command printed."""
        return self.log.read_text(encoding="utf-8")

    @property
    def block(self) -> dict:
        """The recipe block that it printed, as a recipe would read it."""
        return yaml.safe_load(re.search(r"^teacher: .*$", self.output, re.MULTILINE)[0])["teacher"]


def serving_command(*options: str) -> list[str]:
    """The command line of `distill serve-teacher`."""
    return [sys.executable, "-m", "distill_assets.cli", "serve-teacher", *options]


def serving_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which the command finds the package from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})}


@contextmanager
def serve_local_teacher(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[LocalTeacher]:
    """Run the command on a free port until the block ends; its output lies in `folder`."""
    log, began = folder / "serve-teacher.log", time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            serving_command("--port", "0", *options), cwd=folder, env=serving_environment(env), stdout=out, stderr=out
        )
    try:
        while READY not in log.read_text(encoding="utf-8"):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < began + READY_S, log.read_text(encoding="utf-8")
            time.sleep(0.02)
        yield LocalTeacher(process, log, time.monotonic() - began)
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
