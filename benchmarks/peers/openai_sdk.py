"""OpenAI's own client on its aiohttp transport, the faster of its two; JSON parsed by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from benchmarks.peers.workload import KEY, MODEL, SCHEMA, Ask, measure, messages

FORM = {"type": "json_schema", "json_schema": {"name": "row", "schema": SCHEMA, "strict": True}}


def prepare(options: argparse.Namespace) -> Ask:
    """Import the client."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    async def ask_all(prompts: list[str]) -> list[Any]:
        rows: list[Any] = [None] * len(prompts)
        waiting = iter(enumerate(prompts))
        async with AsyncOpenAI(base_url=options.base_url, api_key=KEY, max_retries=0, http_client=DefaultAioHttpClient()) as client:

            async def work() -> None:
                for number, prompt in waiting:
                    asked = {"model": MODEL, "messages": messages(prompt), "response_format": FORM}
                    completion = await client.chat.completions.create(**asked)
                    rows[number] = json.loads(completion.choices[0].message.content)

            await asyncio.gather(*(work() for _ in range(options.concurrency)))
        return rows

    return lambda prompts: asyncio.run(ask_all(prompts))


if __name__ == "__main__":
    measure(prepare)
