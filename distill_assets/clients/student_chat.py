"""A local model as an answerer: the student and its base model, asked in the same way.

Belongs here: loading a folder of weights and greedy decoding on the CPU or GPU. Does not belong here: which
prompts are asked (evaluate) or what an answer is worth (verifiers).

Prompts are sorted by length and cut into batches of a fixed size, so that a prompt always meets the same
neighbours and the same prompts give the same answers, in any order they are asked. A finished row
leaves its batch, so that one long answer does not hold up the rest. Decoding stops at the end token or
at the line break after the first words: an answer is one line, and a base model would go on writing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.errors import CheckpointError

# Wide, because each step reads all weights once, however few rows are left.
BATCH_SIZE = 128
_OPENING = re.compile(r"^\s*(```\w*\s*\n\s*)?")


class Answer(NamedTuple):
    """Text up to the stop, token counts (the stop token counts), and `stop` or `length`."""

    text: str
    n_prompt_tokens: int
    n_completion_tokens: int
    finish_reason: str


class StudentChat:
    """A model that is loaded once and asked in batches; weights and sums are float32 on a CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the model folder at `path`.

        Raises:
            CheckpointError: transformers cannot load it.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(threads)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
            self.model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa")
        except (OSError, ValueError) as error:
            raise CheckpointError(f"model {path} cannot be loaded: {error}. Nothing was answered. Check the folder.") from error
        self.model.to(self.device).eval()  # type: ignore[arg-type]
        self._texts: dict[int, str] = {}

    def answer(
        self, prompts: list[str], max_new_tokens: int, say: Callable[[int, int], None] = lambda done, total: None
    ) -> list[Answer]:
        """Answer each prompt by greedy decoding, in the order given.

        Args:
            max_new_tokens: longest answer in tokens.
            say: told after each batch how many prompts of how many are done.
        """
        encoded = [self.tokenizer(prompt, add_special_tokens=False).input_ids for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda i: (len(encoded[i]), encoded[i]))
        answers: dict[int, Answer] = {}
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            for i, tokens in zip(batch, self._decode([encoded[i] for i in batch], max_new_tokens), strict=True):
                answers[i] = self._finish(len(encoded[i]), tokens)
            say(len(answers), len(prompts))
        return [answers[i] for i in range(len(prompts))]

    def _decode(self, batch: list[list[int]], max_new_tokens: int) -> list[list[int]]:
        """Return the new tokens of each row, its stop token included."""
        import torch

        width = max(len(ids) for ids in batch)
        end = self.tokenizer.eos_token_id
        ids = torch.tensor([[end] * (width - len(row)) + row for row in batch], device=self.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch], device=self.device)
        produced: list[list[int]] = [[] for _ in batch]
        running, cache = list(range(len(batch))), None
        with torch.inference_mode():
            for _ in range(max_new_tokens):
                positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
                out = self.model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                cache = out.past_key_values
                chosen = out.logits[:, -1].argmax(-1)
                keep = []
                for place, (row, token) in enumerate(zip(running, chosen.tolist(), strict=True)):
                    produced[row].append(token)
                    if not self._is_stopped(produced[row]):
                        keep.append(place)
                if not keep:
                    break
                if len(keep) < len(running):
                    index = torch.tensor(keep, device=self.device)
                    running, chosen, mask = [running[place] for place in keep], chosen[index], mask[index]
                    cache.reorder_cache(index)
                ids, mask = chosen[:, None], torch.cat([mask, mask.new_ones(len(running), 1)], dim=1)
        return produced

    def _is_stopped(self, tokens: list[int]) -> bool:
        """Whether the last token ends the answer: the end token, or a line break behind some words."""
        if tokens[-1] == self.tokenizer.eos_token_id:
            return True
        return "\n" in self._text_of(tokens[-1]) and "\n" in _OPENING.sub("", self.tokenizer.decode(tokens))

    def _text_of(self, token: int) -> str:
        if token not in self._texts:
            self._texts[token] = self.tokenizer.decode([token])
        return self._texts[token]

    def _finish(self, n_prompt: int, tokens: list[int]) -> Answer:
        text = _OPENING.sub("", self.tokenizer.decode(tokens, skip_special_tokens=True)).split("\n")[0].strip()
        return Answer(text, n_prompt, len(tokens), "stop" if self._is_stopped(tokens) else "length")
