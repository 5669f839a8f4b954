"""What the codec makes of bytes that it did not write."""

from __future__ import annotations

import pickle
import struct
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import courtyard as cy
from courtyard import _native
from tests.support.codec import (
    DEPTH,
    DICT,
    FROZENSET,
    LATIN,
    LINK,
    LIST,
    NAMED,
    NATIVE,
    NATIVE_BUFFERS,
    NUMBER,
    OUTSIDE,
    PICKLE,
    PICKLE_BUFFERS,
    REFERENCE,
    SET,
    TEXT,
    TUPLE,
    WIDE_2,
    WIDE_4,
    WORD,
    drawn,
    through,
)

# What is spoilt:
SAMPLES = [
    *(
        [1, "text", 2.5, None, (b"x", "é"), {"k": [1]}],
        {"a": {"b": (1, 2)}, (1, 2): frozenset([3])},
    ),
    *(
        [["x" * 30] * 3, {1, 2, "漢"}, bytearray(9), 2**80, 1j, "😀"],
        {"k": "x" * 20000, "l": [b"y" * 20000]},
    ),
    *("é" * 30, "漢" * 30, "😀" * 30, "x" * 30, b"x" * 30, 1e300, 2**70, bytearray(30)),
]
ENCODED = [_native._encode(sample)[:2] for sample in SAMPLES]


def attempt(kind: int, payload: bytes) -> None:
    """Decode what may be anything: an object, or CorruptError."""
    for in_place in (False, True):
        try:
            decoded = _native._decode(kind, payload, in_place=in_place)
        except cy.CorruptError:
            continue
        drawn(decoded)
        through(decoded)


