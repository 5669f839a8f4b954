"""Value and RawValue beside their twins in multiprocessing, and what they do beyond these."""

import ctypes
import math
import multiprocessing
import multiprocessing.sharedctypes
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
    with pytest.raises(TypeError, match=r"expected|bad typecode") as caught:
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
