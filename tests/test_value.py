"""Value and RawValue beside their twins in multiprocessing, and what they do beyond these."""

import ctypes
import gc
import math
import multiprocessing
import multiprocessing.sharedctypes
import pickle
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy

# What type checkers would rightly refuse is tried too.
Value: Any = cy.Value
RawValue: Any = cy.RawValue

TYPECODES = "cubBhHiIlLqQfd"
SCALARS = [
    ctypes.c_bool,
    ctypes.c_char,
    ctypes.c_wchar,
    ctypes.c_byte,
    ctypes.c_ubyte,
    ctypes.c_short,
    ctypes.c_ushort,
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_long,
    ctypes.c_ulong,
    ctypes.c_longlong,
    ctypes.c_ulonglong,
    ctypes.c_size_t,
    ctypes.c_float,
    ctypes.c_double,
    ctypes.c_longdouble,
    ctypes.c_void_p,
]
SWAPPED = [
    ctypes.c_int.__ctype_be__,
    ctypes.c_ushort.__ctype_be__,
    ctypes.c_double.__ctype_be__,
    ctypes.c_int.__ctype_le__,
]
INTEGERS = "bBhHiIlLqQ"


class Index:
    def __index__(self) -> int:
        return 300


class Float:
    def __float__(self) -> float:
        return 2.5


class Failing:
    def __index__(self) -> int:
        raise ZeroDivisionError

    def __float__(self) -> float:
        raise ZeroDivisionError

    def __bool__(self) -> bool:
        raise ZeroDivisionError


class Integer(int):
    pass


ASSIGNED: list[Any] = [
    *(0, 1, -1, 127, 128, 255, 256, -129, 2**16, 2**31, -(2**31) - 1, 2**32),
    *(2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70, -(2**70), 10**400, True, Integer(7)),
    *(0.0, -0.0, 1.0, 1.5, math.inf, math.nan, 1e300, 1e-320, 1j),
    *("", "a", "ab", "é", "\U0001f600", "\ud800", "\0", b"", b"a", b"ab", b"\0"),
    *(bytearray(b"x"), bytearray(b"xy"), None, (), (1,), [], [1], object),
    *(Index(), Float(), Failing(), ctypes.c_int(4), ctypes.c_char(b"q")),
]


