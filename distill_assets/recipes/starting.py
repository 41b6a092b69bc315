"""recipe.yaml to start from: every field of the recipe model with its default and one-line meaning.

Belongs here: making that text. Does not belong here: what else is in the folder (suggestions, example)
and writing it (commands/new_recipe).

The text is made from config.Recipe, so it cannot drift from it: a field without a meaning here is an
error. What has a default stands as a comment, because a field that a recipe writes itself wins over
the `scale` dial.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from distill_assets.config import Recipe, Spec

HEAD = """\
# Recipe {name}: see it with `distill check-recipe {folder}`, build it with `distill run --recipe {folder}`.
# A line such as `#field: value` shows a default. To change one, take away its `#` (and that of its section).
# Defaults are those of scale full; tiny and small change some of them.
"""

MEANINGS = {
    "name": "prefix of the recipe's assets: letters, digits and _",
    "description": "one line for people",
    "owners": "owners shown in the UI: e-mail addresses or team:NAME",
    "task": "the only task there is",
    "scale": "tiny (checks the plumbing in minutes, learns little) | small | full; sets sizes, model and training together",
    "databases": "name -> SQL script, DuckDB or SQLite file; document tables and columns with COMMENT ON",
    "seeds": "files of topics, questions or documents that the teacher starts from",
    "seed_licence": "licence of seeds that name none",
    "holdout": "real questions with their right query; never trained on",
    "instances": "differently filled copies of each database that answers are compared on",
    "teacher": "who writes the training data",
    "teacher.model": "embedded/sql-grammar (rules, no key) or a model of an OpenAI-compatible endpoint",
    "teacher.base_url": "address of the endpoint; null is api.openai.com",
    "teacher.api_key_env": "environment variable that holds the key",
    "teacher.mode": "json_schema | tools: how the answer's form is asked for",
    "teacher.temperature": "0 to 2",
    "teacher.max_tokens": "longest answer, in tokens",
    "teacher.error_frac": "errors that the embedded teacher plants, so that judging can be measured; 0 to 1",
    "teacher.concurrency": "requests at a time",
    "teacher.timeout_s": "longest wait for an answer, in seconds",
    "generate": "how seeds become requests",
    "generate.samples_per_seed": "requests for each seed",
    "generate.prompt": "file in prompts/, without .md",
    "generate.seed": "another number, other samples",
    "judge": "bounds beyond which a sample is rejected",
    "judge.min_question_chars": "shortest question, in characters",
    "judge.max_question_chars": "longest question, in characters",
    "judge.max_sql_chars": "longest query, in characters",
    "judge.query_timeout_s": "longest run of a query, in seconds",
    "curate": "what is taken out of the accepted samples",
    "curate.near_duplicate_jaccard": "similarity from which two questions are duplicates; 0 to 1",
    "curate.decontamination_ngram": "a sample that shares this many words in a row with a holdout question is dropped",
    "curate.heldout_frac": "fraction of samples kept for the synthetic evaluation",
    "curate.max_samples": "most samples in the dataset",
    "curate.seed": "another number, another choice",
    "student": "who learns",
    "student.base_model": "smollm2-135m-instruct | tiny | a local folder | a hub id with @revision",
    "student.train": "how it is trained",
    "student.train.epochs": "passes over the dataset",
    "student.train.batch_size": "rows a step",
    "student.train.learning_rate": "highest rate, 1/step",
    "student.train.warmup_frac": "fraction of the steps in which the rate rises",
    "student.train.max_length": "longest row, in tokens",
    "student.train.frozen_frac": "share of a pretrained model's layers, from the bottom, that stay as they are",
    "student.train.save_every_steps": "steps between checkpoints to resume from",
    "student.train.dtype": "auto | float32 | bfloat16",
    "student.train.seed": "another number, another order of rows",
    "student.threads": "processor threads for training; null is all",
    "evaluate": "what is measured",
    "evaluate.max_synthetic_items": "most items of the synthetic held-out split",
    "evaluate.max_new_tokens": "longest answer, in tokens",
    "evaluate.models": "who answers the holdout",
    "evaluate.prompt": "file in prompts/ that a real teacher is asked with, without .md",
    "thresholds": "bounds that gate each step; a fraction is 0 to 1",
    "thresholds.min_seeds": "fewest seeds",
    "thresholds.min_holdout_items": "fewest holdout items",
    "thresholds.max_error_frac": "most requests that may fail",
    "thresholds.max_unscored_frac": "most samples that may stay unjudged",
    "thresholds.min_accept_frac": "fewest samples that must be accepted",
    "thresholds.min_training_rows": "fewest rows to train on",
    "thresholds.forbidden_pattern": "regular expression that no question or query may match",
}
# Words that YAML 1.1 does not read as text.
YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def render_recipe(name: str, folder: str, databases: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """Return recipe.yaml: `settings` as they are, every other field with its default as a comment.

    Args:
        databases: name -> path in the folder. settings: fields to write, nested like the recipe.
    """
    written = {"name": name, "scale": "tiny", "databases": dict(databases), **settings}
    return HEAD.format(name=name, folder=folder) + "\n" + "\n".join(_render_fields(Recipe, written, "", "")) + "\n"


def _render_fields(model: type[BaseModel], written: Mapping[str, Any], place: str, indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{place}{name}"
        mark = "" if name in written else "#"
        meaning = f"  # {MEANINGS[path]}"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Spec):
            yield f"{mark}{indent}{name}:{meaning}"
            yield from _render_fields(kind, written.get(name, {}), f"{path}.", f"{indent}  ")
        elif name in written and isinstance(written[name], dict):
            yield f"{indent}{name}:{meaning}"
            yield from (f"{indent}  {key}: {_render_value(value)}" for key, value in written[name].items())
        else:
            yield f"{mark}{indent}{name}: {_render_value(written.get(name, field.default))}{meaning}"


def _render_value(value: object) -> str:
    """One value as JSON, which YAML reads; plain words without quotes."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w/.-]*", value) and value.lower() not in YAML_WORDS:
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
