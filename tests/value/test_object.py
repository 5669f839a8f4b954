"""Values of classes and of any object: what is stored is read as it was written, or not stored."""

import math
import pickle
import types
from typing import Any

import pytest

import courtyard as cy
from tests.value.test_value import Integer, RawValue, Value


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


@pytest.mark.usefixtures("own_home")
def test_what_pickle_refuses_changes_nothing() -> None:
    value = Value(object, "before")
    version, blocks = value.version, value.statistics().space.live_blocks
    with pytest.raises(ZeroDivisionError):
        value.value = Unpicklable()
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
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
    with pytest.raises(cy.LoadError, match="ZeroDivisionError"):
        _ = value.value
    assert "<cannot load: " in repr(value)
    value.value = "after"
    assert value.value == "after"


def test_an_object_may_hold_handles() -> None:
    value, other = Value(object, "before"), Value("i")
    value.value = [other, "text"]
    value.value[0].increment(5)
    assert other.value == 5
    value.value = value
    value.value.value = "after"
    assert value.value == "after"
    value.check()