def outcome(call: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """Tell what a call returned, or the class of what it raised."""
    try:
        result = call(*args)
    except Exception as error:
        return "raised", type(error)
    return "returned", type(result), repr(result)


def first(make: Any, *args: Any) -> Any:
    return make(*args).value


def name_of(type_: Any) -> str:
    return type_ if isinstance(type_, str) else type_.__name__


@pytest.mark.parametrize("lock", [True, False], ids=["guarded", "raw"])
@pytest.mark.parametrize("type_", [*TYPECODES, *SCALARS, *SWAPPED], ids=name_of)
def test_scalars_take_what_multiprocessing_takes(type_: Any, lock: bool) -> None:
    theirs: Any = multiprocessing.Value(type_, lock=lock)
    ours = Value(type_, lock=lock)
    assert outcome(lambda: ours.value) == outcome(lambda: theirs.value)
    for value in ASSIGNED:
        expected = outcome(setattr, theirs, "value", value)
        found = outcome(setattr, ours, "value", value)
        assert found == expected, value
        # As it was after an error, and else the same number of wraps.
        assert outcome(lambda: ours.value) == outcome(lambda: theirs.value), value


@pytest.mark.parametrize("type_", [*TYPECODES, *SCALARS, *SWAPPED], ids=name_of)
def test_scalars_begin_as_multiprocessing_has_them(type_: Any) -> None:
    for value in ASSIGNED:
        expected = outcome(first, multiprocessing.RawValue, type_, value)
        assert outcome(first, Value, type_, value) == expected, value
        assert outcome(first, RawValue, type_, value) == expected, value
    assert outcome(lambda: Value(type_, 1, 2)) == ("raised", TypeError)


@pytest.mark.parametrize("type_", [*TYPECODES, *SCALARS, *SWAPPED], ids=name_of)
def test_a_ctypes_view_is_of_the_same_memory(type_: Any) -> None:
    initial: Any = {"c": b"a", "u": "a", ctypes.c_char: b"a", ctypes.c_wchar: "a"}.get(type_, 1)
    value = Value(type_, initial)
    view = value.get_obj()
    assert type(view) is type(multiprocessing.RawValue(type_))
    assert view.value == value.value == initial
    value.value = view.value = type(initial)() or initial
    assert view.value == value.value


def test_lock_none_is_true_as_in_multiprocessing() -> None:
    assert type(Value("i", lock=None)) is Value
    assert type(Value("i", lock=False)) is RawValue
    assert type(Value("i")) is Value
    assert not hasattr(RawValue("i"), "get_lock")
    assert not hasattr(RawValue("i"), "acquire")


@pytest.mark.parametrize("letter", INTEGERS)
def test_increment_wraps_as_c_does(letter: str) -> None:
    value = Value(letter)
    wide = multiprocessing.RawValue(letter)
    for step in (1, -1, 2**7, 2**15, 2**31, 2**63, 2**64 - 1, -(2**70), Index()):
        wide.value += step.__index__()
        assert value.increment(step) == wide.value == value.value
    value.value = 2 ** (8 * ctypes.sizeof(wide)) // 2 - 1
    assert value.increment() == multiprocessing.RawValue(letter, value.value).value


def test_increment_of_floats() -> None:
    double, single = Value("d", 0.5), Value("f", 0.1)
    assert double.increment() == 1.5
    assert double.increment(-0.25) == 1.25
    assert double.increment(2) == 3.25
    assert math.isinf(double.increment(math.inf))
    expected = ctypes.c_float(ctypes.c_float(0.1).value + ctypes.c_float(0.2).value).value
    assert single.increment(0.2) == expected == single.value
    with pytest.raises(TypeError):
        double.increment("1")


@pytest.mark.parametrize("type_", ["c", "u", ctypes.c_bool, bool, ctypes.c_char * 4], ids=name_of)
def test_increment_needs_a_number(type_: Any) -> None:
    value = Value(type_)
    before = value.value
    with pytest.raises(TypeError):
        value.increment()
    assert value.value == before


def test_int_is_64_bits_and_exact() -> None:
    value = Value(int)
    assert (value.value, type(value.value)) == (0, int)
    for number in (2**63 - 1, -(2**63), 5, True, Index()):
        value.value = number
        assert value.value == number.__index__()
    for number in (2**63, -(2**63) - 1, 10**400):
        with pytest.raises(OverflowError):
            value.value = number
        with pytest.raises(OverflowError):
            value.exchange(number)
        with pytest.raises(OverflowError):
            value.increment(number)
        with pytest.raises(OverflowError):
            Value(int, number)
        assert value.value == 300
    for wrong in (1.0, "1", None, b"1"):
        with pytest.raises(TypeError):
            value.value = wrong
    value.value = 2**63 - 1
    with pytest.raises(OverflowError):
        value.increment()
    assert value.value == 2**63 - 1
    assert value.increment(-1) == 2**63 - 2
    value.value = -(2**63)
    with pytest.raises(OverflowError):
        value.increment(-1)
    with pytest.raises(ZeroDivisionError):
        value.value = Failing()
    assert value.value == -(2**63)


def test_an_overflow_is_no_change() -> None:
    value = Value(int, 2**63 - 1)
    before = value.version
    with pytest.raises(OverflowError):
        value.increment()
    assert value.wait_for(2**63 - 1, timeout=1)
    value.increment(-1)
    assert value.version != before


def test_float_and_bool() -> None:
    number, truth = Value(float), Value(bool)
    assert (number.value, type(number.value)) == (0.0, float)
    assert truth.value is False
    for number_like in (1, 1.5, Float(), -0.0, math.inf, 5e-324):
        number.value = number_like
        assert repr(number.value) == repr(float(number_like))
    number.value = math.nan
    assert math.isnan(number.value)
    with pytest.raises(OverflowError):
        number.value = 10**400
    with pytest.raises(TypeError):
        number.value = "1"
    with pytest.raises(ZeroDivisionError):
        number.value = Failing()
    for given in [1, "x", [0], 2.0, object()]:
        truth.value = given
        assert truth.value is True
        truth.value = False
        assert truth.value is False
    with pytest.raises(ZeroDivisionError):
        truth.value = Failing()
    assert Value(bool, "yes").value is True
    assert Value(int, "12").value == 12
    assert Value(float, "1.5").value == 1.5


@pytest.mark.parametrize("make", [Value, RawValue])
@pytest.mark.parametrize(
    ("type_", "first", "second", "other"),
    [
        ("i", 1, 2, 3),
        ("b", -1, 100, 3),
        ("H", 1, 65535, 3),
        ("Q", 2**64 - 1, 2, 3),
        ("f", 0.5, 2.5, 3.0),
        ("d", 0.1, 0.2, 3.0),
        ("c", b"a", b"b", b"c"),
        ("u", "é", "\U0001f600", "c"),
        (int, 2**62, -5, 3),
        (float, 0.1, 0.2, 3.0),
        (bool, True, False, True),
        (ctypes.c_longdouble, 0.5, 2.5, 3.0),
        (ctypes.c_int.__ctype_be__, 1, 2, 3),
        (ctypes.c_char * 5, b"abc", b"abcde", b"x"),
        (object, None, "text", 4),
        (object, b"small", b"large" * 100, {"a": 1}),
        (object, 2**100, 0.5, True),
        (list, [1], [2], [3]),
    ],
    ids=str,
)
def test_exchange(make: Any, type_: Any, first: Any, second: Any, other: Any) -> None:
    value = make(type_, first)
    assert value.get() == value.value == first
    assert value.exchange(second) == first
    assert value.value == second
    assert value.compare_exchange(first, other) is (first == second)
    assert value.value == second
    assert value.compare_exchange(second, first) is True
    assert value.value == first
    assert value.set(second) is None
    assert value.get() == second


def test_compare_exchange_compares_as_python_does() -> None:
    value = Value("i", 1)
    assert value.compare_exchange(1.0, 2)
    assert not value.compare_exchange("2", 3)
    assert not value.compare_exchange(None, 3)
    assert not value.compare_exchange(2**32 + 2, 3)  # the expected value does not wrap
    assert value.compare_exchange(2, 2**32 + 3)  # what is stored does
    assert value.value == 3
    stored = Value(object, 1)
    assert stored.compare_exchange(True, "one")
    not_a_number = Value(float, math.nan)
    assert not not_a_number.compare_exchange(math.nan, 1.0)

    class Unwilling:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    for unchanged in (value, stored):
        before = unchanged.value
        with pytest.raises(ZeroDivisionError):
            unchanged.compare_exchange(Unwilling(), 1)
        assert unchanged.value == before
    with pytest.raises(TypeError):
        value.compare_exchange(3, "text")
    assert value.value == 3


def test_an_operation_from_within_a_comparison() -> None:
    """What the comparison does to the value counts as somebody else's change."""
    value = Value("i", 1)

    class Meddling:
        def __eq__(self, other: object) -> bool:
            if other == 1:
                value.value = 5
            return bool(other == 1)

    assert not value.compare_exchange(Meddling(), 7)
    assert value.value == 5


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]


