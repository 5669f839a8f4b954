"""What an object's own code raises comes out of the call: once, and with nothing half done."""

from __future__ import annotations

import ctypes
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import courtyard as cy
import courtyard.multiprocessing as mp

ERRORS = [KeyboardInterrupt, SystemExit, ValueError, TypeError, MemoryError, RecursionError]


class Once:
    """Pickling it raises the first time, and only then."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error
        self.tries = 0

    def __reduce__(self) -> Any:
        self.tries += 1
        if self.tries == 1:
            raise self.error
        return (int, ())


def put_by_name(q: Any, item: Any) -> None:
    q.put(item=item)


def put_from_a_generator(q: Any, item: Any) -> None:
    q.put_many(each for each in (item,))


PUTS: list[Callable[[Any, Any], object]] = [
    lambda q, item: q.put(item),
    lambda q, item: q.put([1, item]),
    lambda q, item: q.put(item, True, 5),
    put_by_name,
]
MORE_PUTS: list[Callable[[Any, Any], object]] = [
    *PUTS,
    lambda q, item: q.put_nowait(item),
    lambda q, item: q.put_many([item]),
    lambda q, item: q.put_many((item,)),
    put_from_a_generator,
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("put", MORE_PUTS)
@pytest.mark.parametrize(
    "make",
    [cy.Queue, lambda: cy.Queue(maxbytes=1000), lambda: cy.Queue(5), cy.JoinableQueue,
     cy.LifoQueue, cy.PriorityQueue],
)  # fmt: skip
def test_an_item(make: Any, put: Any, error: type[BaseException]) -> None:
    q, item = make(), Once(error)
    with pytest.raises(error):
        put(q, item)
    assert (item.tries, q.qsize(), q.empty()) == (1, 0, True)
    put(q, 1)
    assert q.qsize() == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("make", [mp.Queue, mp.JoinableQueue, mp.SimpleQueue])
def test_an_item_of_multiprocessing(make: Any, error: type[BaseException]) -> None:
    q, item = make(), Once(error)
    with pytest.raises(error):
        q.put(item)
    assert (item.tries, q.empty()) == (1, True)


def test_an_item_of_many_is_pickled_when_those_before_it_are_in() -> None:
    q, item = cy.Queue(maxsize=1), Once(KeyboardInterrupt)
    q.put(0)
    with pytest.raises(queue.Full):
        q.put_many([1, item], timeout=0.01)
    assert (item.tries, q.qsize()) == (0, 1)
    q = cy.Queue()
    with pytest.raises(KeyboardInterrupt):
        q.put_many([1, "two", item, 4])
    assert (item.tries, q.get_many(9)) == (1, [1, "two"])


KEYED: list[Callable[[Any, Any], object]] = [
    lambda d, key: d.__setitem__(key, 1),
    lambda d, key: d.setdefault(key, 1),
    lambda d, key: d.increment(key),
    lambda d, key: d.update({key: 1}),
    lambda d, key: d.mutate(key, lambda n: n + 1, 0),
]
LOOKED_UP: list[Callable[[Any, Any], object]] = [
    lambda d, key: key in d,
    lambda d, key: d.get(key),
    lambda d, key: d.pop(key, None),
]
INDEXED: list[Callable[[Any, Any], object]] = [
    lambda d, key: d[key],
    lambda d, key: d.__delitem__(key),
]


def inside(key: Any) -> Any:
    return (1, frozenset([key]))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("around", [lambda key: key, inside])
@pytest.mark.parametrize("use", KEYED)
def test_a_new_key(use: Any, around: Any, error: type[BaseException]) -> None:
    d: Any = cy.Dict()
    key = Once(error)
    with pytest.raises(error):
        use(d, around(key))
    assert (key.tries, len(d)) == (1, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, RecursionError])
@pytest.mark.parametrize("around", [lambda key: key, inside])
@pytest.mark.parametrize("use", [*LOOKED_UP, *INDEXED])
def test_a_key_that_is_looked_up(use: Any, around: Any, error: type[BaseException]) -> None:
    d: Any = cy.Dict()
    key = Once(error)
    with pytest.raises(error):
        use(d, around(key))
    assert key.tries == 1


@pytest.mark.parametrize("use", LOOKED_UP)
def test_what_cannot_be_pickled_is_asked_once(use: Any) -> None:
    d: Any = cy.Dict({0: 1})
    key = Once(ValueError)
    assert not use(d, key)
    assert key.tries == 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_member(error: type[BaseException]) -> None:
    s: Any = cy.Set()
    key = Once(error)
    with pytest.raises(error):
        s.add(key)
    assert (key.tries, len(s)) == (1, 0)


@pytest.mark.parametrize("error", ERRORS)
def test_a_value(error: type[BaseException]) -> None:
    d: Any = cy.Dict()
    x: Any = cy.List([0])
    v: Any = cy.Value(object, 0)
    stores: list[Callable[[Any], object]] = [
        lambda item: d.__setitem__("a", item),
        lambda item: x.__setitem__(0, item),
        lambda item: x.append([item]),
        lambda item: x.extend([1, item]),
        lambda item: cy.Deque().appendleft(item),
        lambda item: v.set(item),
        lambda item: v.compare_exchange(0, item),
    ]
    for store in stores:
        item = Once(error)
        with pytest.raises(error):
            store(item)
        assert (item.tries, len(d), x.copy(), v.value) == (1, 0, [0], 0)


class HashedOnce(Once):
    def __reduce__(self) -> Any:
        return (HashedOnce, (self.error,))

    def __hash__(self) -> int:
        self.tries += 1
        if self.tries == 1:
            raise self.error
        return 1


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("use", [*KEYED, *LOOKED_UP, *INDEXED])
def test_a_hash(use: Any, error: type[BaseException]) -> None:
    key = HashedOnce(error)
    d: Any = cy.Dict()
    if use is KEYED[3]:
        return  # a plain dict hashes it before
    with pytest.raises(error):
        use(d, key)
    assert (key.tries, len(d)) == (1, 0)


class Index:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __index__(self) -> int:
        raise self.error

    def __float__(self) -> float:
        raise self.error

    def __bool__(self) -> bool:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, LookupError])
@pytest.mark.parametrize("code", ["i", "Q", "d", "f", "b", ctypes.c_bool])
def test_a_number(code: Any, error: type[BaseException]) -> None:
    a: Any = cy.Array(code, 2)
    stores: list[Callable[[Any], object]] = [
        cy.Value(code).set,
        lambda n: a.__setitem__(0, n),
        lambda n: a.__setitem__(slice(None), [n, n]),
    ]
    for store in stores:
        with pytest.raises(error):
            store(Index(error))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, LookupError])
@pytest.mark.parametrize("dtype", [np.int16, np.uint64, np.float32])
def test_an_element(dtype: Any, error: type[BaseException]) -> None:
    a: Any = cy.Array(dtype, 2)
    for index in (0, slice(None)):
        with pytest.raises(error):
            a[index] = [Index(error)] * 2 if index else Index(error)
    with pytest.raises(error):
        cy.Value(int).set(Index(error))  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, LookupError])
def test_an_index(error: type[BaseException]) -> None:
    x: Any = cy.List([1, 2])
    a: Any = cy.Array("i", 3)
    index = Index(error)
    uses: list[Callable[[], object]] = [
        lambda: x[index],
        lambda: x[index:],
        lambda: x.pop(index),
        lambda: x.insert(index, 1),
        lambda: x.__setitem__(index, 1),
        lambda: x.__delitem__(index),
        lambda: a[index],
        lambda: a[:index],
        lambda: a.__setitem__(index, 1),
    ]
    for use in uses:
        with pytest.raises(error):
            use()
    assert (x.copy(), a[:]) == ([1, 2], [0, 0, 0])


if sys.version_info >= (3, 12):  # where classes have __buffer__

    def test_a_buffer() -> None:
        class Buffer(list[int]):
            def __buffer__(self, flags: int) -> memoryview:
                raise KeyboardInterrupt

        a: Any = cy.Array("i", 2)
        with pytest.raises(KeyboardInterrupt):
            a[:] = Buffer([1, 2])
        assert a[:] == [0, 0]


def interrupted(work: Callable[[], object]) -> None:
    """Have Ctrl-C come 0.2 seconds from now, while ``work`` runs."""
    main = threading.get_ident()
    timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    timer.join()


class Slow:
    def __reduce__(self) -> Any:
        time.sleep(5)
        return (int, ())


def test_ctrl_c_while_an_item_is_pickled() -> None:
    q: Any = cy.Queue()
    interrupted(lambda: q.put(Slow()))
    assert q.empty()
    full: Any = cy.Queue(maxsize=1)
    full.put(1)
    interrupted(lambda: full.put(Slow()))
    assert full.qsize() == 1
    d: Any = cy.Dict()
    interrupted(lambda: d.__setitem__(Slow(), 1))
    assert not d
