"""Values of more than a scalar: structures, arrays and characters, as ctypes has them."""

import ctypes
import multiprocessing
import multiprocessing.sharedctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from tests.support.structure import BigEndian, Bits, Coordinates, Either, Nested, Packed, Solid
from tests.value.test_value import RawValue, Value, outcome


def test_a_structure_has_its_fields_as_attributes() -> None:
    ours = Value(Coordinates, 1, 2.5)
    assert (ours.x, ours.y) == (1, 2.5)
    for field, value in [("x", 2**32 + 5), ("x", -1), ("y", 1), ("y", 0.1), ("x", True)]:
        theirs: Any = multiprocessing.Value(Coordinates)
        setattr(theirs, field, value)
        setattr(ours, field, value)
        assert getattr(ours, field) == getattr(theirs, field)
    for field, wrong in [("x", 1.5), ("x", "1"), ("y", "1"), ("y", None)]:
        before = bytes(ours.get_obj())
        with pytest.raises(TypeError):
            setattr(ours, field, wrong)
        assert bytes(ours.get_obj()) == before
    with pytest.raises(AttributeError):
        ours.z = 1
    with pytest.raises(AttributeError):
        _ = ours.z
    with pytest.raises(TypeError):
        Value(Coordinates, 1, 2.5, 3)
    with pytest.raises(TypeError):
        Value(Coordinates, "x")


def test_a_structure_as_a_whole() -> None:
    value = Value(Coordinates, 1, 2.5)
    copy = value.value
    assert (type(copy), copy.x, copy.y) == (Coordinates, 1, 2.5)
    copy.x = 9
    assert value.x == 1
    value.value = copy
    assert value.x == 9
    value.value = (3, 0.5)
    assert (value.x, value.y) == (3, 0.5)
    old = value.exchange(Coordinates(4, 4.5))
    assert (old.x, old.y, value.x, value.y) == (3, 0.5, 4, 4.5)
    for wrong in (Bits(), "text", None, (1, 2, 3), ("a", 1)):
        with pytest.raises(TypeError):
            value.value = wrong
    assert (value.x, value.y) == (4, 4.5)


@pytest.mark.parametrize("make", [Value, RawValue])
def test_structures_of_all_sorts(make: Any) -> None:
    solid = make(Solid, 1, 2.5, 3)
    assert (solid.x, solid.y, solid.z) == (1, 2.5, 3)
    solid.z = 2**16 - 1
    assert (solid.x, solid.y, solid.z) == (1, 2.5, -1)

    bits = make(Bits, 1, 2, -3)
    assert (bits.a, bits.b, bits.c) == (1, 2, -3)
    bits.a = 9
    assert (bits.a, bits.b, bits.c) == (1, 2, -3)
    bits.b = 31
    assert (bits.a, bits.b, bits.c) == (1, 31, -3)

    either = make(Either)
    either.real = 1.0
    assert either.number == 0x3F800000

    big = make(BigEndian, 1, 2)
    assert (big.short, big.long) == (1, 2)
    big.long = -2
    assert (big.short, big.long) == (1, -2)
    memory = big.get_obj() if hasattr(big, "get_obj") else big
    assert bytes(memory).startswith(b"\x00\x01")

    packed = make(Packed, 1, 2**40, 3)
    packed.number += 1
    assert (packed.first, packed.number, packed.last) == (1, 2**40 + 1, 3)


def test_a_structure_within_a_structure() -> None:
    value = Value(Nested)
    assert (value.start.x, list(value.row), value.title, value.letter) == (0, [0] * 3, b"", "\0")
    value.start.x = 5
    value.row[1] = 7
    assert (value.start.x, value.row[1]) == (5, 7)
    value.start = Coordinates(7, 8)
    assert (value.start.x, value.start.y) == (7, 8)
    value.start = (9, 8)
    assert value.start.x == 9
    value.row = (1, 2, 3)
    assert list(value.row) == [1, 2, 3]
    value.title = b"courtyar"
    assert value.title == b"courtyar"
    with pytest.raises(ValueError, match="too long"):
        value.title = b"courtyard"
    value.letter = "é"
    assert (value.title, value.letter) == (b"courtyar", "é")


def test_the_users_fields_hide_methods() -> None:
    value = Value(Nested)
    value.value = value.wait_for = value.close = 3
    assert (value.value, value.wait_for, value.close) == (3, 3, 3)
    assert cy.wait_for(value, lambda nested: nested.wait_for == 3, timeout=5) is True
    assert cy.wait_for(value, lambda nested: nested.value == 4, timeout=0) is False
    version = cy.version(value)
    value.value = 4
    assert cy.version(value) != version
    assert cy.statistics(value).nbytes >= ctypes.sizeof(Nested)
    assert repr(value).startswith("<courtyard.Value(Nested): ")
    with value.get_lock():
        value.value += 1
    assert value.value == 5
    cy.check(value)


