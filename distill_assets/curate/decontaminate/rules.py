"""The n-gram rules as data: what is compared, and how much overlap is a leak.

Belongs here: the published rules' parameters with their sources, and this project's own. Does not belong here: the scan.

A published rule is what its authors wrote, with two differences that are said here once: all part texts into this project's
words, except open_r1, whose point is that punctuation stays; and each text is held against each item by itself, so that a hit
can name both. Items that are too short for a rule are protected by exact features under any rule (short_items).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from distill_assets.curate.decontaminate.streams import StreamKind
from distill_assets.curation import ContaminationSpec, NgramRule

# Raise it when a rule, its constants or the evidence changes: findings of earlier rules are then found anew.
RULES_VERSION = "ngrams@1"

# any: one shared n-gram. words: the share of the item's words in shared n-grams. ngrams: the share of its n-grams.
Measure = Literal["any", "words", "ngrams"]

# GPT-3 takes for N, per benchmark, the 5th percentile of its items' words, no less than 8 and no more than 13.
# T. Brown et al., "Language Models are Few-Shot Learners" (2020), appendix C.
GPT3_PERCENTILE, GPT3_LEAST, GPT3_MOST = 0.05, 8, 13

# This project's rule counts the words of an item that stand in shared runs of three quarters of the recipe's n-gram (6 words for
# 8): an edit here and there leaves those whole. An item of fewer words than two n-grams is counted by its n-grams, for "which of
# these is not a type of" is 8 of 9 words of a question, and 1 of its 2 n-grams. With numbers taken out, other problems look alike
# more often, so more of the item must stand. Chosen on GSM8K train and 819 general texts: together they mark 0.1% and none.
COVER_QUARTERS = 3
LONG_NGRAMS = 2
NUMBERS_LEAST_FRAC = 0.6

# An item's shared runs must stand near each other: within so many times its words, and so many more.
STRETCH_TIMES, STRETCH_MORE = 3, 50

# An n-gram that stands in more items than this is their common frame ("which of the following is an example of", the rules of
# a task) and tells of none of them. GPT-3 likewise ignored n-grams that stand in more than 10 documents (appendix C).
MAX_SHARING = 10

# A share must be more than the recipe's, and of a share of 1 there is no more.
WHOLE = 1 - 1e-9


class Overlap(NamedTuple):
    """One comparison: n-grams of `n` words (None: as GPT-3 does) of a stream, what is measured, from where on it is a leak.

    A share must be above `above_frac`. Only items of `least_words` to `most_words` words are compared; others are left to another
    comparison or to exact features (short_items). `is_own`: this project's, where items are also read with their punctuation
    deleted, as careless copies are, n-grams that many items share do not count, and those that do must stand near each other. A
    smaller share is for review when a run of `review_words` is shared; 0: never.
    """

    rule: str
    stream: StreamKind
    n: int | None
    measure: Measure
    above_frac: float = 0.0
    is_own: bool = False
    least_words: int = 0
    most_words: int = 1 << 31
    review_words: int = 0


PUBLISHED: dict[NgramRule, tuple[Overlap, ...]] = {
    # One shared N-gram, case and punctuation ignored (appendix C).
    "gpt3": (Overlap("gpt3", "words", None, "any"),),
    # A token is contaminated in a shared run of more than 10 tokens, an item is "dirty" above 80% of such tokens: H. Touvron
    # et al., "Llama 2" (2023), appendix A.6, here without its skip budget of 4 tokens, and in words.
    "llama": (Overlap("llama", "words", 11, "words", 0.8),),
    # One shared 13-gram, or more than half of the item's 7-grams: M. Abdin et al., "Phi-4 Technical Report" (2024), appendix.
    "phi4": (Overlap("phi4", "words", 13, "any"), Overlap("phi4", "words", 7, "ngrams", 0.5)),
    # Shared 8-grams cover more than half of the item's tokens: N. Lambert et al., "Tulu 3" (2024), section 3.2, and
    # allenai/open-instruct, decontamination/search.py (spaCy tokens there, words here).
    "tulu3": (Overlap("tulu3", "words", 8, "words", 0.5),),
    # One shared 8-gram of what white space parts, in lower case: huggingface/open-r1, scripts/decontaminate.py.
    "open_r1": (Overlap("open_r1", "spaced", 8, "any"),),
}


def list_overlaps(spec: ContaminationSpec) -> tuple[Overlap, ...]:
    """The comparisons that `spec` asks for."""
    chosen = list_own(spec) if spec.rule == "cover" else PUBLISHED[spec.rule]
    if not spec.abstract_numbers:
        return chosen
    n, long_words = spec.ngram * COVER_QUARTERS // 4, spec.ngram * LONG_NGRAMS
    least = min(max(spec.min_coverage, NUMBERS_LEAST_FRAC), WHOLE)
    return (*chosen, Overlap("numbers_changed", "numbers", max(1, n), "words", least, True, long_words))


def list_own(spec: ContaminationSpec) -> tuple[Overlap, ...]:
    """This project's rule: long items by words, and those barely longer than an n-gram by n-grams."""
    n, long_words, least = spec.ngram * COVER_QUARTERS // 4, spec.ngram * LONG_NGRAMS, min(spec.min_coverage, WHOLE)
    return (
        Overlap("cover", "words", max(1, n), "words", least, True, long_words, review_words=spec.ngram),
        Overlap("cover", "words", spec.ngram, "ngrams", least, True, spec.ngram, long_words - 1, spec.ngram),
    )


def percentile_ngram(lengths: list[int]) -> int:
    """GPT-3's N for a benchmark whose items have `lengths` words."""
    ordered = sorted(lengths)
    at = int(GPT3_PERCENTILE * (len(ordered) - 1))
    return min(GPT3_MOST, max(GPT3_LEAST, ordered[at]))
