"""What exposure.parquet says against what really reached model and loss: `python -m tests.train.exposure_grid`.

Every cell of architecture x packing x truncation x accumulation x resume is a real training by the real child. The
count that it is held against shares nothing with the trainer: each row has words of its own, and a spy around
`torch.nn.functional` writes down the tokens that reach the embedding and the targets that reach the cross entropy. The
optimizer's own counter says which step they were for. A resumed cell is killed by SIGKILL within a later batch of a
step after the last save, so that whole steps are trained twice and have to count once.

Importing torch and TRL takes longer than a cell, so all cells are forked from one process that has only imported them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from distill_assets.processes import PARENT_VARIABLE, calm_libraries

MAX_LENGTH = 24
SAVE_EVERY = 3
KILL_AFTER_STEP = 5
ARCHITECTURES = ("llama", "lfm2")
# Words of prompt and completion: usual rows; the longest that fits; one word, and many words, too long; a prompt that
# leaves one word, and none; no prompt, so that the first word is never predicted.
LENGTHS = (
    (4, 3), (7, 9), (2, 2), (5, 11), (3, 1), (6, 6), (1, 4), (8, 5), (2, 13), (4, 8), (9, 2), (3, 3), (5, 4), (1, 1), (6, 10),
    (10, 13), (10, 14), (9, 30), (23, 6), (24, 2), (40, 3), (0, 5), (0, 2), (2, 6), (7, 1),
)  # fmt: skip


class Case(NamedTuple):
    """One cell."""

    architecture: str
    packing: bool
    truncate: bool
    accumulate: bool
    resume: bool

    @property
    def name(self) -> str:
        parts = [name for name, value in zip(self._fields[1:], self[1:], strict=True) if value]
        return "+".join([self.architecture, *parts])


CASES = tuple(Case(*cell) for cell in product(ARCHITECTURES, *([(False, True)] * 4)))


def count_mismatches() -> dict[str, Any]:
    """Run the grid in a process of its own.

    Returns:
        n_mismatches and n_values over all cells; `cases`: by name, n_mismatches, n_values, n_steps, n_redone (steps that
        were trained twice), n_rows_seen, n_truncated, weights_sha256 and exposure_sha256.
    """
    command = [sys.executable, "-m", "tests.train.exposure_grid"]
    environment = {name: value for name, value in os.environ.items() if name != PARENT_VARIABLE}
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    return json.loads(ended.stdout)


# --- the spy: what reached the model, the loss and the optimizer --------------------------------


@contextlib.contextmanager
def spy_on_training(log: Path, kill_after_step: int | None = None) -> Iterator[None]:
    """Append to `log`: a line when it starts, the tokens of each forward pass with gradients, its targets, each step.

    Args:
        kill_after_step: kill this process at the first loss after that optimizer step.
    """
    import torch
    from torch.nn import functional

    embedding, cross_entropy, take_step = functional.embedding, functional.cross_entropy, torch.optim.AdamW.step
    is_armed = False

    with log.open("a", encoding="utf-8", buffering=1) as file:

        def write(event: str, value: Any) -> None:
            file.write(json.dumps([event, value]) + "\n")

        def spied_embedding(ids: Any, *args: Any, **kwargs: Any) -> Any:
            if torch.is_grad_enabled():  # no other pass can reach an optimizer
                write("inputs", ids.tolist())
            return embedding(ids, *args, **kwargs)

        def spied_loss(scores: Any, targets: Any, *args: Any, **kwargs: Any) -> Any:
            write("targets", targets.tolist())
            if is_armed:
                os.kill(os.getpid(), signal.SIGKILL)
            return cross_entropy(scores, targets, *args, **kwargs)

        def spied_step(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal is_armed
            result = take_step(optimizer, *args, **kwargs)
            step = int(next(iter(optimizer.state.values()))["step"])
            write("step", step)
            is_armed = step == kill_after_step
            return result

        write("start", None)
        functional.embedding, functional.cross_entropy, torch.optim.AdamW.step = spied_embedding, spied_loss, spied_step
        try:
            yield
        finally:
            functional.embedding, functional.cross_entropy, torch.optim.AdamW.step = embedding, cross_entropy, take_step


class Seen(NamedTuple):
    """Batches of (lines of tokens, targets) by step of the history that the weights have, and steps trained in vain."""

    steps: dict[int, list[tuple[list[list[int]], list[int]]]]
    n_redone: int


def read_log(log: Path) -> Seen:
    """Put together what the processes of one training did: a later one takes the place of the steps that it does again."""
    steps: dict[int, list[tuple[list[list[int]], list[int]]]] = {}
    waiting: list[tuple[list[list[int]], list[int]]] = []
    inputs: list[list[int]] = []
    n_redone = 0
    for line in log.read_text(encoding="utf-8").splitlines():
        event, value = json.loads(line)
        if event == "start":
            waiting = []
        elif event == "inputs":
            inputs = value
        elif event == "targets":
            waiting.append((inputs, value))
        else:
            again = [step for step in steps if step >= value]
            n_redone += len(again)
            for step in again:
                del steps[step]
            steps[value], waiting = waiting, []
    return Seen(steps, n_redone)


# --- the world: rows whose words occur in no other row ------------------------------------------

PAD, END = 0, 1


def list_words() -> list[str]:
    """The vocabulary: <pad>, <end>, then a word for the prompt and one for the completion of each row."""
    return ["<pad>", "<end>", *(f"{kind}{row}" for row in range(len(LENGTHS)) for kind in ("p", "c"))]


def name_row(row: int) -> str:
    """An id whose order isn't that of the rows."""
    return f"{hashlib.sha256(str(row).encode()).hexdigest()[:8]}"


