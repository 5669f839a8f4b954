"""Deque beside collections.deque."""

# ruff: noqa: RUF005
import collections
from multiprocessing.context import BaseContext
from typing import Any

import pytest

from tests.children import join, start
from tests.twin import (
    VALUES,
    Operation,
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

Deque: Any = shared("Deque")
pytestmark = needs("Deque")


def iadd(x: Any, other: Any) -> Any:
    x += other
    return x


def imul(x: Any, times: Any) -> Any:
    x *= times
    return x


OPERATIONS: list[Operation] = [
    *(len, bool, list, reversed, hash, lambda x: x.maxlen, lambda x: x.copy()),
    *(lambda x: x.append(1), lambda x: x.appendleft(2), lambda x: x.extend([3, 4])),
    *(lambda x: x.extendleft([5, 6]), lambda x: x.extend(5), lambda x: x.extendleft(5)),
    *(
        lambda x: x.rotate(),
        lambda x: x.rotate(-2),
        lambda x: x.rotate(1000),
        lambda x: x.rotate("a"),
    ),
    *(lambda x: x.pop(), lambda x: x.popleft(), lambda x: x[0], lambda x: x[-1], lambda x: x[99]),
    *(lambda x: x[0:1], lambda x: x["a"], lambda x: x.__setitem__(0, "new")),
    *(lambda x: x.__setitem__(99, 1), lambda x: x.__delitem__(0), lambda x: x.__delitem__(99)),
    *(lambda x: x.insert(1, "in"), lambda x: x.insert(-99, "l"), lambda x: x.insert(99, "r")),
    *(lambda x: x.remove("in"), lambda x: x.remove("no"), lambda x: x.count(3)),
    *(lambda x: x.index(3), lambda x: x.index("no"), lambda x: x.index(3, 1, 9), lambda x: 3 in x),
    *(lambda x: x.reverse(), lambda x: iadd(x, [7]), lambda x: iadd(x, 5), lambda x: x.extend(x)),
    *(lambda x: x + x.copy(), lambda x: x + [1], lambda x: x * 2, lambda x: 2 * x),
    *(
        lambda x: imul(x, 2),
        lambda x: x == x.copy(),
        lambda x: x == list(x),
        lambda x: x < x.copy(),
    ),
    *(lambda x: x.extendleft(x), lambda x: imul(x, 0), lambda x: x.pop(), lambda x: x.popleft()),
    *(lambda x: x.rotate(3), lambda x: x.append([1]), lambda x: x.clear(), lambda x: x.clear()),
]


@pytest.mark.parametrize("maxlen", [None, 0, 1, 3, 100])
def test_the_same_calls(maxlen: int | None) -> None:
    for initial in ([], [1], range(10)):
        compare(Deque(initial, maxlen), collections.deque(initial, maxlen), OPERATIONS)


@pytest.mark.parametrize("args", [(), ("abc",), ("abc", 2), ([], -1), ([], "a"), (5,), ([], 1, 2)])
def test_the_forms_of_the_constructor(args: Any) -> None:
    expected = outcome(lambda _: collections.deque(*args), None)
    assert outcome(lambda _: Deque(*args), None) == expected
    assert told(Deque(iterable="ab", maxlen=1)) == told(collections.deque("ab", 1))


def test_maxlen_is_kept_and_read_only() -> None:
    x = Deque("abcdef", maxlen=3)
    assert x.maxlen == sent(x).maxlen == x.copy().maxlen == 3
    assert type(x.copy()) is collections.deque
    with pytest.raises(AttributeError):
        x.maxlen = 5
    other = sent(x)
    other.append("g")
    assert list(x) == ["e", "f", "g"]


def test_round_and_round() -> None:
    ours: Any = Deque()
    theirs: Any = collections.deque()
    for number in range(4000):
        for x in (ours, theirs):
            (x.append if number % 5 else x.appendleft)(number)
            if number % 2:
                (x.popleft if number % 3 else x.pop)()
            if number % 97 == 0:
                x.rotate(number)
    assert plain(ours) == theirs
    ours.check()


def test_values_of_all_sorts() -> None:
    x = Deque(VALUES)
    assert told(x) == told(collections.deque(VALUES))
    x.rotate(7)
    x.reverse()
    theirs = collections.deque(VALUES)
    theirs.rotate(7)
    theirs.reverse()
    assert told(sent(x)) == told(theirs)


def test_what_fails_changes_nothing() -> None:
    x = Deque([1, "a" * 5000], maxlen=3)
    failures: list[Operation] = [
        *(lambda x: x.append(Unpicklable()), lambda x: x.appendleft(Unpicklable())),
        *(lambda x: x.extend([1, Unpicklable()]), lambda x: x.extendleft([1, Unpicklable()])),
        *(lambda x: x.insert(0, Unpicklable()), lambda x: x.__setitem__(0, Unpicklable())),
        *(lambda x: x.remove(Unwilling()), lambda x: x.index(Unwilling())),
    ]
    for failure in failures:
        with unchanged(x, ZeroDivisionError):
            failure(x)
    x.append(3)
    with unchanged(x, IndexError):
        x.insert(1, "full")
    empty = Deque()
    with unchanged(empty, IndexError):
        empty.pop()


def test_names() -> None:
    for name in dir(collections.deque):
        assert hasattr(Deque, name), name
    assert "Deque" in repr(Deque([1]))
    assert Deque[int]


def move(first: Any, second: Any, times: int) -> None:
    for _ in range(times):
        try:
            second.appendleft(first.pop())
        except IndexError:
            first.extend([0, 0])
            second.popleft()
            second.popleft()


def test_among_processes(ctx: BaseContext) -> None:
    first, second = Deque(range(500)), Deque()
    join(*[start(ctx, move, first, second, 150) for _ in range(3)])
    assert sorted([*first, *second]) == list(range(500))
    assert list(first) == list(range(50))


def test_wait_for() -> None:
    x = Deque("ab")
    before = x.version
    x.append("c")
    assert x.version != before
    assert x.wait_for(collections.deque("abc"), 0) is True
    assert x.wait_for(lambda x: len(x) > 3, 0.01) is False
