"""The codec by itself: what it writes, and what it reads back."""

from __future__ import annotations

import gc
import math
import pickle
import struct
import sys
import threading
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import courtyard as cy
from courtyard import _native
from tests.support.codec import (
    DEPTH,
    LIST,
    NAMED,
    NATIVE,
    NATIVE_BUFFERS,
    PICKLE,
    PICKLE_BUFFERS,
    REFERENCE,
    TEXT,
    WORD,
    drawn,
    kind_of,
    pickled,
    through,
)

Point = namedtuple("Point", "x y")


PLAIN: list[Any] = [
    None,
    True,
    False,
    *(sign * (2**bits + more) for sign in (1, -1) for bits in range(70) for more in (-1, 0, 1)),
    *(sign * (2**bits + more) for sign in (1, -1) for bits in (127, 128, 4000) for more in (-1, 0)),
    *(0.0, -0.0, 1.5, -1e300, 5e-324, math.inf, -math.inf, math.nan, math.pi, 2.0**-127, 2.0**128),
    *(
        struct.unpack("d", struct.pack("Q", bits))[0]
        for bits in (0x7FF8 << 48 | 9, 0xFFF0 << 48 | 1)
    ),
    1 - 2j,
    complex(-0.0, math.nan),
    *(
        "",
        "a",
        "\0",
        "é",
        "ÿ",
        "Ā",
        "漢",
        "😀",
        "\ud800",
        "\udfff!",
        "seven c",
        "eight ch",
        "é" * 3,
    ),
    *("x" * 100, "é" * 100, "漢" * 100, "😀" * 100, "x\0" * 20000, "é" * 40000, "漢" * 40000),
    *("😀" * 40000, "a\ud800" * 40000),
    *(b"", b"\0", b"seven b", b"eight by", b"\xff" * 100, b"x" * 100_000),
    *(bytearray(), bytearray(b"\0\xff"), bytearray(100_000)),
    *((), [], {}, set(), frozenset()),
    (1, "a", 2.5),
    [[], [[]], [None] * 300],
    {"a": {"b": {}}, 1: 2, None: True, 2.5: "x", b"y": (), (1, (2,)): frozenset([1])},
    pytest.param({1, "two", 3.0, (4, "five"), frozenset([6])}, id="set"),
    frozenset([frozenset([frozenset()])]),
    [2**70, -(2**70), 1j],
    ["x" * 20000, b"y" * 20001, bytearray(b"z" * 20002), "é" * 20003, "漢" * 20004, "😀" * 20005],
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:40])
def test_plain_objects_come_back(value: Any) -> None:
    assert kind_of(value) < PICKLE
    for each in (value, [value], (value, {"k": value})):
        assert drawn(through(each)) == drawn(each)
        assert drawn(through(each, in_place=True)) == drawn(each)


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:40])
def test_stored_objects_come_back(value: Any) -> None:
    shared: cy.Value[Any] = cy.Value(object)
    for each in (value, [value]):
        shared.value = each
        assert drawn(shared.value) == drawn(each)


@given(st.floats(width=64) | st.integers(0, 2**64 - 1))
def test_every_float_keeps_its_bits(number: float) -> None:
    if isinstance(number, int):
        (number,) = struct.unpack("d", struct.pack("Q", number))
    for each in (through(number), through([number])[0]):
        assert struct.pack("d", each) == struct.pack("d", number)


def test_small_objects_are_words() -> None:
    words: list[Any] = [None, True, 0, -(2**60), 2**60 - 1, 0.0, -2.5, 1e38, math.inf]
    words += ["seven c", "éé", b"seven b"]
    blocks: list[Any] = [2**60, 1e39, "eight ch", "漢漢漢", "\ud800", b"eight by", ()]
    assert {kind_of(word) for word in words} == {WORD}
    assert WORD not in {kind_of(block) for block in blocks}


class Sub(list[Any]):
    pass


class Thing:
    a: Any

    def __init__(self, **fields: Any) -> None:
        self.__dict__ = fields

    def __eq__(self, other: object) -> bool:
        return type(other) is Thing and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Thing({self.__dict__})"


