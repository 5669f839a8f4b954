"""A full space can always be emptied, by whichever process, and what is free is used."""

import itertools
import multiprocessing
import os
import pickle
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, join, start

CLASSES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue]
SIZES = (60_000, 30_000, 9000, 5000, 3000, 2000, 1000, 500, 250, 180, 120, 90, 70, 40, 20, 9)


def filled(cls: Any, space: cy.Space, size: int) -> Any:
    """Make a queue that has filled the space."""
    q = cls.named("q", space=space)
    with suppress(Full):
        for number in itertools.count():
            q.put((number, "z" * size), timeout=0)
    return q


def fill(space: cy.Space) -> None:
    """Take what is left, to the last byte that may be taken."""
    rows = cy.List.named("rows", [0] * 10_000, space=space)
    at = rows.index(0)
    for size in SIZES:
        with suppress(cy.SpaceFull):
            while True:
                rows[at] = b"x" * size
                at += 1


def in_child(work: Callable[[], object]) -> None:
    _, status = os.waitpid(fork(work), 0)
    assert os.waitstatus_to_exitcode(status) == 0


def take(q: Any) -> None:
    """Take items in every way there is."""
    before = q.qsize()
    q.get_nowait()
    with q.lease(timeout=0):
        pass
    lease = q.lease(timeout=0)
    with lease:
        lease.requeue()
    with suppress(ValueError), q.lease(timeout=0):
        raise ValueError
    assert len(q.get_many(2)) == 2
    assert q.qsize() == before - 4


@pytest.mark.parametrize("size", [1, 100, 700, 1500, 2000, 3000, 5000, 9000, 20_000])
@pytest.mark.parametrize("cls", CLASSES)
def test_what_a_queue_filled_can_be_taken(cls: Any, size: int) -> None:
    with cy.Space(size_limit=2 << 20) as space:
        q = filled(cls, space, size)
        in_child(lambda: take(q))
        take(q)
        in_child(q.clear)
        assert (q.qsize(), q.unfinished_tasks) == (0, 3)
        filled(cls, space, size)
        assert q.clear() > 0
        space.check()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_new_process_empties_it(cls: Any, method: str) -> None:
    with cy.Space(size_limit=1 << 20) as space:
        q = filled(cls, space, 2500)
        context = multiprocessing.get_context(method)
        join(start(context, take, q))
        space.check()


@pytest.mark.parametrize("size", [1, 100, 500, 1000, 3000])
def test_every_item_is_requeued_in_a_full_space(size: int) -> None:
    with cy.Space(size_limit=1 << 20) as space:
        q = filled(cy.Queue, space, size)
        items, done = q.qsize(), set()
        with suppress(Empty):
            while True:
                lease = q.lease(timeout=0)
                with lease as item:
                    if lease.attempts == 1:
                        lease.requeue()
                    else:
                        done.add(item[0])
        assert done == set(range(items))
        assert (q.qsize(), q.unfinished_tasks) == (0, 0)
        space.check()


def test_what_is_requeued_for_later_is_waited_for() -> None:
    with cy.Space(size_limit=1 << 20) as space:
        q = filled(cy.Queue, space, 100)
        items, done, later = q.qsize(), set(), 0
        with suppress(Empty):
            while True:
                lease = q.lease(timeout=1)
                with lease as item:
                    if lease.attempts == 1 and later < 2000:
                        later += 1
                        lease.requeue(0.02)
                    else:
                        done.add(item[0])
        assert done == set(range(items)) and later > 100


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cls", CLASSES)
def test_workers_that_lease_and_die_empty_it(cls: Any, seed: int) -> None:
    """What one process frees is free for all: none keeps blocks at hand."""
    chance = random.Random(seed)
    with cy.Space(size_limit=2 << 20) as space, cy.Space() as beside:
        q, done = cls.named("q", space=space), beside.Queue()
        with suppress(Full):
            for number in itertools.count():
                length = chance.choice([0, 1, 10, 100, 500, 3000, 30_000])
                q.put((chance.randrange(1000), number, "z" * length), timeout=0)
        items = q.qsize()

        def work(kills: bool) -> None:
            chance = random.Random(os.getpid())
            with suppress(Empty):
                while True:
                    lease = q.lease(timeout=1)
                    with lease as item:
                        if chance.random() < 0.05:
                            lease.requeue(0.001)
                            continue
                        if kills and chance.random() < 0.05:
                            os.kill(os.getpid(), signal.SIGKILL)
                        done.put(item[1])

        children = {fork(work, True) for _ in range(5)}
        while children:
            pid, status = os.wait()
            children.discard(pid)
            code = os.waitstatus_to_exitcode(status)
            assert code in (0, -signal.SIGKILL)
            if code:
                children.add(fork(work, True))
        assert set(done.get_many(10 * items, 0)) == set(range(items))
        assert (q.qsize(), q.unfinished_tasks) == (0, 0)
        space.check()


