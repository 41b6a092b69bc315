"""The circumstances of a training: code, environment, configuration.

Belongs here: reading them from this process and its files. Does not belong here: what is made of them (manifest).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import distill_assets
from distill_assets.identity import canonical_json, hash_file, hash_text

# What decides a training's arithmetic; the digest covers all that is installed.
NAMED_PACKAGES = ("torch", "transformers", "trl", "tokenizers", "safetensors", "numpy", "polars", "duckdb", "dagster")


def describe_code() -> dict[str, Any]:
    """Version, digest of the package's own files, and the git commit with the digest of what differs from it."""
    return dict(_describe_code())


@cache
def _describe_code() -> tuple[tuple[str, Any], ...]:
    package = Path(distill_assets.__file__).parent
    files = sorted(package.rglob("*.py"))
    digest = hash_text(canonical_json([[file.relative_to(package).as_posix(), hash_file(file)] for file in files]))
    # Installed into somebody else's checkout, the commit would be theirs.
    top = _ask_git(package, "rev-parse", "--show-toplevel")
    is_own = top is not None and Path(top.decode().strip()) == package.parent
    commit = _ask_git(package, "rev-parse", "HEAD") if is_own else None
    changes = _ask_git(package, "diff", "HEAD", "--binary") if commit else None
    is_dirty = None if changes is None else bool(changes)
    return (
        ("package_version", distill_assets.__version__),
        ("package_sha256", digest),
        ("git_sha", commit.decode().strip() if commit else None),
        ("is_dirty", is_dirty),
        ("diff_sha256", hashlib.sha256(changes).hexdigest() if changes else None),
    )


def _ask_git(folder: Path, *words: str) -> bytes | None:
    """What git says of the package's folder; None where it is no checkout or there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def describe_environment(training: dict[str, Any]) -> dict[str, Any]:
    """Python, platform and packages of this process, and the device of the training.

    Args:
        training: figures of the checkpoint's own manifest.
    """
    installed = sorted({f"{d.metadata['Name']}=={d.version}".lower() for d in importlib.metadata.distributions() if d.metadata["Name"]})
    versions = dict(line.split("==", 1) for line in installed)
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: versions[name] for name in NAMED_PACKAGES if name in versions},
        "packages_sha256": hash_text("\n".join(installed)),
        **{name: training.get(name) for name in ("device", "dtype", "threads")},
    }
