"""`distill serve-teacher`: a GGUF model behind llama.cpp's own Chat Completions server, on loopback.

Belongs here: choosing and naming the weights, the server's settings, its start and its end. Does not belong
here: how a teacher is asked (clients) or where the default weights come from (clients.embedded_model).

The model's name carries the SHA-256 of the file, and replies repeat it, so each generation names the weights
that wrote it. The server runs in a child process: llama.cpp may hang when it is taken down in place, and a
broken file may crash it. The child is told everything, the key too, through its stdin: nothing of that
shows in a list of processes, in an environment or in a file.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import yaml

from distill_assets.clients.embedded_model import fetch_gguf, find_gguf
from distill_assets.config import cache_folder, read_secret
from distill_assets.errors import DistillError
from distill_assets.identity import hash_file
from distill_assets.processes import constructed_environment, die_with_parent

ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8089
# What the recipe names when the server wants no key: the client still needs a variable that is not empty.
ANY_KEY_VARIABLE = "LOCAL_TEACHER_KEY"
GGUF_MAGIC = b"GGUF"
HEALTH_S = 60.0
HEALTH_PAUSE_S = 0.05
# A processor needs minutes for what a hosted model does in seconds.
CLIENT_TIMEOUT_S = 600
LOG_LINES = 40
LOG_WARNINGS = 2
Say = Callable[[str], object]


class ServerSettings(NamedTuple):
    """How the model is served. `context` in tokens for each slot; `key_variable` names the key's variable."""

    port: int = DEFAULT_PORT
    slots: int = 2
    threads: int = 1
    context: int = 8192
    key_variable: str | None = None


def serve(gguf: Path | None, settings: ServerSettings, say: Say) -> None:
    """Serve `gguf`, by default the embedded SmolLM2, until SIGINT or SIGTERM.

    Raises:
        BaseModelError: the default's file cannot be fetched. DistillError: xllamacpp is missing, the key's variable
        is empty, the port is in use, the file is no GGUF, or the server failed.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        _require_xllamacpp()
        api_key = _read_key(settings.key_variable)
        _require_port(settings.port)
        file = check_gguf(gguf or _fetch_default(say))
        model = name_model(file)
        say(f"Loading {file} ...")
        with _run_server(file, model, settings, api_key) as server:
            say(describe(_await_ready(server, file), model, settings))
            raise _explain_end(server, file)
    except KeyboardInterrupt:
        say("Stopped.")


def check_gguf(file: Path) -> Path:
    """Return `file`, which is one whole model in GGUF as far as its first bytes and its name tell.

    Raises:
        DistillError: it cannot be read, is no GGUF, or is one part of several.
    """
    todo = "Nothing was started. Name a GGUF file: distill serve-teacher --gguf FILE; without --gguf, SmolLM2 is served."
    try:
        with file.open("rb") as handle:
            first = handle.read(len(GGUF_MAGIC))
    except OSError as error:
        raise DistillError(f"{file} cannot be read ({error.strerror}). {todo}") from error
    if first != GGUF_MAGIC:
        raise DistillError(f"{file} is no GGUF file: it begins with {first!r}, not {GGUF_MAGIC!r}. {todo}")
    if re.search(r"-\d{5}-of-\d{5}$", file.stem):
        raise DistillError(
            f"{file} is one part of a model, whose hash would not name all of the weights. Nothing was started. "
            "Merge the parts first (llama-gguf-split --merge)."
        )
    return file.absolute()


def name_model(file: Path) -> str:
    """The served model's name: the file's, in characters that every client takes, and its bytes' SHA-256."""
    return f"{re.sub(r'[^a-z0-9._-]+', '-', file.stem.lower())}@sha256:{hash_file(file)}"


def describe(base_url: str, model: str, settings: ServerSettings) -> str:
    """Say where what is served, with the block that a recipe needs."""
    fields = {
        "endpoint": "llama_cpp",
        "model": model,
        "base_url": base_url,
        "api_key_env": settings.key_variable or ANY_KEY_VARIABLE,
        # llama.cpp answers under whatever name it is asked for; without the pin, other weights would go unnoticed.
        "pin": {"served_model": model},
        "limits": {"concurrency": settings.slots, "timeout_s": CLIENT_TIMEOUT_S},
    }
    block = yaml.safe_dump(fields, default_flow_style=True, sort_keys=False, width=sys.maxsize).strip()
    key = "" if settings.key_variable else f"\nAny key passes; the recipe needs one: export {ANY_KEY_VARIABLE}=any"
    return f"{base_url} serves {model}\nIn recipe.yaml:\n\nteacher: {block}\n{key}\nStop with Ctrl-C."


def _fetch_default(say: Say) -> Path:
    if not find_gguf(cache_folder()).exists():
        say("Downloading SmolLM2-135M-Instruct, once (93 MB) ...")
    return fetch_gguf(cache_folder())


