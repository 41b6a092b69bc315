"""Readings through the real child: what is new is read, what was read is not, and a killed child leaves the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from distill_assets.clients.base_model import BaseModel
from distill_assets.errors import TrainingError
from distill_assets.judge.quality.measure import ReadingModels, find_difficulty, list_texts, measure_samples
from distill_assets.judge.quality.reading import build_byte_tokenizer
from distill_assets.processes import constructed_environment
from distill_assets.resources import GpuResource
from distill_assets.storage import Workspace
from tests.judge.quality.test_reading import save_encoder

pytestmark = pytest.mark.slow
TINY = ReadingModels(BaseModel(Path("nowhere"), "tiny", "scratch-1"), None, 200, 17, 1)


def make_generations(n: int) -> pl.DataFrame:
    rows = [
        {"generation_id": f"{i:032x}", "question": f"how many in {i}", "trace": "count", "completion": f"SELECT {i}"}
        for i in range(n)
    ]
    rows.append({"generation_id": "f" * 32, "question": "an error", "trace": None, "completion": None})
    return pl.DataFrame(rows)


def run_child(module: str, spec_file: Path) -> None:
    command = [sys.executable, "-m", module, "--spec", str(spec_file)]
    done = subprocess.run(command, env=constructed_environment(), capture_output=True, text=True, check=False, timeout=100)
    if done.returncode:
        raise TrainingError(done.stderr)


def refuse(module: str, spec_file: Path) -> None:
    raise AssertionError("nothing is new")


def test_only_what_is_new_is_read_and_again_the_same_comes_out(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = measure_samples(workspace, "choir", TINY, list_texts(make_generations(4)), run_child)
    assert first.n_read == 4 and first.frame.columns == ["generation_id", "text_key", "embedding", "instruction_difficulty"]
    assert first.frame["instruction_difficulty"].null_count() == 0
    again = measure_samples(workspace, "choir", TINY, list_texts(make_generations(4)), refuse)
    assert again.n_read == 0 and again.frame.equals(first.frame)
    more = measure_samples(workspace, "choir", TINY, list_texts(make_generations(6)), run_child)
    assert more.n_read == 2 and more.frame.head(4).equals(first.frame)
    assert [file.suffix for file in (tmp_path / "readings" / "choir").iterdir()] == [".parquet"]


def test_in_a_dagster_step_the_childs_words_reach_the_log(tmp_path: Path) -> None:
    told: list[dict] = []

    @dg.asset
    def read(context):
        gpu = GpuResource(threads=1)

        def run(module: str, spec_file: Path) -> None:
            told.extend(gpu.run_child(context, module, spec_file))

        measured = measure_samples(Workspace(tmp_path), "choir", TINY, list_texts(make_generations(3)), run)
        return dg.MaterializeResult(metadata={"n_read": measured.n_read})

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([read], instance=instance).success
    [figures] = told
    assert figures["n_read"] == 3 and figures["cpu_s"] > 0 and figures["device"] in ("cpu", "cuda")


def test_another_model_length_or_seed_reads_anew_and_threads_do_not() -> None:
    ids = {
        TINY.reading_id,
        TINY._replace(reader=BaseModel(Path("nowhere"), "tiny", "scratch-2")).reading_id,
        TINY._replace(embedder=BaseModel(Path("x"), "x", "r")).reading_id,
        TINY._replace(max_tokens=99).reading_id,
        TINY._replace(seed=1).reading_id,
    }
    assert len(ids) == 5
    assert TINY._replace(threads=8).reading_id == TINY.reading_id


def test_the_vectors_can_be_another_models(tmp_path: Path) -> None:
    save_encoder(tmp_path / "encoder", build_byte_tokenizer())
    models = TINY._replace(embedder=BaseModel(tmp_path / "encoder", "encoder", "r1"))
    measured = measure_samples(Workspace(tmp_path), "choir", models, list_texts(make_generations(3)), run_child)
    assert {len(vector) for vector in measured.frame["embedding"].to_list()} == {16}
    assert measured.frame["instruction_difficulty"].null_count() == 0


def test_a_child_that_fails_leaves_the_cache_and_a_clear_error(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    measure_samples(workspace, "choir", TINY, list_texts(make_generations(2)), run_child)
    [cache] = (tmp_path / "readings" / "choir").iterdir()
    before = cache.read_bytes()
    broken = TINY._replace(reader=BaseModel(tmp_path / "gone", "gone", "scratch-1"))
    assert broken.reading_id == TINY.reading_id
    with pytest.raises(TrainingError, match="model gone at"):
        measure_samples(workspace, "choir", broken, list_texts(make_generations(3)), run_child)
    with pytest.raises(TrainingError, match="left 1 of 3 samples unread"):
        measure_samples(workspace, "choir", TINY, list_texts(make_generations(3)), lambda module, file: None)
    assert pl.read_parquet(cache).height == 2 and pl.read_parquet(before).height == 2


def test_a_generation_without_an_answer_is_not_read() -> None:
    texts = list_texts(make_generations(2))
    assert texts.height == 2
    assert texts["answer"].to_list() == ["count\nSELECT 0", "count\nSELECT 1"]


@pytest.mark.parametrize(("given", "alone", "expected"), [(1.0, 2.0, 0.368), (2.0, 2.0, 1.0), (None, 1.0, None), (1.0, None, None)])
def test_difficulty_is_a_ratio_of_perplexities(given: float | None, alone: float | None, expected: float | None) -> None:
    assert find_difficulty(given, alone) == expected
