"""How fast one training step is: `python -m benchmarks.training_step --json`, with GOMP_SPINCOUNT or OMP_WAIT_POLICY set.

Random tokens in the shape of the built-in recipe's rows (51 tokens, 25 of them labelled), the base model with
its frozen bottom, the trainer's loss. Compare settings in turn, several times, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from distill_assets.clients.base_model import EMBEDDED_NAME, resolve_base_model
from distill_assets.config import TrainSpec, cache_folder, count_cores
from distill_assets.train.trainer import freeze_bottom

N_TOKENS, N_LABELLED = 51, 25
WARM_STEPS, STEPS = 2, 6


def measure(batch_size: int, frozen_frac: float, threads: int) -> dict[str, Any]:
    """Tokens per wall second over some steps, and seconds of their parts."""
    import torch
    import torch.nn.functional as functional
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    path = resolve_base_model(EMBEDDED_NAME, cache_folder()).path
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa").train()
    freeze_bottom(model, frozen_frac)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    ids = torch.randint(0, 40_000, (batch_size, N_TOKENS))
    parts = {"forward_s": 0.0, "backward_s": 0.0, "update_s": 0.0}
    for step in range(WARM_STEPS + STEPS):
        marks = [time.perf_counter()]
        states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, -N_LABELLED - 1 : -1]
        scores = model.get_output_embeddings()(states.flatten(0, 1))
        loss = functional.cross_entropy(scores, ids[:, -N_LABELLED:].flatten())
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.perf_counter())
        if step >= WARM_STEPS:
            for name, start, end in zip(parts, marks, marks[1:], strict=False):
                parts[name] += (end - start) / STEPS
    rate = batch_size * N_TOKENS / sum(parts.values())
    return {"tokens_per_s": round(rate, 1), **{name: round(value, 3) for name, value in parts.items()}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=TrainSpec().batch_size)
    parser.add_argument("--frozen", type=float, default=TrainSpec().frozen_frac)
    parser.add_argument("--threads", type=int, default=count_cores())
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    args = parser.parse_args()
    figures = measure(args.batch, args.frozen, args.threads)
    print(json.dumps(figures) if args.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
