"""How values cross between processes that do not trust each other: a closed set of plain values as JSON.

Belongs here: turning exact built-in values (and a few of the standard library) into JSON text and back, with bounds.
Does not belong here: framing and transport (program, channel) or comparing (python/compare). Stands alone on the
standard library, because it runs on both sides.

A value of any other type, also of a subclass that could lie about equality, crosses as Opaque: it is equal to nothing
and has no truth. JSON says None, bool, int, float, str, list and dict with plain string keys; all else is an object
with one key that begins with "$": $tuple $set $frozenset $dict $float $int $complex $bytes $bytearray $decimal
$fraction $date $time $datetime $timedelta $iterator $opaque.
"""

from __future__ import annotations

import json
import math
from itertools import islice

MAX_DEPTH = 150
MAX_NODES = 300_000
MAX_ITEMS_OF_ITERATOR = 10_000
PLAIN_INT = 1 << 1024
MAX_COLLIDING = 1000
MAX_FRACTION_CHARS = 10_000


class CannotCross(Exception):
    """A value is too deep or too large, or a text is no value."""


class Opaque:
    """A value that may not cross. Equal to nothing, not even to itself; it has no truth."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(f"a value of type {self.kind} cannot leave its process")

    def __repr__(self) -> str:
        return f"<{self.kind}>"


class Values:
    """An iterator that crossed: its items, taken once, in order."""

    __slots__ = ("_items", "_more")

    def __init__(self, items: list, more: bool) -> None:
        self._items, self._more = iter(items), more

    def __iter__(self) -> Values:
        return self

    def __next__(self) -> object:
        try:
            return next(self._items)
        except StopIteration:
            if self._more:
                raise CannotCross(f"more than {MAX_ITEMS_OF_ITERATOR} items were asked of an iterator") from None
            raise


def dumps(value: object) -> str:
    """The text of a value.

    Raises:
        CannotCross: when it is nested deeper than MAX_DEPTH or has more than MAX_NODES parts.
    """
    return json.dumps(_Encoder().encode(value, 0), ensure_ascii=True, separators=(",", ":"))


def loads(text: str | bytes) -> object:
    """The value of a text.

    Raises:
        CannotCross: when the text is no value that `dumps` could have written.
    """
    try:
        return from_json(json.loads(text))
    except (ValueError, RecursionError, TypeError, OverflowError, ArithmeticError, AttributeError) as error:
        raise CannotCross(f"not a value: {type(error).__name__}") from None


class _Encoder:
    """Walks a value once; counts its parts."""

    def __init__(self) -> None:
        self._left = MAX_NODES

    def encode(self, value: object, depth: int) -> object:
        kind = type(value)
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise CannotCross(f"a value deeper than {MAX_DEPTH} or with more than {MAX_NODES} parts")
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if -PLAIN_INT < value < PLAIN_INT else {"$int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if kind is list:
            return [self.encode(item, depth + 1) for item in value]
        if kind is dict or kind in _dict_types():
            return self._encode_dict(dict.items(value), depth)
        return self._encode_rare(value, kind, depth)

    def _encode_dict(self, items: object, depth: int) -> object:
        pairs = list(items)
        if all(type(key) is str and not key.startswith("$") for key, _ in pairs):
            return {key: self.encode(item, depth + 1) for key, item in pairs}
        return {"$dict": [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in pairs]}

    def _encode_rare(self, value: object, kind: type, depth: int) -> object:
        if kind is tuple or _is_namedtuple(kind):
            return {"$tuple": [self.encode(item, depth + 1) for item in tuple.__iter__(value)]}
        if kind is set or kind is frozenset:
            return {f"${kind.__name__}": [self.encode(item, depth + 1) for item in value]}
        if kind is bytes or kind is bytearray:
            return {f"${kind.__name__}": value.hex()}
        if kind is complex:
            return {"$complex": [self.encode(value.real, depth), self.encode(value.imag, depth)]}
        if kind in _iterator_types():
            items = list(islice(value, MAX_ITEMS_OF_ITERATOR + 1))
            more = len(items) > MAX_ITEMS_OF_ITERATOR
            return {"$iterator": [[self.encode(item, depth + 1) for item in items[:MAX_ITEMS_OF_ITERATOR]], more]}
        return _encode_library(value, kind)


def _encode_library(value: object, kind: type) -> object:
    import datetime
    import decimal
    import fractions

    if kind is decimal.Decimal:
        return {"$decimal": str(value)}
    if kind is fractions.Fraction:
        return {"$fraction": [hex(value.numerator), hex(value.denominator)]}
    if kind in (datetime.date, datetime.time):
        return {f"${kind.__name__}": value.isoformat()}
    if kind is datetime.datetime and type(value.tzinfo) in (type(None), datetime.timezone):
        return {"$datetime": value.isoformat()}
    if kind is datetime.timedelta:
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}
    return {"$opaque": type.__getattribute__(kind, "__name__")[:100]}


def _dict_types() -> tuple[type, ...]:
    import collections

    return (collections.OrderedDict, collections.defaultdict, collections.Counter)


def _is_namedtuple(kind: type) -> bool:
    return kind.__bases__ == (tuple,) and kind.__eq__ is tuple.__eq__ and isinstance(kind.__dict__.get("_fields"), tuple)


def _iterator_types() -> tuple[type, ...]:
    import collections

    generator = type(item for item in ())
    return (
        generator,
        map,
        filter,
        zip,
        range,
        enumerate,
        reversed,
        collections.deque,
        type({}.keys()),
        type({}.values()),
        type({}.items()),
    )


def from_json(value: object) -> object:
    """Turn what json.loads gave into the value; raises what a malformed tag provokes."""
    if type(value) is list:
        return [from_json(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        tag, content = next(iter(value.items()))
        if tag.startswith("$"):
            return _DECODERS[tag](content) if tag in _DECODERS else _refuse(tag)
    return {key: from_json(item) for key, item in value.items()}


def _refuse(tag: str) -> object:
    raise CannotCross(f"not a value: {tag[:20]}")


def _hashable(items: list) -> list:
    """Decode items of a set or keys of a dict; refuse many with one hash, which would take for ever to store."""
    values = [from_json(item) for item in items]
    if len(values) > MAX_COLLIDING and len({hash(value) for value in values}) < len(values) // 2:
        raise CannotCross("too many keys with the same hash")
    return values


def _decode_dict(pairs: list) -> dict:
    keys = _hashable([key for key, _ in pairs])
    return dict(zip(keys, (from_json(item) for _, item in pairs), strict=True))


def _decode_float(text: str) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.get(text) or _refuse("$float")


def _decode_decimal(text: str) -> object:
    import decimal

    return decimal.Decimal(text)


def _decode_fraction(pair: list) -> object:
    import fractions

    if max(map(len, pair)) > MAX_FRACTION_CHARS:  # its reduction takes time with the square of the length
        _refuse("$fraction")
    return fractions.Fraction(int(pair[0], 16), int(pair[1], 16))


def _decode_time(name: str, content: object) -> object:
    import datetime

    kind = getattr(datetime, name)
    return kind(*content) if kind is datetime.timedelta else kind.fromisoformat(content)


_DECODERS = {
    "$tuple": lambda items: tuple(from_json(item) for item in items),
    "$set": lambda items: set(_hashable(items)),
    "$frozenset": lambda items: frozenset(_hashable(items)),
    "$dict": _decode_dict,
    "$float": _decode_float,
    "$int": lambda text: int(text, 16),
    "$complex": lambda pair: complex(from_json(pair[0]), from_json(pair[1])),
    "$bytes": bytes.fromhex,
    "$bytearray": bytearray.fromhex,
    "$decimal": _decode_decimal,
    "$fraction": _decode_fraction,
    "$date": lambda text: _decode_time("date", text),
    "$time": lambda text: _decode_time("time", text),
    "$datetime": lambda text: _decode_time("datetime", text),
    "$timedelta": lambda parts: _decode_time("timedelta", parts),
    "$iterator": lambda pair: Values([from_json(item) for item in pair[0]], bool(pair[1])),
    "$opaque": lambda name: Opaque(str(name)[:100]),
}
