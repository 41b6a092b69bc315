"""rensa from Python: `python -m benchmarks.curate.peers.rensa_run pairs|flags TEXTS PAIRS`, in the peers' environment.

Belongs here: its API as a user calls it. pairs: sketch, insert all, query each, keep candidates by sketch similarity. flags: its
deduplicator as its README shows (0.5.0, Keep unique documents), which tells who stays but not because of whom.
"""

from __future__ import annotations

import json
import sys
from array import array
from pathlib import Path

from rensa import RMinHash, RMinHashDeduplicator, RMinHashLSH

from benchmarks.curate.peers.measuring import (
    N_BANDS,
    N_PERM,
    N_WARM,
    THRESHOLD,
    list_bigrams,
    measure_work,
    pin_core,
    read_texts,
    write_pairs,
)


def find_pairs(texts: list[str]) -> array[int]:
    """Pairs of positions, flat, left before right."""
    sketches, lsh = [], RMinHashLSH(threshold=THRESHOLD, num_perm=N_PERM, num_bands=N_BANDS)
    for number, text in enumerate(texts):
        sketch = RMinHash(num_perm=N_PERM, seed=42)
        sketch.update(list_bigrams(text))
        lsh.insert(number, sketch)
        sketches.append(sketch)
    pairs = array("i")
    for number, sketch in enumerate(sketches):
        for other in lsh.query(sketch):
            if other > number and sketch.jaccard(sketches[other]) >= THRESHOLD:
                pairs.extend((number, other))
    return pairs


def flag_documents(texts: list[str]) -> list[bool]:
    """Whether each document stays."""
    engine = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=N_PERM, use_lsh=True, num_bands=N_BANDS)
    return engine.add_pairs((str(number), list_bigrams(text)) for number, text in enumerate(texts))


def main() -> None:
    """Measure one way."""
    pin_core()
    way, texts = sys.argv[1], read_texts(Path(sys.argv[2]))
    call = find_pairs if way == "pairs" else flag_documents
    call(texts[:N_WARM])
    found, figures = measure_work(lambda: call(texts))
    if way == "pairs":
        write_pairs(Path(sys.argv[3]), found)
        print(json.dumps({**figures, "n_pairs": len(found) // 2}))
    else:
        print(json.dumps({**figures, "n_dropped": found.count(False)}))


if __name__ == "__main__":
    main()
