"""Model-written programs can neither harm, hang nor leave anything behind; real processes, real kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.judge.ground import processes_of
from distill_assets.errors import SandboxError
from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.sandbox.box import Sandbox
from distill_assets.verifiers.sandbox.exchange import Job, Run, clean
from distill_assets.verifiers.sandbox.launch import readable_paths
from tests.unprivileged import run_as_nobody
from tests.verifiers.sandboxes import SHORT, TIERS

REFUSED = """
import os, socket, ctypes
def refused(do):
    try:
        do()
        return False
    except OSError:
        return True
print(refused(lambda: socket.socket()))
print(refused(lambda: os.fork()))
print(refused(lambda: os.kill(os.getppid(), 0)))
print(refused(lambda: open('/etc/passwd')))
print(refused(lambda: os.listdir('/')))
print(refused(lambda: open('/tmp/SBX_test', 'w')))
print(refused(lambda: os.chmod('.', 0o777)))
print(refused(lambda: os.execv('/bin/true', ['true'])))
"""


@pytest.fixture(scope="module", params=TIERS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    os.environ["PLANTED_KEY"] = "canary-key"
    with Sandbox(SHORT, at_most=request.param) as live:
        yield live
    del os.environ["PLANTED_KEY"]


def script(sandbox: Sandbox, code: str, stdin: bytes = b"") -> Run:
    return sandbox.run(Job({"role": "script", "code": code}, stdin))


def test_output_errors_and_status_come_back(sandbox: Sandbox) -> None:
    run = script(sandbox, "import sys\nprint(input() + '!')\nprint('oh', file=sys.stderr)\nsys.exit(3)", "grüß\n".encode())
    assert (run.ending, run.status, run.output, run.errors) == ("ended", 3, "grüß!\n", "oh\n")


def test_what_an_attack_needs_is_refused(sandbox: Sandbox) -> None:
    assert script(sandbox, REFUSED).output.split() == ["True"] * 8


def test_tier_and_bounds_are_told(sandbox: Sandbox) -> None:
    told = sandbox.describe()
    assert told["tier"] == sandbox.tier and told["has_seccomp"] and told["landlock_abi"] >= 1
    assert told["limits"]["cpu_s"] == 1 and json.dumps(told)


def test_environment_and_descriptors_are_not_inherited(sandbox: Sandbox) -> None:
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    run = script(sandbox, "import os\nprint(sorted(os.environ))")
    assert "PLANTED_KEY" not in run.output and "PATH'" not in run.output and run.status == 0
    seen = script(
        sandbox,
        "import os\ndef is_open(n):\n  try: os.fstat(n)\n  except OSError: return False\n  return True\nprint([n for n in range(1000) if is_open(n)])",
    )
    assert seen.output == "[0, 1, 2]\n"
    for descriptor in held:
        os.close(descriptor)


def test_folder_is_private_bounded_and_empty_for_the_next(sandbox: Sandbox) -> None:
    run = script(
        sandbox, "import os\nopen('a', 'w').write('1'); os.makedirs('d/e'); os.mkdir('shut', 0)\nprint(sorted(os.listdir('.')))"
    )
    assert run.output == "['a', 'd', 'shut']\n"
    assert script(sandbox, "import os; print(os.listdir('.'))").output == "[]\n"
    fill = (
        "n = 0\ntry:\n  for i in range(400):\n    with open(str(i), 'wb', 0) as f: n += f.write(b'x' * (1 << 20))\n"
        "except OSError as e: print(type(e).__name__, n >> 20)"
    )
    name, written = script(sandbox, fill).output.split()
    assert name == "OSError" and int(written) <= 64


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("while True: pass", "timeout"),
        ("import time; time.sleep(100)", "timeout"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "timeout"),
        ("import atexit, time; atexit.register(time.sleep, 100)", "timeout"),
        ("while True: print('x' * 10000)", "flood"),
        ("import ctypes; ctypes.string_at(0)", "crashed"),
        ("import ctypes; ctypes.CDLL(None).syscall(101, 16, 1, 0, 0)", "crashed"),
    ],
)
def test_bad_end_has_its_name(sandbox: Sandbox, code: str, ending: str) -> None:
    began = time.monotonic()
    run = script(sandbox, code)
    assert run.ending == ending and run.reason
    assert len(run.output) <= sandbox.limits.output_bytes and time.monotonic() - began < 20
    assert script(sandbox, "print(1)").output == "1\n"


def test_memory_is_bounded(sandbox: Sandbox) -> None:
    run = script(sandbox, "x = bytearray(2 << 30)")
    assert run.status == 1 and run.errors.endswith("MemoryError\n")


def test_a_busy_program_keeps_its_time_while_others_run(sandbox: Sandbox) -> None:
    with Sandbox(SandboxSpec(cpu_s=5, wall_s=60), workers=4, at_most=sandbox.tier) as busy:
        code = "import time\nwhile time.process_time() < 0.7: pass\nprint('done')"
        runs: list[Run] = []
        threads = [threading.Thread(target=lambda: runs.append(script(busy, code))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [run.output for run in runs] == ["done\n"] * 4


def test_no_answer_is_in_the_memory_of_the_next(sandbox: Sandbox) -> None:
    script(sandbox, "keep = ['LEFT' + 'OVER'] * 1000\nimport builtins; builtins.kept = keep")
    found = script(
        sandbox,
        "import gc, builtins\nprint(hasattr(builtins, 'kept'), any('LEFT' + 'OVER' in o for o in gc.get_objects() if type(o) is list and len(o) == 1000))",
    )
    assert found.output == "False False\n"


def test_same_program_same_output(sandbox: Sandbox) -> None:
    code = "import random\nprint(set('abcdefgh'), random.random(), hash('x'))"
    assert script(sandbox, code).output == script(sandbox, code).output


def test_text_of_a_program_has_no_control_characters() -> None:
    assert clean(b"a\x1b[2J\x00\xff\nb\t\x07") == "a\ufffd[2J\ufffd\ufffd\nb\t\ufffd"


def test_weaker_tier_than_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no bubblewrap
    with (
        pytest.raises(SandboxError, match=r"minimum is 'namespaces'.*bwrap.*Nothing was run"),
        Sandbox(SandboxSpec(minimum="namespaces")),
    ):
        pass
    with Sandbox(SandboxSpec(minimum="limits"), at_most="limits") as weak:
        assert weak.tier == "limits" and not weak.describe()["has_seccomp"]
        assert script(weak, "print(1)").output == "1\n"


def test_dead_server_is_an_error_and_is_replaced(sandbox: Sandbox) -> None:
    before = processes_of(os.getpid())
    with Sandbox(SHORT, at_most=sandbox.tier) as own:
        script(own, "pass")
        servers = processes_of(os.getpid()) - before
        threading.Timer(0.3, lambda: [os.kill(server, signal.SIGKILL) for server in servers]).start()
        with pytest.raises(SandboxError, match="server"):
            script(own, "import time; time.sleep(2)")
        assert script(own, "print(1)").output == "1\n"


def test_unentered_sandbox_runs_nothing() -> None:
    with pytest.raises(SandboxError, match="not entered"):
        script(Sandbox(), "print(1)")


@pytest.mark.parametrize("tier", TIERS)
def test_nothing_outlives_a_killed_parent(tier: str) -> None:
    code = (
        "import os, threading, time\n"
        "from distill_assets.judging import SandboxSpec\n"
        "from distill_assets.verifiers.sandbox.box import Job, Sandbox\n"
        f"box = Sandbox(SandboxSpec(), at_most={tier!r}); box.__enter__()\n"
        "job = Job({'role': 'script', 'code': \"open('left', 'w').write('x')\\nwhile True: pass\"})\n"
        "threading.Thread(target=box.run, args=(job,), daemon=True).start()\n"
        "time.sleep(0.7); print(os.getpid(), box._open[0]._start.scratch or '', flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    owner, _, folder = done.stdout.strip().partition(" ")
    assert done.returncode == -signal.SIGKILL
    for _ in range(200):
        if not processes_of(int(owner)) and not (folder and Path(folder).exists()):
            return
        time.sleep(0.05)
    pytest.fail(f"left behind after 10 s: {processes_of(int(owner))} {folder}")


def test_close_leaves_no_process_and_no_folder(sandbox: Sandbox) -> None:
    with Sandbox(SHORT, at_most=sandbox.tier) as own:
        script(own, "open('a', 'w').write('x')")
        servers, folder = own.servers(), own._open[0]._start.scratch
    assert not any(Path(f"/proc/{server}").exists() for server in servers)
    assert folder is None or not Path(folder).exists()


def test_our_own_package_cannot_be_read() -> None:
    readable = readable_paths()
    assert not any(
        Path(path).name.startswith("distill_assets") and Path(path).is_dir() and (Path(path) / "recipes").exists()
        for path in readable.whole
    )
    here = Path(__file__).resolve()
    assert not any(here.is_relative_to(path) for path in readable.whole)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run unprivileged then")
@pytest.mark.parametrize("tier", TIERS)
def test_the_same_holds_for_a_user_without_privileges(tier: str) -> None:
    code = (
        "import os\n"
        "from distill_assets.judging import SandboxSpec\n"
        "from distill_assets.verifiers.sandbox.box import Job, Sandbox\n"
        f"with Sandbox(SandboxSpec(), at_most={tier!r}) as box:\n"
        f"    print(os.getuid(), box.tier, box.run(Job({{'role': 'script', 'code': {REFUSED!r}}})).output.split())"
    )
    done = run_as_nobody("-c", code)
    assert done.stdout.strip() == f"65534 {tier} {['True'] * 8}", done.stderr


NO_USER_NAMESPACES = """
from distill_assets.judging import SandboxSpec
from distill_assets.verifiers.sandbox import confinement, syscalls as s
from distill_assets.verifiers.sandbox.box import Job, Sandbox
new_user = [(s.LOAD, 0, 0, s._argument(0)), (s.JSET, 0, 1, 0x10000000), *s._give(s.EPERM), *s._give(s.ALLOW)]
refused = s._search(sorted({56: new_user, 272: s.EPERM, 435: s.ENOSYS}.items()), otherwise=s.ALLOW)
confinement.forbid_privileges()
confinement.install_filter(s._assemble([*s._checked_machine(), *refused]))
with Sandbox(SandboxSpec()) as box:
    print(box.tier, len(box.describe()["stronger_missing"]), box.run(Job({"role": "script", "code": CODE})).output.split())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become nobody")
def test_the_same_holds_where_user_namespaces_are_refused() -> None:
    done = run_as_nobody("-c", f"CODE = {REFUSED!r}\n{NO_USER_NAMESPACES}")
    assert done.stdout.strip() == f"confined 1 {['True'] * 8}", done.stderr
