"""Daft in local mode finds what the compiled join finds, bit for bit."""

from __future__ import annotations

import subprocess
import sys

import polars as pl

from distill_assets.curate.deduplicate import spread
from distill_assets.curate.deduplicate.pairs import find_pairs
from distill_assets.curate.deduplicate.shingles import build_shingles
from tests.curate.deduplicate.test_pairs import make_texts


def test_daft_finds_the_same_pairs():
    texts = pl.Series([*make_texts(1500, 900, seed=9), "", "!!!", "!!!", "one", "ONE"])
    groups = pl.Series([str(i % 3 == 0) for i in range(len(texts))])
    found = spread.find_pairs(texts, groups, 2, 0.6)
    assert found.equals(find_pairs(build_shingles(texts, groups, 2), 0.6))
    assert found.height > 100


def test_without_daft_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['daft'] = None\n"
        "import polars as pl\n"
        "from distill_assets.curate.deduplicate import spread\n"
        "from distill_assets.errors import RecipeError\n"
        "try:\n    spread.find_pairs(pl.Series(['a']), None, 2, 0.7)\n"
        "except RecipeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'distill-assets[distributed]'" in done.stdout