def write_world(folder: Path) -> None:
    """Write the rows, sorted by id as the plan does, and one base model of each architecture."""
    import polars as pl
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, Lfm2Config, LlamaConfig, PreTrainedTokenizerFast

    rows = [
        {"sample_id": name_row(row), "prompt": " ".join([f"p{row}"] * n), "completion": " ".join([f"c{row}"] * m)}
        for row, (n, m) in enumerate(LENGTHS)
    ]
    pl.DataFrame(rows).sort("sample_id").write_parquet(folder / "rows.parquet")
    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(list_words())}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    shape: dict[str, Any] = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": len(list_words()), "pad_token_id": PAD, "eos_token_id": END, "bos_token_id": END, "tie_word_embeddings": True,
    }  # fmt: skip
    convolution = {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}
    for name, config in (("llama", LlamaConfig(**shape)), ("lfm2", Lfm2Config(**shape, **convolution))):
        torch.manual_seed(3)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder / name)
        PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<end>").save_pretrained(folder / name)


def write_spec(folder: Path, case: Case) -> Path:
    """Write the child's spec file of one cell."""
    train = {
        "epochs": 3, "batch_size": 2, "learning_rate": 1e-2, "max_length": MAX_LENGTH, "frozen_frac": 0.0, "save_every_steps": SAVE_EVERY,
        "packing": case.packing, "accumulation_steps": 3 if case.accumulate else 1, "long_rows": "truncate" if case.truncate else "drop",
    }  # fmt: skip
    spec = {
        "rows": str(folder / "rows.parquet"),
        "base_model": {"path": str(folder / case.architecture), "name": case.architecture, "revision": "grid"},
        "train": train,
        "threads": 1,
        "work_dir": str(folder / f"{case.name}.work"),
        "target": str(folder / "checkpoints" / case.name),
        "manifest": {"checkpoint_id": case.name},
    }
    file = folder / f"{case.name}.json"
    file.write_text(json.dumps(spec), encoding="utf-8")
    return file


# --- the two counts, and their differences ------------------------------------------------------

COLUMNS = ("n_times", "n_tokens", "n_loss_tokens", "is_truncated", "first_step")


def count_seen(seen: Seen) -> dict[str, dict[str, Any]]:
    """Count by row from the words alone; an <end> is of the row whose word stands before it."""
    counts = {row: dict.fromkeys(("n_times", "n_tokens", "n_loss_tokens"), 0) | {"first_step": None} for row in range(len(LENGTHS))}
    for step, batches in sorted(seen.steps.items()):
        for lines, targets in batches:
            owners = [owner for line in lines for owner in find_owners(line)]
            for row in set(owners):
                counts[row]["n_times"] += 1
                counts[row]["n_tokens"] += owners.count(row)
                counts[row]["first_step"] = counts[row]["first_step"] or step
            if any(token >= 2 and token % 2 == 0 for token in targets):
                raise AssertionError(f"step {step}: a word of a prompt was predicted: {targets}")
            for row in find_owners(targets):
                counts[row]["n_loss_tokens"] += 1
    for row, (n, m) in enumerate(LENGTHS):
        counts[row]["is_truncated"] = counts[row]["n_tokens"] < counts[row]["n_times"] * (n + m + 1)
    return {name_row(row): entry for row, entry in counts.items()}