OBJECTS: list[Any] = [
    *(None, True, False, ..., NotImplemented),
    *(0, 1, -1, 2**59, 2**60 - 1, 2**60, -(2**60), -(2**60) - 1, 2**63, 2**64, -(2**200), 10**4000),
    *(0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324, 1j),
    *("", "a", "1234567", "12345678", "é", "äöüß", "ééé\xff", "\U0001f600" * 2, "\0", "\ud800"),
    *("x" * 1000, "é" * 100_000, "\ud800abc" * 10, "a\0b"),
    *(b"", b"a", b"\0", b"1234567", b"12345678", bytes(range(256)), b"\0" * 100_000),
    *(bytearray(b"abc"), (), (1,), [], [1, [2, [3]]], {}, {"a": {"b": (1, 2.5, None)}}, {1, 2}),
    *(frozenset("ab"), range(5), int, len, Point(1, 2), [Point(3, 4)] * 2, Integer(5)),
    *(slice(1, 2), types.SimpleNamespace(a=1), ValueError("text").args, b"x" * 4_000_000),
]


def same(found: Any, expected: Any) -> bool:
    return (
        type(found) is type(expected)
        and bool(found == expected)
        and (not isinstance(expected, float) or repr(found) == repr(expected))
    )


@pytest.mark.parametrize("make", [Value, RawValue])
def test_any_object_is_read_as_it_was_written(make: Any) -> None:
    value = make(object)
    assert value.value is None
    for expected in [*OBJECTS, *reversed(OBJECTS)]:
        value.value = expected
        assert same(value.value, expected)
        assert same(value.get(), expected)
    for expected in OBJECTS:
        assert same(make(object, expected).value, expected)
    value.check()


