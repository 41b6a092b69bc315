"""Programs that are meant well, right and wrong ones, and whether each gets its true verdict: `python -m benchmarks.judge.legitimate`.

programs.jsonl has one answer a line: {"id", "topic", "answer", "gold", "verdict", "slow"?}; measure runs them all.
"""
