"""Vectors through the real child: what is new is read, what was read is not, and a killed child loses one chunk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from distill_assets.clients.base_model import BaseModel
from distill_assets.curate.vectors import store
from distill_assets.curate.vectors.frames import VECTOR_SCHEMA
from distill_assets.curate.vectors.store import TextReader, join_vectors, name_texts, plan_reader, read_vectors
from distill_assets.curation import EmbeddingSpec
from distill_assets.errors import BaseModelError, TrainingError
from distill_assets.processes import constructed_environment
from distill_assets.storage import Workspace
from tests.curate.vectors.encoders import refuse, run_child, save_small

TEXTS = pl.Series(["how many halls", "which hall is the largest", "", "naïve café", "x " * 300, "how many halls"])


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> TextReader:
    return TextReader(save_small(tmp_path_factory.mktemp("small")), 64, 1)


@pytest.mark.slow
def test_only_what_is_new_or_was_spoiled_is_read_and_the_same_comes_out(tmp_path: Path, reader: TextReader):
    workspace = Workspace(tmp_path)
    first = read_vectors(workspace, "choir", reader, TEXTS[:3], run_child)
    assert first.n_read == 3 and dict(first.frame.schema) == VECTOR_SCHEMA
    more = read_vectors(workspace, "choir", reader, TEXTS.reverse(), run_child)
    assert more.n_read == 2
    joined = join_vectors(pl.DataFrame({"document_id": list("abcdef"), "text": TEXTS}), more.frame)
    assert set(joined["document_id"]) == set("abcdef") and "text" not in joined.columns
    assert (
        joined.filter(pl.col("document_id") == "a")
        .drop("document_id")
        .equals(first.frame.filter(pl.col("text_id") == name_texts(TEXTS)[0]))
    )
    assert set(more.frame["text_id"]) == set(name_texts(TEXTS))
    assert more.frame.join(first.frame.select("text_id").unique(), on="text_id", how="semi").equals(first.frame)
    again = read_vectors(workspace, "choir", reader, TEXTS, refuse)
    assert again.n_read == 0 and again.frame.equals(more.frame)
    assert read_vectors(workspace, "choir", reader, TEXTS[:1], refuse).frame.height == 1

    spoiled = max((tmp_path / "vectors").rglob("*.parquet"))
    spoiled.write_bytes(spoiled.read_bytes()[:200])
    mended = read_vectors(workspace, "choir", reader, TEXTS, run_child)
    assert mended.n_read in (2, 3) and mended.frame.equals(more.frame)


@pytest.mark.slow
def test_a_killed_child_loses_at_most_a_chunk(tmp_path: Path, reader: TextReader):
    """The child is killed once its first chunk is there; the next run reads the rest only."""
    folder = tmp_path / "vectors" / "choir" / reader.reading_id
    texts = pl.Series([f"how many of {i} " * 4 for i in range(3_000)])

    def kill_half_way(module: str, spec_file: Path) -> None:
        spec = json.loads(spec_file.read_text())
        spec_file.write_text(json.dumps({**spec, "chunk_texts": 200}))
        command = [sys.executable, "-m", module, "--spec", str(spec_file)]
        child = subprocess.Popen(command, env=constructed_environment(), stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 60
        while not list(folder.glob("*.parquet")) and child.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        raise TrainingError(f"the child ended with {child.wait()}")

    with pytest.raises(TrainingError, match="-9"):
        read_vectors(Workspace(tmp_path), "choir", reader, texts, kill_half_way)
    n_kept = len(list(folder.glob("*.parquet"))) * 200
    assert 0 < n_kept < texts.len()
    rest = read_vectors(Workspace(tmp_path), "choir", reader, texts, run_child)
    assert rest.n_read == texts.len() - n_kept
    assert set(rest.frame["text_id"]) == set(name_texts(texts))


def test_a_child_that_reads_nothing_is_an_error_and_nothing_counts(tmp_path: Path, reader: TextReader):
    with pytest.raises(TrainingError, match="left 5 of 5 texts unread"):
        read_vectors(Workspace(tmp_path), "choir", reader, TEXTS, lambda module, file: None)


@pytest.mark.slow
def test_lookalikes_are_the_same_to_the_model_and_a_text_beyond_measure_is_read_in_part_and_says_so(
    tmp_path: Path, reader: TextReader, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store, "MAX_CHARS", 100)
    alike = pl.Series(["apple pie for two", "\u0430pple pie for two", "app\u200ble pie for two"])
    long = pl.Series(["é" * 50 + "a" * 51, "b" * 100])
    found = read_vectors(Workspace(tmp_path), "choir", reader, pl.concat([alike, long]), run_child)
    same = found.frame.filter(pl.col("text_id").is_in(name_texts(alike).implode()))
    assert same.height == 3 and same["vector"].n_unique() == 1
    assert found.cut_ids == {name_texts(long)[0]}
    read_to = found.frame.filter(~pl.col("text_id").is_in(name_texts(alike).implode())).group_by("text_id")
    assert read_to.agg(pl.col("end_chars").max())["end_chars"].to_list() == [100, 100]


def test_another_model_or_length_reads_anew_and_threads_do_not():
    reader = TextReader(BaseModel(Path("nowhere"), "m", "r1"), 128, 1)
    others = {
        reader.reading_id,
        reader._replace(model=BaseModel(Path("nowhere"), "m", "r2")).reading_id,
        reader._replace(max_tokens=64).reading_id,
    }
    assert len(others) == 3
    assert reader._replace(threads=2).reading_id == reader.reading_id


def test_a_model_that_was_not_fetched_says_how_to_fetch_it(tmp_path: Path):
    with pytest.raises(BaseModelError, match=r"base_model fetch --name minilm-l6-v2"):
        plan_reader(EmbeddingSpec(), 1, tmp_path)
