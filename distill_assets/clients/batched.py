"""Which calls are in batches, what they can cost at most, and how often a batch failed them.

Belongs here: counting lines of the kinds b, a and e, in whatever order they are read: a call may enter its batch in
one segment and leave it in another. Does not belong here: the lines themselves (journal) or batches (batches).
"""

from __future__ import annotations

from typing import NamedTuple

from distill_assets.clients.segments import Line


class Place(NamedTuple):
    """Where a call is: its batch, and the most that it can cost there."""

    batch_id: str
    usd_nano: int
    tokens: int


class Batched:
    """All calls that entered a batch and have not left it."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[Place, ...]] = {}
        self._left_early: set[tuple[str, str]] = set()
        self._failures: dict[str, tuple[int, str]] = {}
        self.names: set[str] = set()  # of all batches that ever had a call; an id is never used again
        self.usd_nano = self.tokens = 0

    def enter(self, line: Line) -> None:
        """A call went into a batch."""
        place = Place(line.rest.decode(errors="replace"), line.usd_nano, line.tokens)
        self.names.add(place.batch_id)
        if (line.key, place.batch_id) in self._left_early:
            self._left_early.discard((line.key, place.batch_id))
            return
        self._places[line.key] = (*self._places.get(line.key, ()), place)
        self.usd_nano += place.usd_nano
        self.tokens += place.tokens

    def leave(self, line: Line) -> None:
        """A call's batch is done with it."""
        batch_id, _, words = line.rest.partition(b" ")
        name = batch_id.decode(errors="replace")
        places = self._places.get(line.key, ())
        if not any(place.batch_id == name for place in places):
            self._left_early.add((line.key, name))
        for place in places:
            if place.batch_id == name:
                self.usd_nano -= place.usd_nano
                self.tokens -= place.tokens
        if rest := tuple(place for place in places if place.batch_id != name):
            self._places[line.key] = rest
        else:
            self._places.pop(line.key, None)
        if line.kind == "e" and words:
            self._failures[line.key] = (self.count_failures(line.key) + 1, words.decode(errors="replace"))

    def find(self, key: str) -> Place | None:
        """Where the call is, or None."""
        places = self._places.get(key)
        return places[-1] if places else None

    def list_keys(self, batch_id: str) -> list[str]:
        """The calls that are in a batch."""
        return [key for key, places in self._places.items() if any(place.batch_id == batch_id for place in places)]

    def list_batches(self) -> set[str]:
        """The batches that calls are in."""
        return {place.batch_id for places in self._places.values() for place in places}

    def count_failures(self, key: str) -> int:
        """How many batches tried the call in vain."""
        return self._failures.get(key, (0, ""))[0]

    def tell_failure(self, key: str) -> str:
        """What a batch said of such a call."""
        return self._failures.get(key, (0, ""))[1]

    def __len__(self) -> int:
        return len(self._places)
