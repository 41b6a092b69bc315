"""Seeded choice: the one source of variety.

Belongs here: weighted picks and the expansion of `(one|another)` alternatives in a phrase. Does not
belong here: what the alternatives are. The one idea: a template is a string with nested
alternatives and `{slots}`; alternatives are settled first, so that a value can hold any character.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
_GROUP = re.compile(r"\(([^()]*)\)")
_REPEATED = re.compile(r"\b([a-z]+) \1\b")
_SLOT = re.compile(r"\{(\w+)\}")


class Draw:
    """Choices from one seed, with the weights that a focus gives to names."""

    def __init__(self, seed: str, focus: Mapping[str, float]) -> None:
        self._random = random.Random(seed)
        self._focus = focus

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._random.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[int(self._random.random() * len(options))]

    def lean(self, options: Sequence[T]) -> T:
        """Return one of the options, the first ones likelier than the last."""
        return options[int(self._random.random() ** 1.8 * len(options))]

    def weigh(self, options: Mapping[T, float]) -> T:
        """Return one key, likely in proportion to its weight."""
        return self._random.choices(list(options), list(options.values()))[0]

    def focus(self, options: Sequence[T], name: object = str) -> T:
        """Return one option; those whose name the seed mentions weigh more."""
        weights = [self._focus.get(name(option), 1.0) for option in options]  # type: ignore[operator]
        return self._random.choices(options, weights)[0]

    def weight_of(self, name: str) -> float:
        """Return the focus weight of a name (1.0 when the seed does not mention it)."""
        return self._focus.get(name, 1.0)

    def between(self, low: float, high: float) -> float:
        """Return a number in the range."""
        return self._random.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        """Return an integer in the closed range."""
        return self._random.randint(low, high)

    def sample(self, options: Sequence[T], n: int) -> list[T]:
        """Return n different options."""
        return self._random.sample(list(options), n)

    def say(self, template: str, **slots: str) -> str:
        """Settle the template's alternatives, fill its slots, tidy the spaces."""
        text = template
        while "(" in text:
            text = _GROUP.sub(lambda found: self.pick(found[1].split("|")), text)
        text = _SLOT.sub(lambda found: slots[found[1]], text)
        return _REPEATED.sub(r"\1", " ".join(text.split()).replace(" ?", "?"))
