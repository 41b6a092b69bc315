"""The floor: aiohttp and json, no validation beyond the parse, nothing kept."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from benchmarks.peers.workload import KEY, MODEL, SCHEMA, Ask, measure, messages

FORM = {"type": "json_schema", "json_schema": {"name": "row", "schema": SCHEMA, "strict": True}}


def prepare(options: argparse.Namespace) -> Ask:
    """Import aiohttp."""
    import aiohttp

    async def ask_all(prompts: list[str]) -> list[dict[str, Any]]:
        rows: list[Any] = [None] * len(prompts)
        waiting = iter(enumerate(prompts))
        connector = aiohttp.TCPConnector(limit=options.concurrency)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def work() -> None:
                for number, prompt in waiting:
                    body = json.dumps({"model": MODEL, "messages": messages(prompt), "response_format": FORM}).encode()
                    async with session.post(f"{options.base_url}/chat/completions", data=body) as reply:
                        completion = json.loads(await reply.read())
                    rows[number] = json.loads(completion["choices"][0]["message"]["content"])

            await asyncio.gather(*(work() for _ in range(options.concurrency)))
        return rows

    return lambda prompts: asyncio.run(ask_all(prompts))


if __name__ == "__main__":
    measure(prepare)