def find_owners(tokens: list[int]) -> list[int]:
    """Rows of the tokens that are of a row: padding is of none."""
    owners: list[int] = []
    for token in tokens:
        if token != PAD:
            owners.append(owners[-1] if token == END else (token - 2) // 2)
    return owners


def compare(folder: Path, case: Case) -> dict[str, Any]:
    """Hold the published exposure against the spy's count."""
    from distill_assets.train.checkpoint import verify_checkpoint
    from distill_assets.train.exposure import EXPOSURE_FILE, read_exposure

    target = folder / "checkpoints" / case.name
    manifest, frame = verify_checkpoint(target), read_exposure(target)
    assert frame is not None
    seen = read_log(folder / f"{case.name}.log")
    truth = count_seen(seen)
    told = {entry["sample_id"]: entry for entry in frame.iter_rows(named=True)}
    wrong = [(sample_id, name) for sample_id in truth for name in COLUMNS if told[sample_id][name] != truth[sample_id][name]]
    totals = {name: sum(entry[name] for entry in truth.values()) for name in ("n_times", "n_tokens", "n_loss_tokens")}
    totals["n_label_tokens"] = totals.pop("n_loss_tokens")
    wrong += [("manifest", name) for name, total in totals.items() if manifest["training"][name] != total]
    return {
        "n_mismatches": len(wrong) + abs(len(told) - len(truth)),
        "mismatches": wrong[:5],
        "n_values": len(truth) * len(COLUMNS) + len(totals),
        "n_steps": len(seen.steps),
        "n_redone": seen.n_redone,
        "n_rows_seen": sum(entry["n_times"] > 0 for entry in truth.values()),
        "n_truncated": sum(entry["is_truncated"] for entry in truth.values()),
        "n_lines": sum(len(lines) for lines, _ in seen.steps[1]),
        "weights_sha256": manifest["weights_sha256"],
        "exposure_sha256": manifest["files"][EXPOSURE_FILE]["sha256"],
    }


# --- the runner ---------------------------------------------------------------------------------


def train(folder: Path, case: Case, kill_after_step: int | None = None) -> None:
    """Be the child, spied on; its output goes to a file."""
    from distill_assets.train import child

    with contextlib.ExitStack() as stack:
        out = stack.enter_context((folder / f"{case.name}.out").open("a"))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(out))
        stack.enter_context(spy_on_training(folder / f"{case.name}.log", kill_after_step))
        code = child.main(["--spec", str(folder / f"{case.name}.json")])
    sys.exit(code)


def write_comparison(folder: Path, case: Case) -> None:
    """Compare, in a process of its own, because polars' threads do not survive a fork."""
    (folder / f"{case.name}.compared").write_text(json.dumps(compare(folder, case)), encoding="utf-8")


def fork(work: Callable[..., None], *args: Any) -> int:
    """Run `work` in a copy of this process; return its exit status, negative for a signal."""
    process = multiprocessing.get_context("fork").Process(target=work, args=args)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def run_case(folder: Path, case: Case) -> dict[str, Any]:
    """Train one cell, killed once where it is to resume, and compare."""
    write_spec(folder, case)
    endings = [fork(train, folder, case, KILL_AFTER_STEP)] if case.resume else []
    endings += [fork(train, folder, case), fork(write_comparison, folder, case)]
    if endings != [*([-signal.SIGKILL] if case.resume else []), 0, 0]:
        raise RuntimeError(f"{case.name}: exit statuses {endings}\n{(folder / f'{case.name}.out').read_text()[-2000:]}")
    return json.loads((folder / f"{case.name}.compared").read_text(encoding="utf-8"))


def main() -> None:
    """Run all cells and print the result as JSON."""
    os.environ.pop(PARENT_VARIABLE, None)
    calm_libraries()
    import torch
    import transformers  # noqa: F401
    import trl

    torch.set_num_threads(1)
    _ = trl.SFTTrainer, trl.SFTConfig  # loads what is behind the names
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if fork(write_world, folder):
            raise RuntimeError("the rows and base models could not be written")
        cases = {case.name: run_case(folder, case) for case in CASES}
    totals = {key: sum(cell[key] for cell in cases.values()) for key in ("n_mismatches", "n_values")}
    print(json.dumps({**totals, "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
