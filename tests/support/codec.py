"""Encoded values: the codec's kinds and tags, and what a value looks like."""

from __future__ import annotations

import pickle
import struct
from typing import Any

from courtyard import _native

WORD = 0
NATIVE, NATIVE_BUFFERS, PICKLE, PICKLE_BUFFERS = 24, 25, 26, 27
TUPLE, LIST, DICT, SET, FROZENSET, REFERENCE, LINK = 10, 11, 12, 13, 14, 15, 16
TEXT, LATIN, WIDE_2, WIDE_4, OUTSIDE, NAMED = 19, 20, 21, 22, 0x40, 0x80
NUMBER = 3  # of one byte
DEPTH = 100


def kind_of(value: Any) -> int:
    return _native._encode(value)[0]


def through(value: Any, **options: Any) -> Any:
    return _native._decode(*_native._encode(value)[:2], **options)


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value, 5))


def drawn(value: Any) -> Any:
    """Return what a value looks like: types, content, and which container is which."""
    numbers: dict[int, int] = {}
    kept = []  # so that no address is used twice

    def draw(value: Any) -> Any:
        kind = type(value)
        if kind is float:
            return kind, struct.pack("d", value)
        if kind is complex:
            return kind, struct.pack("dd", value.real, value.imag)
        if kind not in (tuple, list, dict, set, frozenset, bytearray) or value == ():
            return kind, value
        if id(value) in numbers:
            return kind, numbers[id(value)]
        numbers[id(value)] = len(numbers)
        kept.append(value)
        if kind is bytearray:
            return kind, bytes(value)
        if kind is dict:
            return kind, [(draw(key), draw(item)) for key, item in value.items()]
        if kind in (set, frozenset):  # in no order
            return kind, sorted(repr(drawn(item)) for item in value)
        return kind, [draw(item) for item in value]

    return draw(value)
