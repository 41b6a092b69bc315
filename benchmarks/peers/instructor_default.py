"""instructor around OpenAI's client, both as their documentation shows them first."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from benchmarks.peers.workload import KEY, MODEL, Ask, measure, messages


def prepare(options: argparse.Namespace) -> Ask:
    """Import instructor and declare the row."""
    import instructor
    from openai import AsyncOpenAI
    from pydantic import create_model

    row_type = create_model("Row", question=(str, ...), reasoning=(str, ...), sql=(str, ...))

    async def ask_all(prompts: list[str]) -> list[Any]:
        rows: list[Any] = [None] * len(prompts)
        waiting = iter(enumerate(prompts))
        client = instructor.from_openai(AsyncOpenAI(base_url=options.base_url, api_key=KEY))

        async def work() -> None:
            for number, prompt in waiting:
                row = await client.chat.completions.create(model=MODEL, messages=messages(prompt), response_model=row_type)
                rows[number] = row.model_dump()

        await asyncio.gather(*(work() for _ in range(options.concurrency)))
        return rows

    return lambda prompts: asyncio.run(ask_all(prompts))


if __name__ == "__main__":
    measure(prepare)