def test_an_object_of_ten_megabytes() -> None:
    value = Value(object)
    data = bytes(range(256)) * 40_000
    for expected in (data, data.decode("latin-1"), {"data": data, "more": [data[::-1]]}):
        value.value = expected
        assert value.value == expected
    value.value = None
    assert value.value is None
    value.check()


def test_a_stored_object_is_a_copy() -> None:
    value = Value(object, [1])
    value.value.append(2)
    assert value.value == [1]


def test_classes_begin_as_their_constructor_has_them() -> None:
    assert Value(object).value is None
    assert Value(list).value == []
    assert Value(dict, [("a", 1)]).value == {"a": 1}
    assert Value(str, "text").value == "text"
    assert Value(str, 5).value == "5"
    assert Value(bytes, 3).value == b"\0\0\0"
    assert Value(Point, 1, 2).value == Point(1, 2)
    assert Value(Point, Point(1, 2)).value == Point(1, 2)
    value = Value(list)
    value.value = "any picklable object"
    assert value.value == "any picklable object"
    with pytest.raises(TypeError):
        Value(Point)
    with pytest.raises(TypeError, match="one initial value"):
        Value(object, 1, 2)


def test_increment_of_an_object() -> None:
    value = Value(object, 2**59 - 1)
    assert value.increment() == 2**59
    assert value.increment(2**70) == 2**59 + 2**70 == value.value
    value.value = "text"
    assert value.increment(" and more") == "text and more" == value.value
    value.value = [1]
    with pytest.raises(TypeError):
        value.increment()
    assert value.increment([2]) == [1, 2] == value.value


class Unpicklable:
    def __reduce__(self) -> str:
        raise ZeroDivisionError


class Unloadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return divmod, (1, 0)


def test_what_pickle_refuses_changes_nothing() -> None:
    value = Value(object, "before")
    version, blocks = value.version, value.statistics().space.live_blocks
    with pytest.raises(ZeroDivisionError):
        value.value = Unpicklable()
    with pytest.raises((TypeError, AttributeError)):
        value.value = lambda: 1
    with pytest.raises(ZeroDivisionError):
        value.exchange(Unpicklable())
    with pytest.raises(ZeroDivisionError):
        value.compare_exchange("before", Unpicklable())
    assert value.value == "before"
    assert value.version == version
    assert value.statistics().space.live_blocks == blocks
    with pytest.raises(ZeroDivisionError):
        Value(object, Unpicklable())
    value.value = Unloadable()
    with pytest.raises(ZeroDivisionError):
        _ = value.value
    assert "ZeroDivisionError" in repr(value)
    value.value = "after"
    assert value.value == "after"


def test_a_handle_does_not_go_into_an_object() -> None:
    value, other = Value(object, "before"), Value("i")
    for refused in (other, [other], cy.Lock(), value):
        with pytest.raises(cy.CourtyardError):
            value.value = refused
    assert value.value == "before"


