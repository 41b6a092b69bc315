"""A whole distillation with a real language model as teacher: seeds to report, and each generation names its weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from distill_assets.clients.embedded_model import fetch_gguf
from distill_assets.commands.instance import open_instance
from distill_assets.commands.run import RunReport, run_recipe
from distill_assets.commands.tables import find_versions
from distill_assets.config import RecipeFolder, cache_folder, load_recipe
from distill_assets.identity import hash_file
from distill_assets.storage import Workspace, read_table
from distill_assets.tables import EVAL_RESULTS, JUDGED_SAMPLES, RAW_GENERATIONS, TRAINING_DATASET, TableSpec
from tests.local_teacher import LocalTeacher, serve_local_teacher
from tests.scenario import HOLDOUT, write_jsonl, write_scenario

# SmolLM2-135M writes SQL only by following examples closely, so this recipe asks for no more: a topic names the
# thing and its value, and the prompt shows three of the kind. About half of what comes back is accepted, measured at temperature 0.3;
# at 0.7 it was a third, and with the built-in prompt and topics none or one of 24.
TOPICS = [
    "singers from Norway", "singers from Japan", "names of singers from Kenya", "names of singers from Norway",
    "singers born after 1980", "names of singers born after 1985", "names of singers born before 1970", "singers born before 1975",
    "concerts in the Town Square", "concerts in the Grand Hall", "concerts before 2023", "concerts with more than 300 seats sold",
]  # fmt: skip
PER_SEED = 2
WRITING = """---
role: teacher
inputs: text
output: question, reasoning, sql
---
# system
You turn a topic into one question about a choir's database and its SQL query, as one line of JSON.
Tables: singers(id, name, country, born), concerts(id, singer_id, hall, held, "seats sold").

Topic: singers from Kenya
{"question": "how many singers are from Kenya", "reasoning": "Count by country.", "sql": "SELECT COUNT(*) FROM singers WHERE country = 'Kenya'"}
Topic: names of singers born after 1970
{"question": "which singers were born after 1970", "reasoning": "Names by year.", "sql": "SELECT name FROM singers WHERE born > 1970"}
Topic: concerts in the Opera House
{"question": "how many concerts were in the Opera House", "reasoning": "Count by hall.", "sql": "SELECT COUNT(*) FROM concerts WHERE hall = 'Opera House'"}
# user
Topic: {{text}}
"""
ANSWERING = """---
role: teacher
inputs: question
output: sql
---
# system
You turn a question about a choir's database into its SQL query, as one line of JSON.
Tables: singers(id, name, country, born), concerts(id, singer_id, hall, held, "seats sold").

Question: how many singers are from Kenya
{"sql": "SELECT COUNT(*) FROM singers WHERE country = 'Kenya'"}
Question: which singers were born after 1970
{"sql": "SELECT name FROM singers WHERE born > 1970"}
# user
Question: {{question}}
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def teacher(tmp_path: Path) -> Iterator[LocalTeacher]:
    with serve_local_teacher(tmp_path, "--context", "2048") as served:
        yield served


@pytest.fixture
def taught(home: Path, tmp_path: Path, teacher: LocalTeacher, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    """The scenario with the block that the command printed, and topics and prompts that a very small model can follow."""
    block = {**teacher.block, "temperature": 0.3, "max_tokens": 120}
    monkeypatch.setenv(block["api_key_env"], "any")
    folder = write_scenario(tmp_path / "recipe", samples_per_seed=PER_SEED, extra=f"teacher: {json.dumps(block)}").path
    write_jsonl(folder / "seeds" / "seeds.jsonl", [{"database": "choir", "kind": "topic", "text": topic} for topic in TOPICS])
    (folder / "prompts" / "write_sample.v1.md").write_text(WRITING, encoding="utf-8")
    (folder / "prompts" / "answer_question.v1.md").write_text(ANSWERING, encoding="utf-8")
    recipe = folder / "recipe.yaml"
    text = (
        recipe.read_text().replace("min_training_rows: 5", "min_training_rows: 3").replace("accept_frac: 0.3", "accept_frac: 0.15")
    )
    recipe.write_text(text)
    return load_recipe(folder)


def run(folder: RecipeFolder) -> RunReport:
    return run_recipe(folder, open_instance(), [], lambda _: None)


def table(folder: RecipeFolder, home: Path, spec: TableSpec) -> pl.DataFrame:
    return read_table(Workspace(home), folder.recipe.name, spec, find_versions(folder, open_instance())[spec.name])


def test_a_small_model_distils_and_each_generation_names_its_weights(
    taught: RecipeFolder, home: Path, teacher: LocalTeacher
) -> None:
    assert run(taught).errors == []
    served = f"sha256:{hash_file(fetch_gguf(cache_folder()))}"

    generations = table(taught, home, RAW_GENERATIONS)
    assert generations.height == len(TOPICS) * PER_SEED
    assert all(name.endswith(f"@{served}") for name in generations["served_model"])
    assert generations["completion_tokens"].min() > 0
    assert generations.filter(generation_status="ok").height >= generations.height / 2

    # A model that is often wrong: judging lets some through and stops others, and says why.
    judged = table(taught, home, JUDGED_SAMPLES)
    assert set(judged["sample_status"]) == {"accepted", "rejected"}
    assert judged.filter(sample_status="rejected")["reason"].null_count() == 0
    assert 3 <= table(taught, home, TRAINING_DATASET).height <= judged.filter(sample_status="accepted").height

    results = table(taught, home, EVAL_RESULTS)
    assert results.filter(model_role="teacher").height == len(HOLDOUT)
    assert results.filter(model_role="teacher")["model_name"].str.contains(served, literal=True).all()
    [report] = (home / "reports" / "choir").glob("*/report.md")
    assert served in report.read_text()

    teacher.process.terminate()
    assert teacher.process.wait(10) == 0
    assert run(taught).errors == [], "with nothing changed, nobody is asked"
    assert table(taught, home, RAW_GENERATIONS).equals(generations)