def changes(space: cy.Space) -> dict[str, Callable[[], object]]:
    """Return what makes room, or holds what is there, of every type."""
    named: Any = lambda cls, *args: cls.named(cls.__name__, *args, space=space)  # noqa: E731
    texts = ["v" * (number * 7 % 3000) for number in range(200)]
    d = named(cy.Dict, dict(enumerate(texts)))
    x, q = named(cy.List, texts), named(cy.Deque, texts)
    s = named(cy.Set, [text[:300] + str(number) for number, text in enumerate(texts)])
    c = named(cy.Counter, dict.fromkeys(range(200), 3))
    n = named(cy.NestedDict, {"a": {str(number): {"x": ["y"]} for number in range(20)}})
    ns = named(cy.Namespace)
    ns.gone = "v" * 500
    first = cy.Value.named("value", object, "x" * 2000, space=space)
    locks = [named(cls) for cls in (cy.Lock, cy.RLock, cy.Condition)]
    semaphore = cy.Semaphore.named("semaphore", 3, space=space)
    barrier = cy.Barrier.named("barrier", 1, space=space)
    event = named(cy.Event)

    def hold() -> None:
        for lock in [*locks, semaphore]:
            with lock:
                pass

    def wait() -> None:
        with locks[2]:
            locks[2].wait(0.01)
            locks[2].notify_all()
        barrier.wait(1)
        event.set()
        event.wait(1)

    def delete(container: Any, key: Any) -> Callable[[], None]:
        return lambda: container.__delitem__(key)

    return {
        "hold": hold,
        "wait": wait,
        "none": lambda: d.__setitem__(1, None),
        "number": lambda: d.__setitem__(150, 7),
        "value": lambda: first.set(0),
        "del d": delete(d, 7),
        "pop d": lambda: d.pop(8),
        "popitem d": lambda: d.popitem(),
        "pop many d": lambda: [d.pop(key) for key in range(20, 100)],
        "increment c": lambda: c.increment(1),
        "del c": delete(c, 5),
        "c -=": lambda: c.__isub__({10: 3}),
        "pop x": lambda: x.pop(),
        "pop x, first": lambda: x.pop(0),
        "pop x, middle": lambda: x.pop(90),
        "del x, slice": delete(x, slice(10, 50)),
        "del x, step": delete(x, slice(0, 100, 3)),
        "remove x": lambda: x.remove(x[5]),
        "reverse x": lambda: x.reverse(),
        "sort x": lambda: x.sort(),
        "popleft q": lambda: q.popleft(),
        "pop q": lambda: q.pop(),
        "rotate q": lambda: q.rotate(3),
        "del q": delete(q, 50),
        "pop s": lambda: s.pop(),
        "discard s": lambda: s.discard("0"),
        "s -=": lambda: s.difference_update(list(s)[:100]),
        "del n": delete(n["a"], "3"),
        "pop n": lambda: n["a"].pop("4"),
        "del n, inside": delete(n["a"]["5"], "x"),
        "del ns": lambda: delattr(ns, "gone"),
        "pickle": lambda: pickle.loads(pickle.dumps(d)),
        "handles": lambda: [cy.Dict.named("Dict", space=space) for _ in range(600)],
        "statistics": lambda: (space.statistics(), d.statistics()),
        "check": space.check,
        "clear": lambda: [container.clear() for container in (c, s, n, q, x, d)],
        "del name": delete(space, "Dict"),
    }


@pytest.mark.parametrize("again", [False, True], ids=["once", "filled again before each"])
def test_all_that_makes_room_works_in_a_full_space(again: bool) -> None:
    with cy.Space(size_limit=3 << 20) as space:
        every = changes(space)
        fill(space)
        for name, change in every.items():
            if again:
                fill(space)
            try:
                change()
            except cy.SpaceFull as error:
                pytest.fail(f"{name}: {error}")
        space.check()


def test_all_that_makes_room_works_in_a_process_that_has_just_come(title: str) -> None:
    space = cy.Space(title, size_limit=3 << 20)
    changes(space)
    fill(space)

    def work() -> None:
        for name, change in changes(cy.Space(title)).items():
            try:
                change()
            except cy.SpaceFull as error:
                pytest.fail(f"{name}: {error}")

    in_child(work)
    space.check()
    space.destroy()


def test_filled_and_emptied_in_turn_it_never_gets_stuck() -> None:
    """What is freed fills the reserve first, so that it is there the next time."""
    chance = random.Random(3)
    with cy.Space(size_limit=1 << 20) as space:
        queues = [cls.named(cls.__name__, space=space) for cls in CLASSES]
        rows = cy.List.named("rows", [0] * 10_000, space=space)
        for _ in range(20):
            for _ in range(700):
                with suppress(Full, cy.SpaceFull):
                    size = int(10 ** chance.uniform(0, 4))
                    chance.choice(queues).put("z" * size, timeout=0)
            fill(space)
            for q in queues:
                for _ in range(chance.randrange(40)):
                    with suppress(Empty):
                        lease = q.lease(timeout=0)
                        with lease:
                            if chance.random() < 0.5:
                                lease.requeue()
                with suppress(Empty):
                    q.get_nowait()
            chance.choice(queues).clear()
            for at in range(rows.index(0)):
                rows[at] = 0
        space.check()


@pytest.mark.parametrize("size", [5000, 7000, 10_000])
@pytest.mark.parametrize("cls", CLASSES)
def test_no_quarter_of_a_space_stays_free(cls: Any, size: int) -> None:
    """Where there is no room for a whole chunk of a class, a smaller one is taken."""
    with cy.Space(size_limit=2 << 20) as space:
        other = space.dict({1: "x" * 200_000})
        q = filled(cls, space, size)
        before = q.qsize()
        other.clear()
        filled(cls, space, size)
        assert (q.qsize() - before) * size > 130_000
        # Free, or at hand, are the reserve and parts of chunks.
        assert q.qsize() * size > (2 << 20) * 0.7
        space.check()
