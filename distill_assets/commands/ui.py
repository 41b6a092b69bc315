"""`distill ui`: the Dagster UI on loopback, behind the guard, with its daemon.

Belongs here: starting and stopping the webserver, the code servers and the daemon as one unit. Does
not belong here: who may talk to it (guard) or what it shows (definitions).

The webserver runs in this process. It and the daemon start one code server each; runs are children of
those. All of them end when this process does: a run that is going on is cancelled first, so that it is
not left STARTED. With the daemon, runs are queued, which is what the limits of dagster.yaml need;
without it nobody would take them from the queue, so they are launched at once.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import dagster as dg

from distill_assets.commands.family import adopt_orphans, end_descendants
from distill_assets.commands.guard import Guard
from distill_assets.commands.instance import holder_name, open_instance
from distill_assets.commands.loopback import ADDRESS, listen, run_server
from distill_assets.config import dagster_home, export_setting, find_recipe_folders, home_folder, load_recipe
from distill_assets.processes import die_with_parent
from distill_assets.storage import hold_lock, write_text

LOCATION = "distill_assets"
GRACE_S = 5.0
IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
LAUNCH_AT_ONCE = {"run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}}
Say = Callable[[str], object]


def serve(recipe_paths: list[Path], port: int, with_daemon: bool, say: Say) -> None:
    """Serve the UI until SIGINT or SIGTERM; port 0 takes a free one.

    Raises:
        RecipeError: a recipe cannot be loaded. DistillError: the port is in use.
        LockedError: another UI of this workspace has the daemon.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    folders = [path.resolve() for path in recipe_paths] or find_recipe_folders()
    names = [load_recipe(folder).recipe.name for folder in folders]
    if recipe_paths:
        export_setting("DISTILL_RECIPES", os.pathsep.join(map(str, folders)))
    export_setting("DISTILL_HOME", str(home_folder()))
    adopt_orphans()
    try:
        with ExitStack() as stack:
            listener = stack.enter_context(listen(port, "distill ui"))
            if with_daemon:
                lock = home_folder() / "locks" / "ui.lock"
                stack.enter_context(hold_lock(lock, holder_name("distill ui")))
            say(f"Loading {', '.join(names)} ...")
            _serve_on(listener, with_daemon, say, stack)
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        _ignore_signals()
        end_descendants(GRACE_S)


def _serve_on(listener: socket.socket, with_daemon: bool, say: Say, stack: ExitStack) -> None:
    instance = stack.enter_context(open_instance())
    workspace = write_workspace(dagster_home() / "workspace.yaml")
    if with_daemon:
        stack.enter_context(_run_daemon(workspace))
    else:
        instance = stack.enter_context(_launching_at_once())
    context = stack.enter_context(open_context(instance, workspace))
    stack.callback(_cancel_runs, instance, say)
    _say_load_errors(context, say)
    port, token = listener.getsockname()[1], secrets.token_urlsafe(24)
    say(f"Open this link once in your browser; it holds the key:\n\n  http://{ADDRESS}:{port}/?token={token}\n")
    say("Stop with Ctrl-C." if with_daemon else "Without the daemon: nothing is rebuilt by itself. Stop with Ctrl-C.")
    run_server(build_app(context, port, token), listener)


def build_app(context, port: int, token: str) -> Guard:
    """The webserver's ASGI app behind the guard.

    Args:
        context: a Dagster workspace process context. port: the port that it will be served on.
    """
    from dagster_webserver.app import create_app_from_workspace_process_context

    return Guard(create_app_from_workspace_process_context(context, lifespan=_lifespan), port, token)


@asynccontextmanager
async def _lifespan(_: object) -> AsyncIterator[None]:
    yield


def write_workspace(file: Path) -> Path:
    """Write the file that tells webserver and daemon what to load, and return it."""
    import yaml

    target = {
        "module_name": "distill_assets.definitions",
        "location_name": LOCATION,
        # On the import path of the code servers, so that the package need not be installed.
        "working_directory": str(Path(__file__).resolve().parents[2]),
    }
    write_text(file, yaml.safe_dump({"load_from": [{"python_module": target}]}))
    return file


@contextmanager
def open_context(instance: dg.DagsterInstance, workspace: Path) -> Iterator[object]:
    """Start the webserver's code server and give the process context that the app needs."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    target = WorkspaceFileTarget([str(workspace)])
    with WorkspaceProcessContext(instance, target, version=dg.__version__, code_server_log_level="WARNING") as context:
        yield context


def _say_load_errors(context, say: Say) -> None:
    for entry in context.create_request_context().get_code_location_entries().values():
        if entry.load_error is not None:
            say(f"The graph cannot be loaded; the UI shows why, and reloads on request: {entry.load_error.message.strip()}")


@contextmanager
def _run_daemon(workspace: Path) -> Iterator[None]:
    """Run Dagster's daemon (queue, sensors, run monitoring) as a child; its words go to daemon.log."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace), "--log-format", "json"]
    with (dagster_home() / "daemon.log").open("ab") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        yield
    finally:
        daemon.terminate()
        try:
            daemon.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


@contextmanager
def _launching_at_once() -> Iterator[dg.DagsterInstance]:
    """The same instance with a run coordinator that needs no daemon."""
    from dagster._core.instance.ref import InstanceRef

    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(dagster_home()), overrides=LAUNCH_AT_ONCE)) as instance:
        yield instance


def _cancel_runs(instance: dg.DagsterInstance, say: Say) -> None:
    """Cancel the runs that our code servers carry, and wait until they are marked as such."""
    _ignore_signals()
    ours = [run for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS)) if ".dagster/grpc_info" in run.tags]
    for run in ours:
        say(f"Run {run.run_id[:8]} is cancelled; what it had stored is kept.")
        instance.run_launcher.terminate(run.run_id)
    left = {run.run_id for run in ours}
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left &= {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS))}


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    """A second Ctrl-C while stopping would leave processes behind; the stopping itself is bounded."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