def test_arrays() -> None:
    ours, theirs = Value(ctypes.c_int * 5), multiprocessing.RawValue(ctypes.c_int * 5)
    steps: list[Callable[[Any], Any]] = [
        lambda v: v[:],
        lambda v: v[0],
        lambda v: v.__setitem__(1, 2**32 + 7),
        lambda v: v[1],
        lambda v: v[-4],
        lambda v: v[5],
        lambda v: v[-6],
        lambda v: v.__setitem__(9, 1),
        lambda v: v.__setitem__(0, "x"),
        lambda v: v[1:4],
        lambda v: v[::-2],
        lambda v: v.__setitem__(slice(1, 3), [5, 6]),
        lambda v: v.__setitem__(slice(1, 3), [5]),
        lambda v: v[1.0],
        lambda v: list(v),
        lambda v: len(v),
        lambda v: 6 in v,
        lambda v: sum(v),
        lambda v: v[:],
    ]
    for number, step in enumerate(steps):
        found, expected = outcome(step, ours), outcome(step, theirs)
        assert found == expected, number
    assert Value(ctypes.c_int * 3, 1, 2)[:] == [1, 2, 0]
    with pytest.raises((TypeError, IndexError)):
        Value(ctypes.c_int * 2, 1, 2, 3)
    assert ours.value[:] == ours[:]
    ours.value = (1, 2, 3, 4, 5)
    assert ours[:] == [1, 2, 3, 4, 5]
    assert bytes(ours.get_obj()) == bytes((ctypes.c_int * 5)(1, 2, 3, 4, 5))


def test_arrays_of_arrays_and_structures() -> None:
    matrix = Value((ctypes.c_int * 2) * 3)
    matrix[2][1] = 5
    matrix[1] = (7, 8)
    assert [row[:] for row in matrix] == [[0, 0], [7, 8], [0, 5]]
    points = Value(Coordinates * 2)
    points[1].x = 3
    points[0] = (1, 0.5)
    assert [(point.x, point.y) for point in points] == [(1, 0.5), (3, 0.0)]


def test_chars() -> None:
    ours, theirs = Value(ctypes.c_char * 5), multiprocessing.RawValue(ctypes.c_char * 5)
    steps: list[tuple[str, Any]] = [
        *(("value", text) for text in (b"", b"abc", b"abcde", b"ab", b"a\0c", b"\0", b"abcdef")),
        *(("value", wrong) for wrong in ("abc", bytearray(b"abc"), None, 3, [b"a"])),
        *(("raw", data) for data in (b"12345", b"", b"9", bytearray(b"zz"), memoryview(b"yx"))),
        *(("raw", wrong) for wrong in (b"123456", "abc", 3, [1, 2], None)),
        ("value", b"x" * 5),
    ]
    for attribute, data in steps:
        found = outcome(setattr, ours, attribute, data)
        assert found == outcome(setattr, theirs, attribute, data), data
        assert (ours.value, ours.raw) == (theirs.value, theirs.raw), data
    assert (len(ours), ours[0], ours[1:3], ours[-1]) == (5, b"x", b"xx", b"x")
    ours[0] = b"Q"
    assert ours.raw == b"Qxxxx"
    assert Value(ctypes.c_char * 5, b"abc").value == b"abc"
    assert Value(ctypes.c_char * 5, b"a", b"b").value == b"ab"
    assert Value(ctypes.c_char * 1).value == b""
    with pytest.raises(ValueError, match="6 bytes for a value of 5"):
        Value(ctypes.c_char * 5, b"abcdef")


@pytest.mark.parametrize("size", [1, 7, 8, 9, 255, 256, 257, 4000, 100_000])
def test_chars_of_many_sizes(size: int) -> None:
    value = Value(ctypes.c_char * size)
    full, half = b"f" * size, b"h" * (size // 2)
    value.value = full
    assert value.value == value.raw == full
    value.value = half
    assert value.value == half
    expected = multiprocessing.RawValue(ctypes.c_char * size)
    expected.value = full
    expected.value = half
    assert value.raw == expected.raw
    value[size - 1] = b"z"
    assert value.raw == expected.raw[:-1] + b"z"
    assert value.exchange(full) == value.raw[:0] + (half if half or size > 1 else b"z")
    value.check()


def test_wide_chars() -> None:
    value = Value(ctypes.c_wchar * 4)
    value[0] = "é"
    value[3] = "\U0001f600"
    assert value[:] == "é\0\0\U0001f600"


def test_functions_take_the_lock_that_a_value_was_made_with() -> None:
    lock = cy.RLock()
    plain: Any = cy.Value("i", 1, lock=lock)
    pair: Any = cy.Value(Coordinates, 1, 2.5, lock=lock)
    row: Any = cy.Array("i", 3, lock=lock)
    for obj in (plain, pair, row):
        assert cy.get_lock(obj) is lock

    def edit() -> None:
        with cy.edit(pair) as value:
            value.x = 9

    waited = []
    calls: list[Callable[[], object]] = [
        lambda: cy.increment(plain, 5),
        lambda: cy.compare_exchange(plain, 6, 7),
        edit,
    ]
    for call in calls:
        thread = threading.Thread(target=call, daemon=True)
        with cy.get_lock(plain):
            thread.start()
            thread.join(0.1)
            waited.append(thread.is_alive())
        thread.join(30)
        assert not thread.is_alive()
    assert waited == [True, True, True] and (plain.value, pair.x) == (7, 9)
