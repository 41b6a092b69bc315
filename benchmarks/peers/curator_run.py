"""Bespoke curator: a pydantic response format on its own aiohttp path, no limit declared, nothing sent home.

`--concurrency 0` leaves its concurrency uncapped. Its tokenizer is fetched from the network when it
starts; here it is the copy that comes with litellm, which it installs.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.peers.workload import INSTRUCTIONS, KEY, MODEL, Ask, measure

NO_LIMIT = 1_000_000_000


def set_environment(folder: str) -> None:
    """Work offline, in a folder of its own."""
    bundled = Path(importlib.util.find_spec("litellm").origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.update({
        "TIKTOKEN_CACHE_DIR": str(bundled),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "TELEMETRY_ENABLED": "false",
        "CURATOR_CACHE_DIR": folder,
        "CURATOR_DISABLE_RICH_DISPLAY": "1",
        "HF_HUB_OFFLINE": "1",
    })  # fmt: skip


def prepare(options: argparse.Namespace) -> Ask:
    """Import curator and set up a model; it asks the server twice here, to learn limits and schema support."""
    folder = tempfile.TemporaryDirectory()
    set_environment(folder.name)
    import logging

    from bespokelabs import curator
    from pydantic import create_model

    logging.getLogger("curator").setLevel(logging.ERROR)
    row_type = create_model("Row", question=(str, ...), reasoning=(str, ...), sql=(str, ...))

    class Rows(curator.LLM):
        response_format = row_type

        def prompt(self, row: dict[str, Any]) -> str:
            return row["prompt"]

        def parse(self, row: dict[str, Any], response: Any) -> dict[str, Any]:
            return {"prompt": row["prompt"], **response.model_dump()}

    limits: dict[str, Any] = {"max_requests_per_minute": NO_LIMIT, "max_tokens_per_minute": NO_LIMIT}
    if options.concurrency:
        limits["max_concurrent_requests"] = options.concurrency
    place = {"base_url": options.base_url, "api_key": KEY}
    model = Rows(model_name=MODEL, backend="openai", system_prompt=INSTRUCTIONS, backend_params={**place, **limits})

    def ask(prompts: list[str]) -> Iterable[dict[str, Any]]:
        result = model([{"prompt": prompt} for prompt in prompts])
        with folder:
            return list(result.dataset)

    return ask


if __name__ == "__main__":
    measure(prepare)
