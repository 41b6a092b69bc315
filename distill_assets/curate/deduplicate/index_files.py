"""An index on disk: what is large is written once and read page by page, what is small is written anew.

Belongs here: the folder of an index. Does not belong here: what an index is (index) or which one belongs to which recipe (marks).

The folder is a cache: it can be deleted at any time, and a folder that is not whole is as none. A manifest, renamed into place
last, names the files that belong together; the base segment's are immutable and shared by all versions until it is built anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from distill_assets.curate.deduplicate.index import ROWS, Index, Segment, Units
from distill_assets.identity import make_id
from distill_assets.storage import replace_atomically, write_text

MANIFEST = "manifest.json"


def save_index(folder: Path, index: Index) -> None:
    """Write an index so that it is there whole or not at all; files of earlier versions go."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"base": f"base-{index.base_id}", "state": f"state-{make_id(index.base_id, _read_number(folder) + 1)}"}
    if not (folder / f"{names['base']}-classes.npy").exists():
        for field, values in {**index.base._asdict(), "classes": index.classes}.items():
            _save(folder / f"{names['base']}-{field}.npy", values)
    for field, values in {**index.units._asdict(), **{f"delta_{k}": v for k, v in index.delta._asdict().items()}}.items():
        _save(folder / f"{names['state']}-{field}.npy", values)
    with replace_atomically(folder / f"{names['state']}-rows.ipc") as temporary:
        index.rows.rechunk().write_ipc(temporary)
    manifest = {**names, "number": _read_number(folder) + 1, "threshold": index.threshold, "n_words": index.n_words}
    write_text(folder / MANIFEST, json.dumps(manifest, sort_keys=True))
    for leftover in folder.iterdir():
        if leftover.name != MANIFEST and not leftover.name.startswith(tuple(names.values())):
            leftover.unlink(missing_ok=True)


def load_index(folder: Path, n_words: int, threshold: float) -> Index | None:
    """Read an index back, its large arrays page by page as they are needed; None when there is no whole one of these settings."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if (manifest["n_words"], manifest["threshold"]) != (n_words, threshold):
            return None
        base, state = folder / manifest["base"], folder / manifest["state"]
        return Index(
            threshold,
            n_words,
            manifest["base"].removeprefix("base-"),
            _load(base, "classes"),
            pl.read_ipc(f"{state}-rows.ipc").select(list(ROWS)).cast(ROWS),
            Units(*(_load(state, field) for field in Units._fields)),
            Segment(*(_load(base, field) for field in Segment._fields)),
            Segment(*(_load(state, f"delta_{field}") for field in Segment._fields)),
        )
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None


def _save(file: Path, values: Any) -> None:
    import numpy as np

    with replace_atomically(file) as temporary, temporary.open("wb") as handle:
        np.save(handle, values, allow_pickle=False)


def _load(place: Path, field: str) -> Any:
    """An array whose pages are read when they are touched; changes to it stay in memory."""
    import numpy as np

    file = f"{place}-{field}.npy"
    try:
        return np.load(file, mmap_mode="c", allow_pickle=False).view(np.ndarray)
    except ValueError:  # an array without an element cannot be mapped
        return np.load(file, allow_pickle=False)


def _read_number(folder: Path) -> int:
    try:
        return int(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["number"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
