"""Asking a local model: which prompts are new, and the child process that answers them.

Belongs here: the cache of answers by model revision, and the child's spec. Does not belong here: the
model itself (clients/student_chat) or Dagster (assets).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

from distill_assets.config import EvaluateSpec
from distill_assets.errors import TrainingError
from distill_assets.evaluate.items import ANSWER_SCHEMA, Model, empty_answers
from distill_assets.identity import make_id
from distill_assets.storage import Workspace, replace_atomically, write_text


def answer_items(
    workspace: Workspace, recipe: str, model: Model, path: Path, items: pl.DataFrame, spec: EvaluateSpec,
    run_child: Callable[[str, Path], object], threads: int,
) -> tuple[pl.DataFrame, int]:  # fmt: skip
    """Return the answers to all items of one model, and how many were asked anew.

    Args:
        items: of `name_answers`. path: the model's folder. run_child: runs a module with a spec file.

    Raises:
        TrainingError: the child left answers out.
    """
    cache = workspace.folder("answers", recipe) / f"{make_id('model', model.revision)}.parquet"
    known = _read_cache(cache)
    new = items.join(known, on="answer_key", how="anti").select("answer_key", "prompt").unique("answer_key").sort("answer_key")
    if new.height:
        spec_file = _write_spec(cache, path, new, spec, threads)
        run_child("distill_assets.evaluate.child", spec_file)
        known = pl.concat([known, pl.read_parquet(cache.with_suffix(".new")).select(list(ANSWER_SCHEMA))]).sort("answer_key")
        with replace_atomically(cache) as temporary:
            known.write_parquet(temporary)
        for leftover in (".new", ".prompts", ".json"):
            cache.with_suffix(leftover).unlink(missing_ok=True)
    if (missing := items.join(known, on="answer_key", how="anti").height) > 0:
        raise TrainingError(
            f"{model.name} left {missing} of {items.height} items unanswered. eval_results was not replaced. Run again."
        )
    return known, new.height


def _read_cache(cache: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(cache).select(list(ANSWER_SCHEMA))
    except (OSError, pl.exceptions.PolarsError):
        return empty_answers()


def _write_spec(cache: Path, path: Path, new: pl.DataFrame, spec: EvaluateSpec, threads: int) -> Path:
    prompts = cache.with_suffix(".prompts")
    with replace_atomically(prompts) as temporary:
        new.write_parquet(temporary)
    file = cache.with_suffix(".json")
    values = {
        "model": str(path),
        "prompts": str(prompts),
        "answers": str(cache.with_suffix(".new")),
        "max_new_tokens": spec.max_new_tokens,
        "threads": threads,
    }
    write_text(file, json.dumps(values, indent=1, sort_keys=True))
    return file
