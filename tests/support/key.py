"""Keys, their tags, and what a key looks like."""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from courtyard import _native

NONE, ASCII, LATIN, WIDE_2, WIDE_4, BYTES, INTEGER, FLOAT, COMPLEX, TUPLE, FROZENSET, PICKLE = (
    range(1, 13)
)
DEPTH = 100
LONGEST = 64 << 20


def form(key: Hashable) -> tuple[int, bytes]:
    tag, content, _ = _native._key_encode(key)
    assert 0 < tag < 32
    return tag, content


def through(key: Hashable) -> Any:
    return _native._key_decode(*_native._key_encode(key))


def look(key: Any) -> Any:
    """Return what a key looks like: its type and content, and those of what is in it."""
    kind = type(key)
    if isinstance(key, float):
        return kind, struct.pack("d", key)
    if isinstance(key, complex):
        return kind, struct.pack("dd", key.real, key.imag)
    if isinstance(key, tuple):
        return kind, [look(item) for item in tuple.__iter__(key)]
    if isinstance(key, frozenset):  # in no order
        return kind, sorted(repr(look(item)) for item in frozenset.__iter__(key))
    return kind, key


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Letter(enum.StrEnum):
    A = "a"


class Bit(enum.IntFlag):
    ONE = 1
    TWO = 2


class Word(str, enum.Enum):  # noqa: UP042 - not what StrEnum is
    A = "a"


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: Any
    y: Any


class Int(int):
    pass


class Text(str):
    __slots__ = ()


class Bytes(bytes):
    pass


class Float(float):
    pass


class Complex(complex):
    pass


class Row(tuple[Any, ...]):
    def __iter__(self) -> Any:
        raise AssertionError("not asked for")


class Group(frozenset[Any]):
    pass


class Shy(frozenset[Any]):
    def __iter__(self) -> Any:
        return iter(())


class Backwards(int):
    """Only its order is its own."""

    def __lt__(self, other: Any) -> bool:
        return int(self) > int(other)


class Caseless(str):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


class Rehashed(int):
    def __hash__(self) -> int:
        return 1

    __eq__ = int.__eq__


@dataclass(frozen=True)
class User:
    name: str
    role: str


def nested(depth: int, innermost: Any = (), wrap: Callable[[Any], Any] | None = None) -> Any:
    key = innermost
    for _ in range(depth):
        key = wrap(key) if wrap else (key,)
    return key


SAMPLES: list[Any] = [
    *("", "abc", "é", "漢", "\udc80", "😀", b"", b"\0a", None, 5, -1, 2**64, -(2**64), 0.5),
    *(math.inf, 2.5j, complex(0, -1), Decimal("2.5"), User("x", "x"), Color.RED, True, 1.0),
    *((), (1, "a", (2.5, b"b")), (1, True), Point(Number.ONE, "x"), Letter.A, Bit.TWO),
    *(frozenset([1, "a", (2, frozenset(["b", "c"]))]), frozenset(["x", "y", "z", "漢", 0.5])),
    *(("x" * 200, 2**99), Group([1, 2]), nested(50), (Color.BLUE, 1.0)),
]
