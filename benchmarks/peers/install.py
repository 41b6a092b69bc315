"""One virtual environment for each peer, with pinned versions: `python -m benchmarks.peers.install FOLDER [PEER ...]`.

The peers cannot share one: they want different versions of the same libraries.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PINS = {
    "bare_aiohttp": ["aiohttp==3.14.5"],
    "openai_sdk": ["openai[aiohttp]==3.3.0", "aiohttp==3.14.5", "pydantic==2.12.5"],
    "instructor_default": ["instructor==1.17.0", "openai==3.3.0", "pydantic==2.12.5"],
    "curator_run": ["bespokelabs-curator==0.1.31", "openai==2.30.0", "litellm==1.83.7", "datasets==3.6.0", "aiohttp==3.13.5"],
    # requests is imported and not declared; beautifulsoup4 is asked for at run time.
    "distilabel_run": [
        "distilabel[openai,instructor]==1.5.3", "openai==3.3.0", "instructor==1.17.0", "datasets==5.2.0", "requests==2.34.2",
        "beautifulsoup4==4.15.0",
    ],
}  # fmt: skip


def interpreter_of(folder: Path, peer: str) -> Path:
    """The Python that runs a peer."""
    return folder / peer / "bin" / "python"


def install(folder: Path, peer: str) -> None:
    """Make a peer's environment, unless it is there."""
    python = interpreter_of(folder, peer)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / peer], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS[peer]], check=True)


def main() -> None:
    """Install the peers that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"any of {', '.join(PINS)}; without one, all")
    options = parser.parse_args()
    for peer in options.peers or PINS:
        print(f"installing {peer}: {', '.join(PINS[peer])}", flush=True)
        install(options.folder, peer)


if __name__ == "__main__":
    main()