class Coordinates(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


class Solid(Coordinates):
    _fields_ = [("z", ctypes.c_short)]


class Bits(ctypes.Structure):
    _fields_ = [("a", ctypes.c_uint, 3), ("b", ctypes.c_uint, 5), ("c", ctypes.c_int, 7)]


class Nested(ctypes.Structure):
    _fields_ = [
        ("start", Coordinates),
        ("row", ctypes.c_int * 3),
        ("title", ctypes.c_char * 8),
        ("letter", ctypes.c_wchar),
        ("value", ctypes.c_int),
        ("wait_for", ctypes.c_int),
        ("close", ctypes.c_byte),
    ]


class Either(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("real", ctypes.c_float)]


class BigEndian(ctypes.BigEndianStructure):
    _fields_ = [("short", ctypes.c_short), ("long", ctypes.c_longlong)]


class Packed(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("first", ctypes.c_byte), ("number", ctypes.c_longlong), ("last", ctypes.c_byte)]


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
    assert bytes(memoryview(big)).startswith(b"\x00\x01")

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
    assert cy.statistics(value).nbytes == ctypes.sizeof(Nested)
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


@pytest.mark.parametrize(
    "refused",
    [
        ctypes.c_char_p,
        ctypes.c_wchar_p,
        ctypes.py_object,
        ctypes.POINTER(ctypes.c_int),
        ctypes.CFUNCTYPE(ctypes.c_int),
        ctypes.c_char_p * 2,
        type("HasPointer", (ctypes.Structure,), {"_fields_": [("p", ctypes.c_char_p)]}),
        type("Linked", (ctypes.Structure,), {"_fields_": [("p", ctypes.POINTER(ctypes.c_int))]}),
    ],
    ids=name_of,
)
def test_pointers_are_refused(refused: Any) -> None:
    with pytest.raises(TypeError, match="pointer"):
        Value(refused)
    with pytest.raises(TypeError, match="pointer"):
        RawValue(refused * 3)


@pytest.mark.parametrize("bad", ["x", "", "ii", None, 3, [], {}, ctypes.c_int(1), len, 1.5])
def test_what_is_no_type_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="expected") as caught:
        Value(bad)
    assert repr(bad) in str(caught.value)


def test_bad_arguments() -> None:
    for lock in (0, "x", object()):
        with pytest.raises(AttributeError, match="lock="):
            Value("i", lock=lock)
    with pytest.raises(TypeError):
        Value()
    with pytest.raises(TypeError):
        Value("i", foo=1)
    with pytest.raises(TypeError):
        RawValue("i", lock=True)
    value = Value("i")
    with pytest.raises(AttributeError):
        del value.value
    with pytest.raises(AttributeError):
        value.other = 1
    with pytest.raises(TypeError):
        value.get_lock().acquire(True, 1, 2)
    with pytest.raises(TypeError, match="ctypes"):
        Value(object).get_obj()
    with pytest.raises(TypeError, match="courtyard object"):
        cy.wait_for(1, 1)


def test_repr() -> None:
    assert repr(Value("i", 5)) == "<courtyard.Value(i): 5>"
    assert repr(RawValue(ctypes.c_int, 5)) == "<courtyard.RawValue(c_int): 5>"
    assert repr(Value(ctypes.c_char * 3, b"ab")) == "<courtyard.Value(c_char_Array_3): b'ab'>"
    assert repr(Value(object, [1])) == "<courtyard.Value(object): [1]>"
    value = Value(int, 7)
    assert "Value(int): 7" in repr(value.get_lock())
    value.close()
    assert repr(value) == "<courtyard.Value(int), closed>"


@pytest.mark.parametrize("type_", ["i", object, ctypes.c_char * 5, Coordinates], ids=name_of)
def test_a_closed_value_says_so(type_: Any) -> None:
    value = Value(type_)
    lock = value.get_lock()
    current = value.value
    value.close()
    value.close()
    calls: list[Callable[[], Any]] = [
        lambda: value.value,
        lambda: value.get(),
        lambda: setattr(value, "value", current),
        lambda: value.exchange(current),
        lambda: value.compare_exchange(current, current),
        lambda: value.wait_for(1, 0),
        lambda: value.version,
        lambda: value.acquire(),
        lambda: value.release(),
        lambda: value.__enter__(),
        lambda: lock.acquire(),
        lambda: lock.recovered,
        lambda: value.statistics(),
        lambda: value.check(),
        lambda: value.__reduce__(),
    ]
    if type_ is not object:
        calls.append(lambda: memoryview(value))
    if type_ == "i":
        calls += [value.increment, value.get_obj]
    for number, call in enumerate(calls):
        with pytest.raises(cy.Closed):
            call()
            pytest.fail(f"call {number} raised nothing")
    assert issubclass(cy.Closed, ValueError)


def test_close_is_of_one_handle() -> None:
    import pickle

    value = Value("i", 5)
    other = pickle.loads(pickle.dumps(value))
    value.close()
    assert other.increment() == 6


def test_views_keep_a_value_open() -> None:
    value = Value("i", 5)
    view = memoryview(value)
    assert (view.nbytes, view.readonly) == (4, False)
    obj = value.get_obj()
    with pytest.raises(BufferError, match="view"):
        value.close()
    assert value.increment() == 6
    assert obj.value == int.from_bytes(view, "little") == 6
    obj.value = 9
    assert value.value == 9
    view.release()
    with pytest.raises(BufferError):
        value.close()
    del obj
    gc.collect()
    value.close()


