"""distilabel: one TextGeneration step with structured output, in a pipeline without cache.

It sends a batch at once and waits for all of it, so `--concurrency` is the size of a batch.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from collections.abc import Iterable
from typing import Any

from benchmarks.peers.workload import INSTRUCTIONS, KEY, MODEL, SCHEMA, Ask, measure


def prepare(options: argparse.Namespace) -> Ask:
    """Import distilabel; its step loads its model in a process of its own, within the timed call."""
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DISTILABEL_LOG_LEVEL": "ERROR"})
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextGeneration

    logging.disable(logging.WARNING)

    def ask(prompts: list[str]) -> Iterable[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder, Pipeline(name="rows", cache_dir=folder) as pipeline:
            data = [{"instruction": prompt} for prompt in prompts]
            load = LoadDataFromDicts(data=data, batch_size=options.concurrency)
            model = OpenAILLM(
                model=MODEL,
                base_url=options.base_url,
                api_key=KEY,
                structured_output={"schema": SCHEMA},
                generation_kwargs={"max_new_tokens": 512},
            )
            generate = TextGeneration(llm=model, system_prompt=INSTRUCTIONS, input_batch_size=options.concurrency)
            load >> generate
            result = pipeline.run(use_cache=False)
            return [read_row(row["generation"]) for row in result["default"]["train"]]

    return ask


def read_row(text: str | None) -> dict[str, Any] | None:
    """A row from the JSON text that distilabel keeps."""
    return None if text is None else json.loads(text)


if __name__ == "__main__":
    measure(prepare)