@pytest.mark.parametrize(
    "value",
    [Sub([1]), OrderedDict(a=1), Point(1, [2]), Thing(a=1), range(3), int, ..., np.float64(1.5)],
    ids=repr,
)
def test_what_is_not_plain_is_pickled(value: Any) -> None:
    assert kind_of(value) == kind_of([1, {"k": (value,)}]) == PICKLE
    assert type(through(value)) is type(value)
    assert through(value) == value
    assert through([1, {"k": (value,)}]) == [1, {"k": (value,)}]


def test_sharing() -> None:
    inner = [1]
    first, second = through((inner, inner))
    assert first is second
    text, blob, numbers = "".join(["a shared ", "text"]), bytes([1, 2, 3]) * 3, (1, 2)
    for shared in (text, blob, numbers, {1}, frozenset([1]), bytearray(b"x"), {"a": 1}, 2j):
        decoded = through([shared, {"k": shared}, (shared,)])
        assert decoded[0] is decoded[1]["k"] is decoded[2][0]
    large = "x" * 100_000
    first, second = through([large, large])
    assert first is second
    assert kind_of([large, large]) == NATIVE_BUFFERS
    assert len(_native._encode([large, large])[1]) < 101_000
    both = through([Thing(a=inner), inner])
    assert both[0].a is both[1]


def test_distinct_objects_stay_distinct() -> None:
    a, b = through(([1], [1]))
    assert a is not b


def test_cycles() -> None:
    ring: list[Any] = []
    ring.append(ring)
    decoded = through(ring)
    assert decoded[0] is decoded and len(decoded) == 1
    table: dict[str, Any] = {}
    table["self"] = table
    decoded = through(table)
    assert decoded["self"] is decoded
    assert kind_of(ring) == kind_of(table) == NATIVE
    knot: tuple[Any, ...] = ([],)
    knot[0].extend([knot, knot])
    decoded = through(knot)
    assert type(decoded) is tuple
    assert decoded[0][0] is decoded[0][1] is decoded


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """Draw containers that share their items, and contain one another."""
    keys: list[Any] = draw(st.lists(SCALARS, min_size=1, max_size=6))
    made: list[Any] = list(keys)
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(["tuple", "list", "dict", "set", "frozenset", "key"]))
        items = draw(st.lists(st.sampled_from(range(len(made))), max_size=4))
        hashable = [keys[index % len(keys)] for index in items]
        values = [made[index] for index in items]
        if kind == "tuple":
            made.append(tuple(values))
        elif kind == "list":
            made.append(values)
        elif kind == "dict":
            made.append(dict(zip(hashable, values, strict=True)))
        elif kind == "set":
            made.append(set(hashable))
        else:
            keys.append(frozenset(hashable) if kind == "frozenset" else tuple(hashable))
            made.append(keys[-1])
    open_ended = [each for each in made if type(each) is list]
    for target in open_ended:
        if draw(st.booleans()):
            target.append(made[draw(st.integers(0, len(made) - 1))])
    return draw(st.sampled_from([made, made[-1]]))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=12)
    | st.binary(max_size=12)
    | st.complex_numbers(allow_nan=False)
)


@given(graphs())
def test_graphs_come_back_as_from_pickle(value: Any) -> None:
    assert drawn(through(value)) == drawn(pickled(value))


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_trees_come_back(value: Any) -> None:
    assert drawn(through(value)) == drawn(value)
    assert kind_of(value) < PICKLE


def test_keys_of_many_dicts_are_written_and_made_once() -> None:
    rows = [{"first key": index, "second key": index} for index in range(1000)]
    _, payload, _ = _native._encode(rows)
    assert payload.count(b"first key") == 1
    decoded = through(rows)
    assert decoded == rows
    assert len({id(key) for row in decoded for key in row}) == 2
    # In values of their own, too.
    assert next(iter(through({"first key": 1}))) is next(iter(through({"first key": 2})))


def test_strings_that_differ_in_one_byte_are_different_keys() -> None:
    for length in range(1, 40):
        for place in range(length):
            keys = ["x" * place + letter + "x" * (length - place - 1) for letter in "xyz"]
            assert through(dict.fromkeys(keys, 1)) == dict.fromkeys(keys, 1)


