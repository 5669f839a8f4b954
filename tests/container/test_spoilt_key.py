"""What keys are made of bytes that nobody wrote."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import courtyard as cy
from courtyard import _native
from tests.support.key import (
    ASCII,
    BYTES,
    COMPLEX,
    DEPTH,
    FLOAT,
    FROZENSET,
    INTEGER,
    LATIN,
    NONE,
    PICKLE,
    SAMPLES,
    TUPLE,
    WIDE_2,
    WIDE_4,
    Color,
    Number,
    User,
    form,
)

PLAIN_SAMPLES = [key for key in SAMPLES if not isinstance(key, Decimal | User | Color)]
ENCODED = [
    (tag, content)
    for tag, content, _ in map(_native._key_encode, PLAIN_SAMPLES)
    if b"\x80\x05" not in content
]


def attempt(tag: int, content: bytes) -> None:
    """Decode what may be anything: a key that is written just so, or CorruptError."""
    try:
        key = _native._key_decode(tag, content)
    except cy.CorruptError:
        return
    assert _native._key_encode(key) == (tag, content, None)


def spoilt(data: st.DataObject, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(changed) - 1, 0)))
        what = data.draw(st.sampled_from(["set", "flip", "cut", "double", "add"]))
        if what == "set":
            changed[place : place + 1] = bytes([data.draw(st.integers(0, 255))])
        elif what == "flip" and changed:
            changed[place] ^= 1 << data.draw(st.integers(0, 7))
        elif what == "cut":
            del changed[place : place + data.draw(st.integers(1, 8))]
        elif what == "double":
            changed[place:place] = changed[place : place + data.draw(st.integers(1, 8))]
        else:
            changed += data.draw(st.binary(max_size=3))
    return bytes(changed)


@given(st.data())
def test_spoilt_bytes(data: st.DataObject) -> None:
    tag, content = data.draw(st.sampled_from(ENCODED))
    tag = data.draw(st.just(tag) | st.integers(0, 31).filter(lambda tag: tag != PICKLE))
    content = spoilt(data, content)
    if PICKLE not in content:
        attempt(tag, content)


@given(st.integers(0, 255).filter(lambda tag: tag != PICKLE), st.binary(max_size=40))
def test_any_bytes(tag: int, content: bytes) -> None:
    attempt(tag, content.replace(bytes([PICKLE]), b"\x0d"))


TAGS = st.sampled_from([NONE, ASCII, LATIN, WIDE_2, BYTES, TUPLE, FROZENSET, 0, 1, 2, 3, 65])


@given(st.sampled_from([TUPLE, FROZENSET]), st.lists(TAGS, max_size=40).map(bytes))
def test_any_tags(tag: int, content: bytes) -> None:
    attempt(tag, content)


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        (0, b""),
        (13, b""),
        (255, b""),
        (NONE, b"x"),
        (ASCII, b"\x80"),
        (ASCII, b"x" * 40 + b"\x80"),
        (LATIN, b""),
        (LATIN, b"a"),
        (WIDE_2, b"a\0"),
        (WIDE_2, b"abc"),
        (WIDE_4, struct.pack("I", 0x110000)),
        (INTEGER, b""),
        (INTEGER, b"1234567"),
        (INTEGER, bytes([5, *[0] * 8])),  # would fit 8
        (INTEGER, bytes([5, *[0] * 8, 1, 0, 0])),  # longer than need be
        (FLOAT, b"1234567"),
        (FLOAT, struct.pack("d", 1.0)),
        (FLOAT, struct.pack("d", -0.0)),
        (FLOAT, struct.pack("d", 1e300)),
        (COMPLEX, struct.pack("d", 1.5)),
        (COMPLEX, struct.pack("dd", 1.5, 0.0)),
        (COMPLEX, struct.pack("dd", -0.0, 1.5)),
        (TUPLE, b""),
        (TUPLE, bytes([1])),
        (TUPLE, bytes([0, 0])),
        (TUPLE, bytes([1, NONE])),
        (TUPLE, bytes([1, NONE, 1])),
        (TUPLE, bytes([1, ASCII, 2, 65])),
        (TUPLE, bytes([129, 0, NONE, 0])),  # a count of 1 in two bytes
        (TUPLE, bytes([255] * 10)),
        (TUPLE, bytes([*[255] * 8, 1])),
        (TUPLE, bytes([1, TUPLE] * DEPTH + [0])),
        (FROZENSET, bytes([2, NONE, 0, NONE, 0])),  # twice
        (FROZENSET, bytes([2, ASCII, 1, 66, ASCII, 1, 65])),  # not sorted
        (FROZENSET, bytes([2, FROZENSET, 0, FROZENSET, 0])),
    ],
)
def test_broken_bytes(tag: int, content: bytes) -> None:
    with pytest.raises(cy.CorruptError, match="a stored key"):
        _native._key_decode(tag, content)


@pytest.mark.parametrize(
    "other",
    [1, 2.0, False, "a", [1], {}, bytearray(b"x"), (True,), [[]], Number.TWO, (1, [2])],
    ids=repr,
)
def test_an_original_that_is_another_key(other: Any) -> None:
    kind, payload, _ = _native._encode(other)
    same = other in (1, True) and type(other) is not list
    for key in (True, 1.0, Number.ONE):
        if same:
            assert _native._key_decode(*form(key), (kind, payload)) == key
        else:
            with pytest.raises(cy.CorruptError, match="kept beside"):
                _native._key_decode(*form(key), (kind, payload))


def test_spoilt_originals() -> None:
    tag, content, original = _native._key_encode((True, "abc"))
    assert original is not None
    kind, payload = original
    for place in range(len(payload)):
        for bit in range(8):
            changed = bytearray(payload)
            changed[place] ^= 1 << bit
            try:
                key = _native._key_decode(tag, content, (kind, bytes(changed)))
            except cy.CorruptError:
                continue
            assert key == (True, "abc")
    with pytest.raises(cy.CorruptError, match="a word has 8 bytes"):
        _native._key_decode(*form(1), (0, b"1234567"))
    with pytest.raises(cy.CorruptError):
        _native._key_decode(*form(1), (99, b"1234567"))
