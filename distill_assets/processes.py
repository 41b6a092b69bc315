"""Child processes: what they may know, and that none outlives the process that started it.

Belongs here: the environment of a child, its tie to its parent, its start. Does not belong here: what a child
does (train.child, evaluate.child, verifiers) or who starts it (resources).

A child gets an environment built from a list of allowed names, never a copy: a key that the parent
holds cannot leak into a process that loads model files or runs a library's native code.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from distill_assets.errors import DistillError, TrainingError

Say = Callable[[str], None]
SpecT = TypeVar("SpecT", bound=pydantic.BaseModel)
PARENT_VARIABLE = "DISTILL_PARENT_PID"

ALLOWED_NAMES = frozenset({
    "PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "SHELL", "TERM",
    "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT", "XDG_CACHE_HOME", "NO_COLOR",
    "DISTILL_CACHE", "DISTILL_HOME", "TOKENIZERS_PARALLELISM", "PYTORCH_CUDA_ALLOC_CONF",
})  # fmt: skip
ALLOWED_PREFIXES = (
    "LC_", "PYTHON", "HF_", "CUDA_", "NVIDIA_", "OMP_", "GOMP_", "MKL_", "KMP_", "OPENBLAS_", "TRANSFORMERS_", "DAGSTER_PIPES_",
)  # fmt: skip
# Within an allowed prefix, a name with one of these parts holds a secret (HF_TOKEN).
SECRET_PARTS = ("TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")

_PR_SET_PDEATHSIG = 1


def is_allowed(name: str) -> bool:
    """Whether a child may inherit the environment variable `name`."""
    if name in ALLOWED_NAMES:
        return True
    return name.startswith(ALLOWED_PREFIXES) and not any(part in name.upper() for part in SECRET_PARTS)


def constructed_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Build the environment of a child: allowed names of this process, this process's id, then `extra`.

    Args:
        extra: variables that the caller answers for, such as Dagster Pipes' bootstrap; taken as they are.
    """
    allowed = {name: value for name, value in os.environ.items() if is_allowed(name)}
    return {**allowed, PARENT_VARIABLE: str(os.getpid()), **(extra or {})}


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends, however that ends.

    Elsewhere than on Linux this does nothing. The signal follows the *thread* that started this
    process, so start it from a thread that waits for it. A parent that was gone before the call is
    noticed by its id, which `constructed_environment` leaves in the environment.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused; this process would outlive its parent")
    expected = os.environ.pop(PARENT_VARIABLE, None)
    if expected and os.getppid() != int(expected):
        os._exit(128 + signal.SIGKILL)


def use_one_gpu() -> None:
    """Show only the first visible GPU to CUDA: one process trains on one device.

    Call it before torch is imported. An empty setting (no GPU wanted) stays empty.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    os.environ["CUDA_VISIBLE_DEVICES"] = first


def calm_libraries() -> None:
    """Keep progress bars and telemetry of model libraries out of the log, and let idle threads sleep soon.

    OpenMP threads spin while they wait for each other. Without end, that costs several times the work itself
    on a busy machine (measured: 33 tokens/s instead of 113); not at all costs a quarter of the speed on a quiet
    one (324 instead of 409). So they spin shortly (libgomp's GOMP_SPINCOUNT). Call it before torch is imported.
    """
    for name, value in {
        "GOMP_SPINCOUNT": "3000",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "DATASETS_VERBOSITY": "error",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }.items():
        os.environ.setdefault(name, value)


@contextmanager
def open_channel() -> Iterator[tuple[Callable[[str], None], Callable[[dict[str, Any]], None]]]:
    """Give functions to log a line and to report figures: through Dagster Pipes, else to stdout."""
    from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

    if not PipesEnvVarParamsLoader().is_dagster_pipes_process():
        yield (lambda line: print(line, flush=True)), (lambda figures: None)
        return
    with open_dagster_pipes() as pipes:
        yield pipes.log.info, pipes.report_custom_message


def run_as_child(module: str, work: Callable[[Path, Say], dict[str, Any]], arguments: list[str] | None = None) -> int:
    """Be the child that `python -m module --spec FILE` starts: tied to its parent, quiet, reporting what `work` returns.

    Returns:
        The exit status: 0, or 1 with the reason on stderr when `work` raises a DistillError.
    """
    die_with_parent()
    calm_libraries()
    use_one_gpu()
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--spec", type=Path, required=True, help="JSON file that says what to do")
    file = parser.parse_args(arguments).spec
    with open_channel() as (say, report):
        try:
            report(work(file, say))
        except DistillError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return 1
    return 0


def read_spec(file: Path, spec: type[SpecT], asset: str) -> SpecT:
    """Read and check what a child is told.

    Args:
        asset: name of the asset that the child works for.

    Raises:
        TrainingError: the file is missing, no JSON, or does not fit.
    """
    try:
        return spec.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{asset}: spec {file}: {error}. Nothing was done. Materialize {asset} again.") from error