def nested(depth: int, wrap: Callable[[Any], Any], value: Any = None) -> Any:
    for _ in range(depth):
        value = wrap(value)
    return value


WRAPS: list[Callable[[Any], Any]] = [
    lambda inner: [inner],
    lambda inner: (inner,),
    lambda inner: {"k": inner},
    lambda inner: frozenset([inner]),
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_depth(wrap: Callable[[Any], Any]) -> None:
    assert kind_of(nested(DEPTH // 2, wrap)) == NATIVE
    assert kind_of(nested(DEPTH + 1, wrap)) == PICKLE
    for depth in (DEPTH // 2, DEPTH, DEPTH + 1, DEPTH + 50):
        assert through(nested(depth, wrap)) == nested(depth, wrap)


def test_too_deep_for_pickle() -> None:
    with pytest.raises(RecursionError):
        _native._encode(nested(100_000, lambda inner: [inner]))


def test_depth_by_references() -> None:
    """A chain of tuples of two, each beside the others, would be hashed to its end."""
    chain: list[Any] = [(0,)]
    for _ in range(10_000):
        chain.append((chain[-1],))
    assert kind_of(chain) == PICKLE
    assert kind_of(chain[: DEPTH - 1]) == NATIVE
    assert through(chain[:99]) == chain[:99]


def test_keys_that_are_dear_to_hash() -> None:
    """Twenty tuples, each twice in the next, have a million items to hash."""
    key: Any = (1, 2)
    for _ in range(20):
        key = (key, key)
    assert kind_of([key]) == NATIVE  # no key so far
    decoded = through([key])[0]
    assert decoded[0] is decoded[1]
    assert kind_of({key: 1}) == PICKLE
    assert kind_of({key}) == PICKLE
    (decoded,) = through({key: 1})
    assert decoded[0] is decoded[1]
    point = (1, 2)
    assert kind_of([point, {point: 1, (point, 3): 2}]) == NATIVE


class Refuses:
    def __reduce__(self) -> Any:
        raise ValueError("not me")


@pytest.mark.parametrize(
    "make",
    [lambda: lambda: None, Refuses, threading.Lock, lambda: [Thing(a=gc)], lambda: ({}, gc)],
)
def test_what_pickle_refuses(make: Callable[[], Any]) -> None:
    value = make()
    with pytest.raises(Exception) as expected:
        pickle.dumps(value, 5)
    shared: cy.Value[Any] = cy.Value(object, 7)
    version = shared.version
    for store in (_native._encode, shared.set):
        with pytest.raises(type(expected.value)) as raised:
            store(value)
        assert str(raised.value) == str(expected.value)
    assert (shared.value, shared.version) == (7, version)
    assert kind_of([value and 1]) == NATIVE  # and the next one works


ARRAYS = [
    np.arange(12.0).reshape(3, 4),
    np.asfortranarray(np.arange(12).reshape(3, 4)),
    np.zeros(0),
    np.arange(100)[::7],
    np.array(5),
    np.frombuffer(b"read only" * 8, np.uint8),
    np.arange(1_000_000, dtype=np.int32),
    np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays(array: Any) -> None:
    shared: cy.Value[Any] = cy.Value(object)
    for value in (array, [array, "beside", array], {"k": (array, b"x" * 100_000)}):
        shared.value = value
        for decoded in (through(value), through(value, in_place=True), shared.value):
            first = decoded
            while not isinstance(first, np.ndarray):
                first = first["k"] if isinstance(first, dict) else first[0]
            assert np.array_equal(first, array)
            assert first.dtype == array.dtype
            assert first.flags.f_contiguous == pickled(array).flags.f_contiguous
            assert first.flags.aligned
    assert through(array).flags.writeable, "whether or not it was"


def test_large_buffers_lie_beside_the_pickle() -> None:
    array = np.arange(100_000)
    kind, payload, _ = _native._encode([array, array])
    assert kind == PICKLE_BUFFERS
    assert payload.find(array.tobytes()) % 64 == 0
    assert len(payload) < array.nbytes + 1000
    first, second = through([array, array])
    assert first is second
    shown = through(array, in_place=True)  # over the block itself
    assert isinstance(shown.base, memoryview | np.ndarray)
    assert not shown.flags.owndata and not shown.flags.writeable


def test_what_was_stored_is_a_copy() -> None:
    shared: cy.Value[Any] = cy.Value(object)
    for large in (np.zeros(100_000), bytearray(100_000)):
        shared.value = large
        large[0] = 1
        first = shared.value
        assert first[0] == 0
        first[0] = 2
        assert shared.value[0] == 0


def test_bytearrays_are_free_afterwards() -> None:
    for size in (10, 100_000):
        array = bytearray(size)
        for value in (array, [array]):
            through(value)
            array.append(1)  # BufferError if anything still held it


def test_non_contiguous_buffers() -> None:
    class Gaps:
        def __reduce_ex__(self, protocol: Any) -> Any:
            return bytes, (pickle.PickleBuffer(memoryview(bytes(10))[::2]),)

    with pytest.raises(pickle.PicklingError):
        _native._encode(Gaps())


def test_links() -> None:
    counter, lock, row = cy.Value("i", 5), cy.Lock(), cy.Array("i", 3)
    shared = Thing(a=counter, b=[lock])
    for value in (counter, [counter, lock, counter], {"k": {1: row}}, shared, Thing(a=row)):
        kind, payload, links = _native._encode(value, keep=True)
        assert kind in (NATIVE, PICKLE)
        assert all(isinstance(each, cy.Value | cy.Lock | cy.Array) for each in links)
        assert len({id(each) for each in links}) == len(links) <= 2
        decoded = _native._decode(kind, payload, links)
        assert decoded is value if value is counter else decoded == value
        with pytest.raises(cy.CorruptError):
            _native._decode(kind, payload, links[:-1])
        with pytest.raises(cy.CourtyardError, match="cannot be part of a key"):
            _native._encode(value)


def test_links_are_the_objects_that_are_handed_over() -> None:
    """Numbers stand for them, in whatever form."""
    lock = cy.Lock()
    for value in ([lock, lock], [lock, Thing(a=lock)]):
        kind, payload, links = _native._encode(value, keep=True)
        assert links == [lock]
        other = cy.Lock()
        decoded = _native._decode(kind, payload, [other])
        assert decoded[0] is other
        assert (decoded[1].a if isinstance(decoded[1], Thing) else decoded[1]) is other


class Stores:
    """Encodes something else while it is being pickled, and decodes while being unpickled."""

    def __getstate__(self) -> Any:
        shared: cy.Value[Any] = cy.Value(object)
        shared.value = [1, Thing(a=2), ["x" * 50] * 2]
        shared.value = [shared.value, [Thing(a=cy.Lock())]]
        return {"state": shared.value[0]}

    def __setstate__(self, state: Any) -> None:
        self.state = through(state["state"])


def test_encoding_inside_encoding() -> None:
    lock = cy.Lock()
    value = [lock, Stores(), lock]
    kind, payload, links = _native._encode(value, keep=True)
    assert links == [lock]
    decoded = _native._decode(kind, payload, links)
    assert decoded[0] is decoded[2] is lock
    assert decoded[1].state == [1, Thing(a=2), ["x" * 50] * 2]


def test_a_handle_pickles_itself_again_afterwards() -> None:
    counter = cy.Value("i", 5)
    _native._encode([counter, Thing(a=counter)], keep=True)
    assert pickled(counter).value == 5
    with pytest.raises(cy.CorruptError):
        _native.linked(0)


def test_no_memory_is_lost() -> None:
    value = [{"k": ["text " * 5, 1.5, 2**70, (1, b"bytes")], "s": {1, 2}, "l": "x" * 20000}] * 3
    broken = _native._encode(value)[1][:-30000]

    def grown() -> int:
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(100):
            through(value)
            through([Thing(a=value)])
            with pytest.raises(cy.CorruptError):
                _native._decode(NATIVE_BUFFERS, broken)
            with pytest.raises(cy.CorruptError):
                _native._decode(NATIVE, bytes([LIST | NAMED, 3, TEXT, 1, 65, REFERENCE, 0, 99]))
        gc.collect()
        return sys.getallocatedblocks() - before

    # What is lost is lost at each round; the interpreter's own tables settle after some.
    assert min(grown() for _ in range(10)) < 50
