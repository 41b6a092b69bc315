"""The virtual environment of the peers, with pinned versions: `python -m benchmarks.curate.peers.install [FOLDER]`.

Belongs here: versions and where they are. Does not belong here: how a peer is called (its own module).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from distill_assets.config import cache_folder

PINS = ("rensa==0.5.0", "datasketch==2.0.0", "numpy==2.4.6", "scipy==1.17.1")


def default_folder() -> Path:
    """Where the environment is when nobody says otherwise."""
    return cache_folder() / "peers-curate"


def install_peers(folder: Path) -> Path:
    """Make the environment unless it is there; return its interpreter."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    known = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True).stdout
    if not set(PINS) <= set(known.split()):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
    return python


if __name__ == "__main__":
    print(install_peers(Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()))
