"""The buffers of values: what ctypes says of an object of the same type."""

import ctypes
import multiprocessing.sharedctypes as standard
from typing import Any

import numpy as np
import pytest

import courtyard as cy
import courtyard.multiprocessing as mp


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double * 2))


class Either(ctypes.Union):
    _fields_ = (("number", ctypes.c_uint), ("real", ctypes.c_float))


DECLARED: list[tuple[Any, Any]] = [
    *((code, 7) for code in "bBhHiIlLqQ"),
    ("d", 1.5),
    ("f", 0.5),
    ("c", b"x"),
    (ctypes.c_bool, True),
    (ctypes.c_int * 3, (1, 2, 3)),
    ((ctypes.c_short * 2) * 3, ((1, 2), (3, 4), (5, 6))),
    (ctypes.c_char * 4, (b"a", b"b")),
    (Point, (1, (2.0, 3.0))),
    (Either, 5),
    (ctypes.c_int.__ctype_be__, 1),
]


@pytest.mark.parametrize(("declared", "initial"), DECLARED)
@pytest.mark.parametrize("make", [cy.RawValue, mp.RawValue])
def test_a_raw_value(make: Any, declared: Any, initial: Any) -> None:
    initial = initial if isinstance(initial, tuple) else (initial,)
    ours, theirs = make(declared, *initial), standard.RawValue(declared, *initial)
    mine, expected = memoryview(ours), memoryview(theirs)
    for name in ("shape", "strides", "itemsize", "nbytes", "readonly", "c_contiguous"):
        assert getattr(mine, name) == getattr(expected, name), name
    assert mine.tobytes() == expected.tobytes()
    if declared not in (Point, Either):  # what CPython says of these, NumPy guesses
        array, plain = np.asarray(ours), np.asarray(theirs)
        assert (array.dtype, array.shape) == (plain.dtype, plain.shape)
        assert array.tobytes() == plain.tobytes()
    ctype: Any = type(theirs)
    assert bytes(ctype.from_buffer(ours)) == bytes(theirs)


@pytest.mark.parametrize(
    ("declared", "value", "format"), [(int, -5, "q"), (float, 2.5, "d"), (bool, True, "?")]
)
def test_a_raw_value_of_a_builtin(declared: Any, value: Any, format: str) -> None:
    raw = cy.RawValue(declared, value)
    view = memoryview(raw)
    assert (view.format, view.shape) == (format, ())
    array = np.asarray(raw)
    assert array == value and array.dtype == np.dtype(declared)
    array[()] = 0
    assert raw.value == 0


@pytest.mark.parametrize(("declared", "initial"), DECLARED)
@pytest.mark.parametrize("make", [cy.Value, mp.Value])
def test_a_value_with_a_lock(make: Any, declared: Any, initial: Any) -> None:
    initial = initial if isinstance(initial, tuple) else (initial,)
    value = make(declared, *initial)
    with pytest.raises(TypeError, match="a Value has no buffer: use"):
        memoryview(value)
    assert bytes(value.get_obj()) == bytes(standard.RawValue(declared, *initial))


def test_numbers_are_what_they_are() -> None:
    with pytest.raises(TypeError):
        np.float64(cy.Value("d", 1.5))
    with pytest.raises(TypeError):
        np.sum([cy.Value("i", 300), cy.Value("i", 1)])
    assert np.asarray(cy.Value("i", 300)).dtype == object


def test_fields_have_their_names() -> None:
    point = cy.RawValue(Point, 1, (2.0, 3.0))
    array = np.asarray(point)
    assert array.shape == () and array["x"] == 1 and array["y"].tolist() == [2.0, 3.0]
    array["x"] = 5
    assert point.value.x == 5
    assert np.asarray(cy.RawValue(ctypes.c_longdouble, 1.5)) == np.longdouble(1.5)