def test_a_view_outlives_its_value() -> None:
    value = Value(ctypes.c_int * 3, 1, 2, 3)
    objects = value.statistics().space.objects
    probe = Value("i")
    assert probe.statistics().space.objects == objects + 1
    view = value.get_obj()
    del value
    gc.collect()
    assert view[:] == [1, 2, 3]
    assert probe.statistics().space.objects == objects + 1
    del view
    gc.collect()
    assert probe.statistics().space.objects == objects


def test_objects_have_no_views() -> None:
    with pytest.raises(BufferError):
        memoryview(Value(object))


def test_weak_references() -> None:
    for value in (Value("i"), RawValue("i"), Value(Coordinates), Value(object)):
        assert weakref.ref(value)() is value
    value = Value("i")
    reference = weakref.ref(value)
    del value
    gc.collect()
    assert reference() is None


def test_a_lock_keeps_its_value() -> None:
    value = Value("i", 5)
    reference, lock = weakref.ref(value), value.get_lock()
    del value
    gc.collect()
    assert reference() is not None
    with lock:
        pass


def test_generics() -> None:
    alias: Any = Value[int]
    assert isinstance(alias, types.GenericAlias)
    assert (alias.__origin__, alias.__args__) == (Value, (int,))
    assert Value[int]("i", 4).value == 4
    assert RawValue[bytes].__origin__ is RawValue


def test_versions() -> None:
    value = Value("i")
    seen = [value.version]
    changes: list[Callable[[], Any]] = [
        value.increment,
        lambda: value.set(5),
        lambda: setattr(value, "value", 5),
        lambda: value.exchange(6),
        lambda: value.compare_exchange(6, 7),
    ]
    for change in changes:
        change()
        seen.append(value.version)
        assert cy.version(value) == seen[-1]
    assert len(set(seen)) == len(seen)
    assert not value.compare_exchange(6, 8)
    _ = value.value
    assert value.version >= seen[-1]


def test_statistics() -> None:
    found = Value(ctypes.c_char * 100).statistics()
    assert (found.type, found.nbytes) == ("Value(c_char_Array_100)", 100)
    assert RawValue("h").statistics().type == "RawValue(h)"
    assert RawValue("h").statistics().nbytes == 2
    assert 0 < found.space.used <= found.space.size
    assert found.space.participants >= 1
    with pytest.raises(AttributeError):
        found.nbytes = 3
    assert Value("i").name is None


def test_subclasses() -> None:
    class Mine(cy.Value[Any]):
        def twice(self) -> int:
            return 2 * int(self.value)

    make: Any = Mine
    assert make("i", 4).twice() == 8


def test_help() -> None:
    for name in cy.__all__:
        public = getattr(cy, name)
        assert public.__doc__, name
        assert public.__module__ == "courtyard", name
    for cls in (Value, RawValue, cy.Lock):
        names = [name for name in dir(cls) if not name.startswith("_")]
        missing = [name for name in names if not getattr(cls, name).__doc__]
        assert missing == [], cls


def test_wide_text() -> None:
    value = Value(ctypes.c_wchar * 5, "héé")
    assert value.value == "héé"
    value.value = "abcde"
    assert (value.value, value[1], len(value)) == ("abcde", "b", 5)
    with pytest.raises(ValueError, match="too long"):
        value.value = "abcdef"
    assert value.wait_for("abcde", 0)


class Counting(cy.Value[int]):
    """A user's own subclass."""

    def twice(self) -> int:
        return 2 * self.get()


def test_a_subclass_stays_one_through_a_pickle() -> None:
    value = Counting("i", 4)
    again = pickle.loads(pickle.dumps(value))
    assert type(again) is Counting
    assert again.twice() == 8


def test_abstract_types_are_refused() -> None:
    for declared in (ctypes.Array, ctypes._SimpleCData, ctypes.Structure):
        with pytest.raises(TypeError, match="abstract"):
            Value(declared)


def test_messages_stay_short() -> None:
    with pytest.raises(TypeError) as error:
        Value("i").value = b"x" * 1_000_000
    assert len(str(error.value)) < 200
