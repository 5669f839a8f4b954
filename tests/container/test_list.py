"""List beside list, and what it does beyond it."""

# `[1] + x` and `[1] == x` are other calls than those that ruff would have.
# ruff: noqa: RUF005, SIM300
import collections.abc
import pickle
import threading
from multiprocessing.context import BaseContext
from typing import Any

import pytest

from tests.support.builtin import (
    VALUES,
    Operation,
    Point,
    Unpicklable,
    Unwilling,
    compare,
    needs,
    outcome,
    plain,
    sent,
    shared,
    told,
    unchanged,
)
from tests.support.children import join, start

List: Any = shared("List")
pytestmark = [needs("List"), pytest.mark.usefixtures("module_home")]


def put(place: Any, value: Any) -> Operation:
    return lambda x: x.__setitem__(place, value)


def drop(place: Any) -> Operation:
    return lambda x: x.__delitem__(place)


def get(place: Any) -> Operation:
    return lambda x: x[place]


def iadd(x: Any, other: Any) -> Any:
    x += other
    return x


def imul(x: Any, times: Any) -> Any:
    x *= times
    return x


PLACES = [0, 1, 2, -1, -3, -4, 3, 10**30, True, "a", None, 1.0]
ENDS = [None, 0, 1, 2, 5, -1, -2, -9, 10**30]
STEPS = [None, 1, 2, -1, -2, 3]
SLICES = [slice(start, stop, step) for start in ENDS for stop in ENDS for step in STEPS]


@pytest.mark.parametrize("args", [(), ([1, 2],), ("abc",), (range(5),), (5,), ([1], 2)], ids=repr)
def test_the_forms_of_the_constructor(args: Any) -> None:
    assert outcome(lambda _: List(*args), None) == outcome(lambda _: list(*args), None)
    assert plain(List(List([1, [2]]))) == [1, [2]]
    assert plain(List(iter("ab"))) == ["a", "b"]


READS: list[Operation] = [
    *(len, bool, list, iter, reversed, tuple, hash, lambda x: x.copy(), lambda x: [*x]),
    *map(get, PLACES),
    *map(get, SLICES),
    get(slice(1, 2, 0)),
    get(slice("a", None)),
    *(lambda x: 2 in x, lambda x: 9 in x, lambda x: x.index(2), lambda x: x.index(9)),
    *(lambda x: x.index(1, 1), lambda x: x.index(2, -2, 5), lambda x: x.count(2)),
    *(lambda x: x == [1, 2, 3], lambda x: x != [1], lambda x: x < [2], lambda x: x >= [1, 2]),
    *(lambda x: [1, 2, 3] == x, lambda x: [0] < x, lambda x: x == (1, 2, 3), lambda x: x < 5),
    *(lambda x: x + [9], lambda x: [9] + x, lambda x: x * 2, lambda x: 2 * x, lambda x: x * -1),
    *(lambda x: x + (1,), lambda x: x + 5, lambda x: x * "a", lambda x: x * 1.5),
    *(max, sorted, sum, lambda x: "".join(map(str, x))),
]


def test_reads() -> None:
    compare(List([1, 2, 3]), [1, 2, 3], READS)
    compare(List(), [], READS)


CHANGES: list[Operation] = [
    *(lambda x: x.append(4), lambda x: x.extend([5, 6]), lambda x: x.extend("ab")),
    *(lambda x: x.extend(5), lambda x: x.insert(0, "first"), lambda x: x.insert(-1, "late")),
    *(lambda x: x.insert(10**6, "last"), lambda x: x.insert("a", 1), lambda x: x.pop()),
    *(lambda x: x.pop(0), lambda x: x.pop(-2), lambda x: x.pop(99), lambda x: x.pop("a")),
    *(lambda x: x.remove("b"), lambda x: x.remove("b"), lambda x: x.reverse()),
    *(lambda x: x.sort(key=str), lambda x: x.sort(key=str, reverse=True)),
    *(lambda x: iadd(x, [1]), lambda x: iadd(x, (2,)), lambda x: iadd(x, 5)),
    *(lambda x: imul(x, 2), lambda x: imul(x, "a"), lambda x: x.extend(x), lambda x: iadd(x, x)),
    *(put(0, "new"), put(-1, "end"), put(999, 1), put("a", 1), drop(0), drop(-1), drop(999)),
    *(lambda x: imul(x, 0), lambda x: x.pop(), lambda x: x.remove(1), lambda x: x.extend([])),
    *(lambda x: x.append(1), lambda x: x.clear(), lambda x: x.sort(), lambda x: x.sort(5)),
]


def test_changes() -> None:
    compare(List([1, 2, 3]), [1, 2, 3], CHANGES)
    compare(List(range(100)), list(range(100)), CHANGES)


@pytest.mark.parametrize(
    "new",
    [[], ["a"], ["a", "b", "c"], range(7), "xy", 5, pytest.param(iter("pq"), id="iterator")],
    ids=repr,
)
def test_slices_are_assigned(new: Any) -> None:
    new = list(new) if isinstance(new, collections.abc.Iterator) else new
    ours: Any = List()
    theirs: list[Any] = []
    for place in SLICES[::3]:
        theirs[:] = ours[:] = range(5)
        compare(ours, theirs, [put(place, new), drop(place)])


def test_a_slice_of_itself() -> None:
    ours, theirs = List([1, 2, 3]), [1, 2, 3]
    for x in (ours, theirs):
        x[1:2] = x
        x[::2] = x[::-2]
    assert plain(ours) == theirs