def _require_xllamacpp() -> None:
    from importlib.util import find_spec

    if find_spec("xllamacpp") is None:
        raise DistillError(
            "xllamacpp, which runs llama.cpp's server, is not installed. Nothing was started. "
            "Install it: pip install 'distill-assets[local]'"
        )


def _read_key(variable: str | None) -> str | None:
    """The key that the server wants. A variable that is asked for but empty must not open the server to all."""
    if variable is None:
        return None
    key = read_secret(variable)
    if not key:
        raise DistillError(
            f"the environment variable {variable}, which is to hold the server's key, is empty. Nothing was started. "
            "Set it, or leave out --api-key-env: then any key passes."
        )
    return key


def _require_port(port: int) -> None:
    """Find out before anything slow happens; llama.cpp opens the port itself, and says less when it cannot."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise DistillError(
                f"port {port} of {ADDRESS} cannot be used: {error.strerror}. Nothing was started. "
                "Stop the other program, or choose a port: distill serve-teacher --port 0 takes a free one."
            ) from error


class Server(NamedTuple):
    """The child, the last lines of its log, and the thread that reads them."""

    process: subprocess.Popen[str]
    log: deque[str]
    reader: Thread


@contextmanager
def _run_server(file: Path, model: str, settings: ServerSettings, api_key: str | None) -> Iterator[Server]:
    """Start the child and tell it what to serve; at the end kill it, for it holds nothing that this could harm."""
    told = {"file": str(file), "model": model, "api_key": api_key, **settings._asdict()}
    command, pipe = [sys.executable, "-m", __name__], subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace", env=constructed_environment()
    ) as child:
        log: deque[str] = deque(maxlen=LOG_LINES)
        server = Server(child, log, Thread(target=log.extend, args=(child.stderr,), daemon=True))
        try:
            server.reader.start()
            print(json.dumps(told), file=child.stdin, flush=True)
            yield server
        except BrokenPipeError:
            raise _explain_end(server, file) from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            child.kill()
            child.wait()
            server.reader.join()


def _await_ready(server: Server, file: Path) -> str:
    """Wait for the child to listen and for the model behind it; return the base URL.

    Loading has no time limit: a large file on a slow disk takes minutes, and a child that fails ends.
    """
    address = server.process.stdout.readline().strip()
    deadline = time.monotonic() + HEALTH_S
    while address and server.process.poll() is None and time.monotonic() < deadline:
        if _is_healthy(address):
            return f"http://{address}/v1"
        time.sleep(HEALTH_PAUSE_S)
    if address:
        server.process.kill()
    raise _explain_end(server, file)


def _is_healthy(address: str) -> bool:
    connection = HTTPConnection(address, timeout=HEALTH_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _explain_end(server: Server, file: Path) -> DistillError:
    """Build the error for a child that does not serve, once it has ended and its log is read."""
    status = server.process.wait()
    server.reader.join()
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
    errors = [line.split(" E ", 1)[1].strip() for line in server.log if " E " in line]
    said = f"; it said: {errors[0]}" if errors else ""
    return DistillError(
        f"the server of {file} ended {how}{said}. Nothing is left running; no recipe was touched. "
        "Check the file's SHA-256 and that the memory suffices (--context and --slots need less)."
    )


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


# --- the child -----------------------------------------------------------------------------------


def main() -> None:
    """Be the child: serve what stdin's first line says, say on stdout where, and end with the parent, who holds stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    die_with_parent()
    told = json.loads(sys.stdin.readline())
    import xllamacpp

    status = 0
    try:
        server = xllamacpp.Server(_build_parameters(xllamacpp.CommonParams(), told))
        print(server.listening_address.removeprefix("http://"), flush=True)
        sys.stdin.read()
    except RuntimeError as error:
        print(error, file=sys.stderr, flush=True)
        status = 1
    os._exit(status)  # taking the server down may hang, and nothing needs it


def _build_parameters(parameters: Any, told: dict[str, Any]) -> Any:
    """Fill llama.cpp's parameters; what differs from its defaults is measured, or closes a door."""
    parameters.model.path = told["file"]
    parameters.model_alias = {told["model"]}
    parameters.hostnames, parameters.port = [ADDRESS], told["port"]
    parameters.api_keys = [told["api_key"]] if told["api_key"] else []
    parameters.n_parallel, parameters.n_ctx = told["slots"], told["context"] * told["slots"]
    # Threads that spin while they wait cost ten times the work itself on a busy machine.
    for processor in (parameters.cpuparams, parameters.cpuparams_batch):
        processor.n_threads, processor.poll = told["threads"], 0
    # Fitting and warming up take most of a small model's start.
    parameters.fit_params = parameters.warmup = False
    # Prompts are short and each slot keeps its own; the default keeps up to 8 GiB of old ones.
    parameters.cache_ram_mib = 0
    # No page of another site may read it, it fetches nothing, and shows neither its slots nor a page of its own.
    parameters.cors_origins, parameters.offline = "", True
    parameters.ui = parameters.endpoint_slots = False
    parameters.verbosity = LOG_WARNINGS
    return parameters


if __name__ == "__main__":
    main()
