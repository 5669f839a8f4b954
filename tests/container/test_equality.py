"""What is equal where arrays are: ``compare_exchange``, ``wait_for``, and the builtins' methods."""

import ctypes
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import courtyard as cy
from tests.support.children import fork, kill

NAN = float("nan")


def frame(**columns: Any) -> Any:
    return pd.DataFrame({"a": [1.0, NAN, 3.0], "s": ["x", None, "z"]} | columns)


def masked_records(mask: Any) -> Any:
    return np.ma.array([(1, 2.0), (3, NAN)], "i4,f8", mask=mask)


@dataclasses.dataclass
class Holder:
    """Its ``==`` compares its arrays, and says no single truth."""

    data: Any


# A value, and what is not equal to it.
PAIRS: dict[str, tuple[Callable[[], Any], list[Callable[[], Any]]]] = {
    "array": (
        lambda: np.arange(5.0),
        [
            lambda: np.arange(6.0),
            lambda: np.arange(5.0) + 1,
            lambda: np.arange(5.0).reshape(5, 1),
            lambda: [0, 1, 2, 3, 4],
            lambda: None,
            lambda: 3,
        ],
    ),
    "one element": (lambda: np.array([5]), [lambda: np.array([[5]]), lambda: 5, lambda: [5]]),
    "no element": (lambda: np.zeros(0), [lambda: np.zeros((0, 3)), lambda: [], lambda: None]),
    "large": (lambda: np.zeros(100_000), [lambda: np.eye(1, 100_000)[0]]),
    "not a number": (lambda: np.array([1, NAN]), [lambda: np.array([NAN, 1]), lambda: NAN]),
    "dates": (lambda: np.array(["NaT", "2020-01-01"], "M8[D]"), [lambda: np.zeros(2, "M8[D]")]),
    "texts": (lambda: np.array(["a", "b"]), [lambda: np.array(["a", "c"]), lambda: ["a", "b"]]),
    "objects": (
        lambda: np.array([1, None, "a"], object),
        [lambda: np.array([1, None, "b"], object)],
    ),
    "records": (
        lambda: np.array([(1, NAN), (2, 1)], [("x", "i4"), ("y", "f8")]),
        [lambda: np.array([(1, NAN), (2, 2)], [("x", "i4"), ("y", "f8")]), lambda: np.zeros(2)],
    ),
    "objects, not numbers": (
        lambda: np.array([None, NAN, float("nan")], object),
        [lambda: np.array([None, NAN, 1], object), lambda: np.array([NAN, None, NAN], object)],
    ),
    "masked": (
        lambda: np.ma.array([1, 2], mask=[False, True]),
        [
            lambda: np.ma.array([1, 2], mask=[False, False]),
            lambda: np.ma.array([2, 2], mask=[False, True]),
            lambda: np.array([1, 2]),
        ],
    ),
    "all masked": (
        lambda: np.ma.array([1.0, 2.0], mask=True),
        [lambda: np.ma.array([1.0, 2.0], mask=[True, False]), lambda: np.ma.masked],
    ),
    "masked records": (
        lambda: masked_records([(0, 1), (0, 0)]),
        [lambda: masked_records([(0, 1), (1, 0)])],
    ),
    "beside not a number": (
        lambda: {"a": np.zeros(2), "n": float("nan"), "m": [np.float32("nan"), 1j * NAN]},
        [
            lambda: {"a": np.zeros(2), "n": 1.0, "m": [np.float32("nan"), 1j * NAN]},
            lambda: {"a": np.zeros(2), "n": float("nan"), "m": [np.float32("nan"), 1j]},
        ],
    ),
    "missing": (lambda: [pd.NA, 1], [lambda: [1, 1], lambda: [pd.NA, 2], lambda: [None, 1]]),
    "frame": (
        frame,
        [
            lambda: frame(a=1),
            lambda: frame()[:2],
            lambda: frame(b=1),
            lambda: pd.DataFrame(),
            lambda: 5,
        ],
    ),
    "series": (lambda: frame()["a"], [lambda: frame()["s"], lambda: frame()["a"][:1]]),
    "inside": (
        lambda: {"w": [np.arange(3.0), (frame(), 1)], "n": 5},
        [
            lambda: {"w": [np.arange(3.0), (frame(), 2)], "n": 5},
            lambda: {"w": [np.ones(3), (frame(), 1)], "n": 5},
            lambda: {"w": [np.arange(3.0)], "n": 5},
            lambda: {"w": [np.arange(3.0), (frame(), 1)], "m": 5},
        ],
    ),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_value_is_exchanged_if_it_is_the_expected_one(kind: str) -> None:
    make, others = PAIRS[kind]
    value = cy.Value(object, make())
    table: Any = cy.Dict(k=make())
    nested: Any = cy.NestedDict(k=(make(),))
    for other in others:
        assert not value.compare_exchange(other(), 1)
        assert not table.compare_exchange("k", other(), 1)
        if kind != "one element":  # inside others its comparison is a truth, and Python's own
            assert not nested.compare_exchange("k", (other(),), 1)
    assert value.compare_exchange(value.get(), make()) and value.compare_exchange(make(), 1)
    assert table.compare_exchange("k", table.get("k", copy=False), make())
    assert table.compare_exchange("k", make(), 1)
    assert nested.compare_exchange("k", (make(),), 1)
    assert (value.value, table["k"], nested["k"]) == (1, 1, 1)


@pytest.mark.parametrize("kind", PAIRS)
def test_wait_for_a_value(kind: str) -> None:
    make, others = PAIRS[kind]
    value = cy.Value(object, make())
    table: Any = cy.Dict(k=make())
    row: Any = cy.List([make()])
    assert value.wait_for(make(), 5)
    assert table.wait_for({"k": make()}, 5)
    assert row.wait_for([make()], 5)
    for other in others:
        assert not value.wait_for(other(), 0)
        if kind != "one element":
            assert not table.wait_for({"k": other()}, 0)
            assert not row.wait_for([other()], 0)
    value.value = 0
    timer = threading.Timer(0.05, lambda: value.set(make()))
    timer.start()
    assert value.wait_for(make(), 30)
    timer.join()


def test_what_has_no_truth_as_a_whole() -> None:
    value = cy.Value(object, Holder(np.arange(3)))
    table: Any = cy.Dict(k=Holder(np.arange(3)))
    for use in (
        lambda: value.compare_exchange(Holder(np.arange(3)), 1),
        lambda: table.compare_exchange("k", Holder(np.arange(3)), 1),
        lambda: value.wait_for(Holder(np.arange(3)), 5),
    ):
        with pytest.raises(TypeError, match="cannot compare Holder as a whole: keep a number"):
            use()
    assert type(value.value) is type(table["k"]) is Holder


class Refuses:
    """Its ``==`` raises."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("not me")

    __hash__ = object.__hash__


def test_what_a_comparison_raises_is_raised() -> None:
    value = cy.Value(object, 5)
    with pytest.raises(ValueError, match="not me"):
        value.compare_exchange(Refuses(), 1)
    assert value.value == 5


def test_scalars_are_compared_as_ever() -> None:
    value = cy.Value(object, 1)
    for equal in (1.0, True, np.int64(1), np.float32(1), np.array(1)[()]):
        assert value.compare_exchange(equal, 1)
    assert not value.compare_exchange(np.int64(2), 1)
    number = cy.Value("d", 2.5)
    assert number.compare_exchange(np.float64(2.5), 3) and number.wait_for(np.float64(3), 1)
    pair = cy.Value(ctypes.c_char * 4, b"ab")
    assert pair.compare_exchange(b"ab", b"cd") and not pair.compare_exchange(b"ab", b"")


def test_lists_find_arrays_as_the_builtin_does() -> None:
    """It says that their truth is ambiguous; then ours does."""
    array = np.arange(3)
    plain = [1, array.copy()]
    for x in (cy.List(plain), cy.Deque(plain)):
        for name in ("index", "remove", "count"):
            for target in (plain.copy(), x):
                with pytest.raises(ValueError, match="ambiguous"):
                    getattr(target, name)(array)
        assert x.index(1) == plain.index(1) == 0
        with pytest.raises(ValueError, match="ambiguous"):
            x == type(x)([1, array + 1])  # noqa: B015
        assert len(x) == 2
    with pytest.raises(ValueError, match="ambiguous"):
        cy.Dict(a=array) == {"a": array}  # noqa: B015


def test_of_those_that_exchange_an_array_one_succeeds_each_time() -> None:
    value: Any = cy.Value(object, np.zeros(6000))

    def count() -> None:
        while True:
            old = value.value
            value.compare_exchange(old, old + 1)

    child = fork(count)
    try:
        done = 0
        while done < 100:
            old = value.value
            done += value.compare_exchange(old, old + 1)
    finally:
        kill(child)
    found = value.value
    assert (found == found[0]).all() and found[0] >= 100


def test_nothing_but_itself_equals_what_is_missing() -> None:
    value = cy.Value(object, pd.NA)
    for other in (1, None, NAN, "", [pd.NA]):
        assert not value.compare_exchange(other, 2)
    assert value.compare_exchange(pd.NA, 2)
    assert not value.compare_exchange(pd.NA, 3)


class Asked:
    """Its ``==`` raises the first time, and only then."""

    def __init__(self, outcome: Any) -> None:
        self.outcome, self.times = outcome, 0

    def __eq__(self, other: object) -> Any:
        self.times += 1
        if self.times > 1:
            return True
        if isinstance(self.outcome, type):
            raise self.outcome("not now")
        return self.outcome

    __hash__ = object.__hash__


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyboardInterrupt, LookupError])
@pytest.mark.parametrize("around", [lambda x: x, lambda x: [1, x], lambda x: {"a": (x,)}])
def test_a_comparison_that_raises_is_not_made_again(around: Any, error: Any) -> None:
    value = cy.Value(object, around(5))
    table: Any = cy.Dict(k=around(5))
    for use in (
        lambda x: value.compare_exchange(x, 1),
        lambda x: table.compare_exchange("k", x, 1),
        lambda x: value.wait_for(x, 0),
    ):
        asked = Asked(error)
        with pytest.raises(error, match="not now"):
            use(around(asked))
        assert asked.times == 1
    assert value.value == table["k"] == around(5)


def test_what_a_comparison_returns_is_taken_as_a_truth_once() -> None:
    value = cy.Value(object, 5)
    for outcome in (0, "", np.False_, 1, "yes", np.True_):
        value.value = 5
        asked = Asked(outcome)
        assert value.compare_exchange(asked, 1) == bool(outcome)
        assert asked.times == 1