def test_sort_is_stable_and_compares_as_python_does() -> None:
    pairs = [(n * 7 % 5, n) for n in range(50)]
    ours = List(pairs)
    ours.sort(key=lambda pair: pair[0])
    assert plain(ours) == sorted(pairs, key=lambda pair: pair[0])
    ours.sort(key=lambda pair: pair[0], reverse=True)
    assert plain(ours) == sorted(
        sorted(pairs, key=lambda pair: pair[0]), key=lambda pair: pair[0], reverse=True
    )


def test_what_fails_changes_nothing() -> None:
    x = List([3, "a", 1, b"x" * 5000])
    types: list[Operation] = [
        *(lambda x: x.sort(), lambda x: x.extend(5), lambda x: x.append(lambda: 1)),
        *(put(slice(0, 2), 5), lambda x: x.pop("a"), lambda x: x.insert(None, 1)),
    ]
    for failure in types:
        with unchanged(x, (TypeError, AttributeError, pickle.PicklingError)):
            failure(x)
    divisions: list[Operation] = [
        *(lambda x: x.append(Unpicklable()), lambda x: x.extend([1, Unpicklable()])),
        *(lambda x: x.insert(0, Unpicklable()), put(0, Unpicklable())),
        *(put(slice(1, 2), [1, Unpicklable()]), lambda x: iadd(x, [Unpicklable()])),
        *(lambda x: x.sort(key=lambda n: 1 // 0), lambda x: x.extend(1 // n for n in (1, 0))),
        *(lambda x: x.remove(Unwilling()), lambda x: x.index(Unwilling())),
        *(lambda x: Unwilling() in x, lambda x: x.count(Unwilling())),
    ]
    for failure in divisions:
        with unchanged(x, ZeroDivisionError):
            failure(x)
    indices: list[Operation] = [lambda x: x.pop(9), put(9, 1), drop(9)]
    for failure in indices:
        with unchanged(x, IndexError):
            failure(x)
    with unchanged(x, ValueError):
        x[::2] = [1]
    with unchanged(x, ValueError):
        x.remove("no")


def test_values_of_all_sorts() -> None:
    x = List(VALUES)
    assert told(x) == told(VALUES)
    for place, value in enumerate(reversed(VALUES)):
        x[place] = value
    assert told(sent(x)) == told(VALUES[::-1])
    x[0] = given = [1]
    given.append(2)
    x[0].append(3)
    assert x[0] == [1]
    x.append(Point(5, 6))
    assert x.index(Point(5, 6)) == len(VALUES)
    x.check()


def test_iteration_is_over_a_snapshot() -> None:
    x = List(range(50))
    for number in x:
        x.append(number)
        x.pop(0)
    assert plain(x) == list(range(50))
    assert type(x[1:3]) is type(x + []) is type(x * 2) is list
    assert isinstance(x, collections.abc.MutableSequence)


def test_both_ends_over_and_over() -> None:
    """The ring goes round."""
    ours: Any = List()
    theirs: list[Any] = []
    for number in range(3000):
        for x in (ours, theirs):
            x.append(number)
            if number % 3:
                x.pop(0)
            if number % 7 == 0:
                x.insert(0, -number)
    assert plain(ours) == theirs
    ours.check()


def test_version_and_wait_for() -> None:
    x = List([1])
    seen = {x.version}
    for change in (put(0, 2), CHANGES[0], lambda x: x.pop(), lambda x: x.extend([1, 2])):
        change(x)
        assert x.version not in seen
        seen.add(x.version)
    assert x.wait_for([2, 1, 2], timeout=0) is True
    assert x.wait_for([2], timeout=0.01) is False
    assert x.wait_for(len, 0) == 3
    thread = threading.Thread(target=x.append, args=(5,))
    thread.start()
    assert x.wait_for(lambda x: 5 in x, timeout=20) is True
    thread.join()


def test_names() -> None:
    for name in dir(list):
        assert hasattr(List, name), name
    assert List[int]
    assert "List" in repr(List([1])) and "[1]" in repr(List([1]))


def add_many(x: Any, times: int) -> None:
    for _ in range(times):
        x.extend([1, 2])
        x.append(3)
        with x.get_lock():
            x[0] += 1


def test_among_processes(ctx: BaseContext) -> None:
    x = List([0])
    join(*[start(ctx, add_many, x, 60) for _ in range(3)])
    found = plain(x)
    assert found[0] == 180
    assert [found.count(n) for n in (1, 2, 3)] == [180, 180, 180]
    # What was extended in one call lies together.
    assert all(found[place + 1] == 2 for place in range(1, len(found)) if found[place] == 1)


def pop_all(x: Any, taken: Any) -> None:
    while True:
        try:
            taken.append(x.pop())
        except IndexError:
            return


def test_each_is_popped_once() -> None:
    import multiprocessing

    x, taken = List(range(500)), List()
    context = multiprocessing.get_context("fork")
    join(*[start(context, pop_all, x, taken) for _ in range(3)])
    assert sorted(taken) == list(range(500))


@pytest.mark.parametrize("values", [[0, 1, 2, 3, 4], [3, 1, 2]])
def test_a_sort_whose_key_changes_the_list(values: list[int]) -> None:
    x: Any = List(values)

    def reverses(value: int) -> int:
        x.reverse()
        return value

    def appends(value: int) -> int:
        x.append(9)
        return value

    for key in (reverses, appends):
        with pytest.raises(ValueError, match="list modified during sort"):
            x.sort(key=key)
    assert x.get_lock().acquire(block=False)
    x.get_lock().release()