@given(st.data())
def test_spoilt_bytes(data: st.DataObject) -> None:
    kind, payload = data.draw(st.sampled_from(ENCODED))
    spoilt = bytearray(payload)
    places = st.integers(0, min(len(payload), 200) - 1) | st.integers(0, len(payload) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        place = min(data.draw(places), len(spoilt) - 1)
        what = data.draw(st.sampled_from(["set", "flip", "cut", "double"]))
        if what == "set":
            spoilt[place] = data.draw(st.integers(0, 255))
        elif what == "flip":
            spoilt[place] ^= 1 << data.draw(st.integers(0, 7))
        elif what == "cut":
            del spoilt[place : place + data.draw(st.integers(1, 8))]
        else:
            spoilt[place:place] = spoilt[place : place + data.draw(st.integers(1, 8))]
        if not spoilt:
            break
    attempt(kind, bytes(spoilt))


TAGS = st.sampled_from([tag | flag for tag in range(24) for flag in (0, 0, NAMED, OUTSIDE)])


@given(st.sampled_from([*range(16, PICKLE), 28, 255]), st.binary(max_size=60))
@example(NATIVE, b"")
def test_any_bytes(kind: int, payload: bytes) -> None:
    attempt(kind, payload)


@given(st.lists(TAGS | st.integers(0, 5), max_size=60))
def test_any_tags(tags: list[int]) -> None:
    attempt(NATIVE, bytes(tags))


@given(st.integers(0, 2**64 - 1))
def test_any_word(word: int) -> None:
    attempt(WORD, word.to_bytes(8, "little"))


@pytest.mark.parametrize(
    "tags",
    [
        [LIST],
        [LIST, 1],
        [LIST, 0, 0],  # bytes after the end
        [LIST, 255, 255, 255, 255, 255, 255, 255, 255, 127],
        [LIST, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        [TEXT, 2, 65],
        [TEXT, 1, 128],
        [LATIN, 2, 65, 65],
        [WIDE_2, 2, 65, 0],
        [WIDE_2, 3, 1, 1, 1],
        [WIDE_4, 4, 65, 1, 0, 0],
        [WIDE_4, 4, 0, 0, 17, 0],
        [LATIN, 0],
        [REFERENCE, 0],
        [LIST | NAMED, 1, REFERENCE, 1],
        [LINK, 0],
        [TEXT | OUTSIDE],
        [99],
        [DICT, 1, LIST, 0, 0],  # a list for a key
        [DICT, 2, TEXT, 1, 65, 0, TEXT, 1, 65, 0],  # the same key twice
        [SET, 2, NUMBER, 1, NUMBER, 1],
        [SET | NAMED, 1, REFERENCE, 0],
        [DICT | NAMED, 1, TUPLE, 1, REFERENCE, 0, 0],
        [TUPLE | NAMED, 1, DICT, 1, REFERENCE, 0, 0],  # a tuple without items yet for a key
        [TUPLE | NAMED, 2, LIST, 1, TUPLE | NAMED, 1, REFERENCE, 0, DICT, 1, REFERENCE, 1, 0],
        [TUPLE, 1] * (DEPTH + 1) + [0],
        [LIST, 1] * (DEPTH + 1) + [0],
    ],
    ids=str,
)
def test_broken_bytes(tags: list[int]) -> None:
    for in_place in (False, True):
        with pytest.raises(cy.CorruptError, match="at byte"):
            _native._decode(NATIVE, bytes(tags), in_place=in_place)


def count(number: int) -> list[int]:
    low = [number >> shift & 127 | 128 for shift in range(0, max(number.bit_length(), 1), 7)]
    return [*low[:-1], low[-1] & 127]


def test_a_chain_of_references_is_not_followed_far() -> None:
    """Tuples of one, each of the one before; then the last as a key: hashing would recurse."""
    links = 200_000
    items = [TUPLE | NAMED, 0]
    for number in range(links):
        items += [TUPLE | NAMED, 1, REFERENCE, *count(number)]
    tags = [LIST, *count(links + 2), *items, DICT, 1, REFERENCE, *count(links), 0]
    with pytest.raises(cy.CorruptError, match="too deep"):
        _native._decode(NATIVE, bytes(tags))


def test_doubling_references_are_not_hashed() -> None:
    items = [TUPLE | NAMED, 0]
    for number in range(90):
        items += [TUPLE | NAMED, 2, REFERENCE, number, REFERENCE, number]
    for last in (
        [DICT, 1, REFERENCE, 90, 0],
        [SET, 1, REFERENCE, 90],
        [FROZENSET, 1, REFERENCE, 90],
    ):
        with pytest.raises(cy.CorruptError, match="too long to hash"):
            _native._decode(NATIVE, bytes([LIST, 92, *items, *last]))


@pytest.mark.parametrize("tag", [LIST, TUPLE, DICT, SET, FROZENSET])
def test_claimed_counts_reserve_nothing(tag: int) -> None:
    """Lists inside lists, each of which claims all that follows."""
    length = 100_000
    tags = bytes([tag, *count(length)]) * (DEPTH - 1)
    payload = tags + bytes(length)
    tracemalloc.start()
    try:
        with pytest.raises(cy.CorruptError):
            _native._decode(NATIVE, payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("kind", [NATIVE_BUFFERS, PICKLE_BUFFERS])
def test_buffers_that_lie_elsewhere(kind: int) -> None:
    _, payload, _ = _native._encode(["x" * 20000])
    words = [0, 1, 2, 3, 64, 20000, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 64, 2**64 - 1]
    for place in range(3):
        for word in words:
            spoilt = bytearray(payload)
            spoilt[8 * place : 8 * place + 8] = struct.pack("Q", word)
            try:
                decoded = _native._decode(kind, bytes(spoilt))
            except (cy.CorruptError, pickle.UnpicklingError, EOFError):
                continue
            # A buffer may be shorter, or one that may be written to.
            assert decoded == ["x" * (word & (2**63 - 1) if place == 2 else 20000)]
    for length in range(0, len(payload), 999):
        with pytest.raises(cy.CorruptError):
            _native._decode(kind, payload[:length])


def test_unknown_kinds() -> None:
    for kind in (*range(1, 16), *range(28, 256)):
        with pytest.raises(cy.CorruptError, match=f"kind {kind}"):
            _native._decode(kind, b"12345678")
