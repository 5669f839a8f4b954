"""Deque beside collections.deque."""

# ruff: noqa: RUF005
import collections
import itertools
import threading
from multiprocessing.context import BaseContext
from typing import Any

import pytest

from tests.object.test_memory import space_of
from tests.support.builtin import (
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
from tests.support.children import join, start

Deque: Any = shared("Deque")
pytestmark = [needs("Deque"), pytest.mark.usefixtures("module_home")]


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


def test_maxlen_is_kept() -> None:
    x = Deque("abcdef", maxlen=3)
    assert x.maxlen == sent(x).maxlen == x.copy().maxlen == 3
    assert type(x.copy()) is collections.deque
    other = sent(x)
    other.append("g")
    assert list(x) == ["e", "f", "g"]


@pytest.mark.parametrize("values", [range(9), VALUES, ["x" * 3000] * 9, ["x" * 50_000] * 5, []])
@pytest.mark.parametrize("before", [None, 0, 1, 4, 50])
def test_maxlen_may_be_set(before: int | None, values: Any) -> None:
    for now in (None, 0, 1, 3, 4, 7, 60, True):
        x = Deque(values, before)
        theirs = collections.deque(values, before)
        version, changes = x.version, now != before
        x.maxlen = now
        assert (x.version != version) == changes
        theirs = collections.deque(theirs, now)
        assert told(sent(x)) == told(theirs) and x.maxlen == theirs.maxlen
        for each in (x, theirs):
            each.extend(range(5))
            each.appendleft("left")
            each.append("right" * 3000)
        assert told(x) == told(theirs)
        x.check()


def test_a_maxlen_that_is_none() -> None:
    x = Deque("abc", maxlen=3)
    wrongs: list[tuple[Any, type[Exception]]] = [
        (-1, ValueError),
        ("a", TypeError),
        (1.5, TypeError),
        (2**70, OverflowError),
    ]
    for wrong, error in wrongs:
        with pytest.raises(error):
            collections.deque(maxlen=wrong)
        with unchanged(x, error):
            x.maxlen = wrong
    with unchanged(x, AttributeError):
        del x.maxlen
    assert x.maxlen == 3


def test_setting_maxlen_waits_for_the_lock_and_wakes() -> None:
    x = Deque("abcdef")
    done = threading.Event()

    def bound() -> None:
        x.maxlen = 2
        done.set()

    with x.get_lock():
        x.maxlen = 5  # our own
        thread = threading.Thread(target=bound)
        thread.start()
        assert not done.wait(0.1) and len(x) == 5
    assert x.wait_for(lambda x: x.maxlen == 2, 30)
    assert list(x) == ["e", "f"]
    thread.join()


def test_the_memory_of_what_goes_comes_back() -> None:
    probe = Deque()
    Deque(["x" * 9000] * 200).clear()
    before = space_of(probe).used
    x = Deque(["x" * 9000] * 200)
    x.maxlen = 3
    assert space_of(probe).used < before + 100_000
    x.maxlen = None
    x.extend([bytes(50_000)] * 20)
    x.maxlen = 0
    assert space_of(probe).used < before + 20_000
    x.check()


class Meddler:
    """A value that sets a deque's maxlen while it is pickled, the first time."""

    def __init__(self, x: Any, maxlen: int | None) -> None:
        self.x, self.maxlen, self.done = x, maxlen, False

    def __reduce__(self) -> Any:
        if not self.done:
            self.done, self.x.maxlen = True, self.maxlen
        return int, (99,)


@pytest.mark.parametrize("before, now, left", [(4, None, 14), (None, 3, 3), (4, 6, 6), (6, 2, 2)])
def test_a_maxlen_set_while_values_are_on_their_way(
    before: int | None, now: int | None, left: int
) -> None:
    """They are cut by the one, or by the other, as are those that are there."""
    x = Deque(range(4), before)
    x.extend([*range(10, 19), Meddler(x, now)])
    assert list(x) == [0, 1, 2, 3, *range(10, 19), 99][-left:]


BATCH = 10


def extend(x: Any, who: int) -> None:
    for number in range(300):
        x.extend([(who, number, place) for place in range(BATCH)])


def test_each_extend_is_by_one_maxlen(ctx: BaseContext) -> None:
    """What was cut off is at the front: behind that, each batch is whole."""
    x, sizes, turns = Deque(), [4, None, 25, None, 7, None], 0
    writers = [start(ctx, extend, x, who) for who in range(2)]
    while any(writer.is_alive() for writer in writers):
        x.maxlen = sizes[turns % len(sizes)]
        turns += 1
        runs = [list(run) for _, run in itertools.groupby(list(x), lambda each: each[:2])]
        for index, run in enumerate(runs):
            places = [place for *_, place in run]
            assert places == list(range(BATCH))[-len(places) :], runs
            assert len(places) == BATCH or index == 0, runs
    join(*writers, limit=60)
    assert turns > 3
    x.check()


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
