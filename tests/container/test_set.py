"""Set beside set."""

import collections.abc
import pickle
import time
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.builtin import (
    EQUAL,
    KEYS,
    Operation,
    Unpicklable,
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

Set: Any = shared("Set")
pytestmark = [needs("Set"), pytest.mark.usefixtures("module_home")]


def place(name: str, other: Any) -> Operation:
    """Return an operation such as ``s |= other``."""

    def change(s: Any) -> Any:
        found = getattr(s, name)(other)
        return s if found is s else found

    return change


OTHERS: list[Any] = [
    set(),
    pytest.param({1, 2, "z"}, id="set"),
    frozenset([1]),
    [1, "z"],
    "az",
    {"a": 1},
    5,
    [[]],
    range(3),
]
METHODS = [
    *("union", "intersection", "difference", "symmetric_difference"),
    *("issubset", "issuperset", "isdisjoint"),
    *("__or__", "__and__", "__sub__", "__xor__", "__ror__", "__rand__", "__rsub__", "__rxor__"),
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
]
UPDATES = [
    *("update", "intersection_update", "difference_update", "symmetric_difference_update"),
    *("__ior__", "__iand__", "__isub__", "__ixor__"),
]
FORMS: list[tuple[Any, ...]] = [(), ([1, 2, 1],), ("abca",), (5,), ([[]],), ([], [])]


@pytest.mark.parametrize("args", FORMS, ids=repr)
def test_the_forms_of_the_constructor(args: Any) -> None:
    assert outcome(lambda _: Set(*args), None) == outcome(lambda _: set(*args), None)


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_with_others(other: Any) -> None:
    for initial in ([], [1, 2, "a"], range(50)):
        ours, theirs = Set(initial), set(initial)
        compare(ours, theirs, [place(name, other) for name in METHODS])
        for name in UPDATES:
            ours, theirs = Set(initial), set(initial)
            compare(ours, theirs, [place(name, other)])


def test_with_one_another() -> None:
    a, b = Set([1, 2, 3]), Set([3, 4])
    assert (a | b, a & b, a - b, a ^ b) == ({1, 2, 3, 4}, {3}, {1, 2}, {1, 2, 4})
    assert type(a | b) is type(a & b) is type(a - b) is type(a ^ b) is type(a.copy()) is set
    assert a != b and not a <= b and a >= Set([1])
    assert {9} | a == {1, 2, 3, 9} and {1, 9} - a == {9}
    a -= a
    assert not a
    b |= b
    b ^= b
    assert len(b) == 0


CHANGES: list[Operation] = [
    *(len, bool, hash, sorted, lambda s: 1 in s, lambda s: [] in s, lambda s: {1} in s),
    *(lambda s: s.add(1), lambda s: s.add(1), lambda s: s.add([]), lambda s: s.remove(1)),
    *(
        lambda s: s.remove(1),
        lambda s: s.remove([]),
        lambda s: s.discard(1),
        lambda s: s.discard([]),
    ),
    *(lambda s: s.update([1, 2], "ab", ()), lambda s: s.update(), lambda s: s.union([7], [8])),
    *(lambda s: s.intersection([1, 2], [2]), lambda s: s.difference([1], [2])),
    *(lambda s: s.intersection_update([1, 2, "a"], [1, "a"]), lambda s: s.update([1], 5)),
    *(lambda s: s.difference_update([1], ["x"]), lambda s: len({s.pop()}), lambda s: s.pop()),
    *(lambda s: s.add(frozenset([1])), lambda s: s.discard(frozenset([1])), lambda s: s.clear()),
]


def test_it_has_what_a_set_has_and_what_shared_objects_have() -> None:
    ours = {
        "aio",
        "check",
        "close",
        "get_lock",
        "name",
        "named",
        "space",
        "statistics",
        "version",
        "wait_for",
        "watch",
    }
    names = {name for name in dir(Set) if not name.startswith("_")}
    assert names == {name for name in dir(set) if not name.startswith("_")} | ours
    with pytest.raises(TypeError):
        Set("a")["a"]
    with pytest.raises(TypeError):
        Set("a")["a"] = 1


def test_changes() -> None:
    compare(Set(), set(), CHANGES)


def test_pop_takes_each_once() -> None:
    s = Set(range(100))
    assert sorted(s.pop() for _ in range(100)) == list(range(100))
    with pytest.raises(KeyError):
        s.pop()


def test_elements_of_all_sorts() -> None:
    s = Set(KEYS)
    other = sent(s)
    assert plain(other) == set(KEYS)
    assert told(other) == told(set(KEYS))  # of the same types
    for key in KEYS:
        assert key in other
        s.remove(key)
        assert key not in other
    assert not other
    s.check()


@pytest.mark.parametrize("keys", EQUAL, ids=repr)
def test_elements_that_are_equal_are_one(keys: list[Any]) -> None:
    for first in keys:
        s = Set([first])
        s.update(keys)
        assert told(s) == told({first})


def test_a_set_is_looked_up_as_a_frozenset() -> None:
    s = Set([frozenset([1, 2])])
    assert {2, 1} in s
    s.remove({1, 2})
    assert not s


def test_what_fails_changes_nothing() -> None:
    s = Set([1, "a"])
    divisions: list[Operation] = [
        lambda s: s.add(Unpicklable()),
        lambda s: s.update([5, Unpicklable()]),
    ]
    for failure in divisions:
        with unchanged(s, ZeroDivisionError):
            failure(s)
    types: list[Operation] = [
        lambda s: s.update([5, []]),
        lambda s: s.add(lambda: 1),
        lambda s: s.update(5),
    ]
    for failure in types:
        with unchanged(s, (TypeError, AttributeError, pickle.PicklingError)):
            failure(s)
    with unchanged(s, KeyError):
        s.remove("no")


def test_iteration_is_over_a_snapshot() -> None:
    s = Set(range(50))
    for number in s:
        s.add(number + 100)
        s.remove(number)
    assert plain(s) == set(range(100, 150))
    assert isinstance(s, collections.abc.MutableSet)


def test_version_wait_for_and_names() -> None:
    s = Set([1])
    before = s.version
    s.add(1)
    s.discard(5)
    s.add(2)
    assert s.version != before
    assert s.wait_for({1, 2}, 0) is True
    assert s.wait_for({1}, 0.01) is False
    assert s.wait_for(lambda s: 2 in s, 0) is True
    for name in dir(set):
        assert hasattr(Set, name), name
    assert "Set" in repr(s)
    assert Set[int]


def add_and_take(s: Any, base: int) -> None:
    for number in range(150):
        s.add(base + number)
        s.add("same")
        s.remove(base + number)
        s |= {base + number, -1}


def test_among_processes(ctx: BaseContext) -> None:
    s = Set()
    join(*[start(ctx, add_and_take, s, 1000 * n) for n in range(3)])
    expected = {1000 * n + number for n in range(3) for number in range(150)}
    assert plain(s) == expected | {"same", -1}


def test_a_set_is_no_dict() -> None:
    s = Set("ab")
    for name in ("get", "setdefault", "popitem", "increment", "compare_exchange", "mutate"):
        assert not hasattr(s, name) and not hasattr(Set, name)
    with pytest.raises(TypeError, match="'Set' object"):
        s["a"]
    with pytest.raises(TypeError, match="'Set' object"):
        s["a"] = 1
    with pytest.raises(TypeError, match="'Set' object"):
        del s["a"]
    assert s == {"a", "b"}


def discard_and_look(s: Any, turn: Any, seen: Any) -> None:
    for _ in range(ROUNDS):
        turn.wait()
        s.discard("x")
        seen.value = "y" in s
        turn.wait()


ROUNDS = 150


def test_update_is_one_change_beside_a_discard(ctx: BaseContext) -> None:
    """Who discarded x before it saw y come sees x come with it."""
    s, turn, seen = Set(range(20_000)), cy.Barrier(2), cy.Value("i")
    child = start(ctx, discard_and_look, s, turn, seen)
    for _ in range(ROUNDS):
        s.add("x")
        s.discard("y")
        turn.wait(30)
        s.update({"x", "y"})
        turn.wait(30)
        assert "y" in s
        assert seen.value or "x" in s
    join(child)


def test_changing_few_elements_reads_few() -> None:
    """Of 200,000 elements these took milliseconds, when all of them were read."""
    s = Set(range(200_000))
    begun = time.monotonic()
    for _ in range(50):
        s |= {1, "new"}
        s -= {2, "new"}
        s ^= {2}
        s.difference_update([3], "ab")
        s.update("x")
        s.symmetric_difference_update("xy")
        s.discard("y")
        s.add(3)
        assert s == s
        assert s != {1, 2}
    assert time.monotonic() - begun < 5
    assert len(s) == 200_000
    s.check()
