"""Changes of a dict's entry in one step: increment, compare_exchange, mutate."""

import array
import collections
import collections.abc
import copy
import dataclasses
from typing import Any

import numpy
import pytest

import courtyard as cy
from tests.support.builtin import (
    Point,
    Unpicklable,
    Unwilling,
    needs,
    plain,
    shared,
    unchanged,
)


@dataclasses.dataclass
class Cart:
    items: list[str]


Dict: Any = shared("Dict")
pytestmark = [needs("Dict"), pytest.mark.usefixtures("module_home")]


def test_increment() -> None:
    d = Dict()
    assert [d.increment("n"), d.increment("n", 5), d.increment("n", -1)] == [1, 6, 5]
    assert d.increment("f", 0.5) == 0.5
    assert d.increment("m", 2, 40) == 42
    assert d.increment("big", 1, 2**62) == 2**62 + 1
    assert d.increment("big", 2**70) == 2**62 + 1 + 2**70
    assert d.increment("n", n=2, default=9) == 7
    d["edge"] = 2**63 - 1
    assert d.increment("edge") == 2**63
    d["s"] = "text"
    with unchanged(d, TypeError):
        d.increment("s")
    assert d["big"] == 2**62 + 1 + 2**70


def test_compare_exchange() -> None:
    d = Dict(a=1, b=[1, 2])
    assert d.compare_exchange("a", 1, 2) is True
    assert d.compare_exchange("a", 1, 3) is False
    assert d.compare_exchange("a", 2.0, "x") is True
    assert d.compare_exchange("b", [1, 2], Point(1, 2)) is True
    assert d.compare_exchange("b", Point(1, 2), None) is True
    assert plain(d) == {"a": "x", "b": None}
    with unchanged(d, ZeroDivisionError):
        d.compare_exchange("a", Unwilling(), 1)
    with unchanged(d, ZeroDivisionError):
        d.compare_exchange("a", "x", Unpicklable())


def test_mutate() -> None:
    d = Dict(a=1)
    d.mutate("a", lambda n: n + 1)
    d.mutate("l", lambda found: [*found, 5], [])
    assert plain(d) == {"a": 2, "l": [5]}
    with unchanged(d, KeyError):
        d.mutate("no", lambda n: n)
    with unchanged(d, ZeroDivisionError):
        d.mutate("a", lambda n: n // 0)
    with unchanged(d, ZeroDivisionError):
        d.mutate("a", lambda _: Unpicklable())


@pytest.mark.parametrize(
    "change",
    [
        ([1], lambda v: v.append(2)),
        ({"a": 1}, lambda v: v.update(b=2)),
        ({1}, lambda v: v.add(2)),
        (bytearray(3), lambda v: v.extend(b"x")),
        (collections.deque([1]), lambda v: v.append(2)),
        (array.array("i", [1]), lambda v: v.append(2)),
        (numpy.zeros(3), lambda v: v.sort()),
        (Point(1, 2), lambda v: setattr(v, "x", 2)),
        (Cart(["a"]), lambda v: v.items.append("b")),
        (([1],), lambda v: v[0].append(2)),
    ],
    ids=lambda change: type(change[0]).__name__,
)
def test_mutate_with_a_function_that_forgets_to_return(change: Any) -> None:
    value, forgets = change
    d = Dict(k=value, i=cy.NestedDict(x=1))
    match = (
        f"returned None for a value of type {type(value).__name__}: return the new value, or use "
        r"edit\(\); to store None, assign it"
    )
    with pytest.raises(TypeError, match=match):
        d.mutate("k", forgets)
    with pytest.raises(TypeError, match=match):
        d.mutate("new", forgets, copy.copy(value))
    with pytest.raises(TypeError, match="a value of type NestedDict"):
        d.mutate("i", lambda inner: inner.update(x=2))
    assert "new" not in d and type(d["k"]) is type(value)
    assert numpy.array_equal(d["k"], value) if isinstance(value, numpy.ndarray) else d["k"] == value


def test_mutate_may_make_none_of_anything_else() -> None:
    values: list[Any] = [1, "text", (1,), b"bytes", None, 1.5, frozenset()]
    for value in values:
        d = Dict(k=value)
        assert d.mutate("k", lambda _: None) is None and d["k"] is None


def test_mutate_tries_again_when_the_value_changes_under_it() -> None:
    d, calls = Dict(a=1), []

    def meddle(old: int) -> int:
        calls.append(old)
        if len(calls) == 1:
            d["a"] = 10
        return old + 1

    d.mutate("a", meddle)
    assert (calls, d["a"]) == ([1, 10], 11)


def test_mutate_takes_one_default_by_place_or_name_and_none_is_one() -> None:
    for d in (Dict(a=1), shared("NestedDict")(a=1)):
        with unchanged(d, TypeError):
            d.mutate("a", abs, 1, 2)
        with unchanged(d, KeyError):
            d.mutate("no", str)
        assert d.mutate("x", str, None) == "None"
        assert d.mutate("y", lambda n: n + 1, default=1) == 2
        assert d.mutate(key="y", fn=lambda n: n + 1) == 3


@pytest.mark.parametrize("value", [0, -7, 2**60 - 1, -(2**60), 2**63, True, 1.5, "a", None])
@pytest.mark.parametrize("n", [1, -1, 0, 2**60, -(2**63), 2**64, True, 0.5, "b", None])
def test_an_increment_is_an_addition(value: Any, n: Any) -> None:
    try:
        expected: Any = value + n
    except TypeError:
        expected = TypeError
    d = Dict(a=value)
    for key, content in (("a", value), ("new", value), (("a", 1), value)):
        d[key] = content
        if expected is TypeError:
            with unchanged(d, TypeError):
                d.increment(key, n)
        else:
            got = d.increment(key, n)
            assert (got, type(got), d[key]) == (expected, type(expected), expected)
            with d.get_lock():
                d[key] = value
                assert d.increment(key, n, 0) == expected
    if expected is not TypeError:
        assert d.increment("missing", n, value) == expected == d["missing"]


def test_none_is_no_number_to_add() -> None:
    d = Dict(a=1)
    with unchanged(d, TypeError):
        d.increment("a", None)
    with unchanged(d, TypeError):
        d.increment("new", 1, None)
    value = cy.Value("i", 1)
    with pytest.raises(TypeError):
        value.increment(None)
    with pytest.raises(TypeError):
        value.increment(n=None)
    assert value.value == 1
    objects = cy.Value(object, 1)
    with pytest.raises(TypeError):
        objects.increment(None)
    assert (value.increment(), objects.increment(n=2)) == (2, 3)
