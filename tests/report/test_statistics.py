"""What objects say of themselves: what they take, who uses, holds and awaits them, how often."""

import dataclasses
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any

import pytest

import courtyard as cy
from courtyard import _report
from courtyard._statistics import ObjectFigures
from tests.object.test_sharing import eventually
from tests.support.children import fork, kill


@pytest.fixture
def space() -> Iterator[cy.Space]:
    """Give a space of this test's own."""
    space = cy.Space()
    yield space
    space.check()


TYPES: dict[str, tuple[Callable[[cy.Space], Any], int | None, str]] = {
    "Value": (lambda s: s.Value("i", 3), None, "Value(i)"),
    "object": (lambda s: s.Value(object, [1, 2]), None, "Value(object)"),
    "RawValue": (lambda s: s.Value("d", lock=False), None, "RawValue(d)"),
    "Array": (lambda s: s.Array("d", 6), 6, "Array(d, 6)"),
    "shaped": (lambda s: s.named("shaped", cy.Array, "d", shape=(2, 3)), 6, "Array(d, (2, 3))"),
    "Lock": (lambda s: s.Lock(), None, "Lock"),
    "RLock": (lambda s: s.RLock(), None, "RLock"),
    "Semaphore": (lambda s: s.Semaphore(4), None, "Semaphore"),
    "BoundedSemaphore": (lambda s: s.BoundedSemaphore(4), None, "BoundedSemaphore"),
    "Condition": (lambda s: s.Condition(), None, "Condition"),
    "Event": (lambda s: s.Event(), None, "Event"),
    "Barrier": (lambda s: s.Barrier(2), None, "Barrier"),
    "Queue": (lambda s: filled(s.Queue(9)), 3, "Queue"),
    "JoinableQueue": (lambda s: filled(s.JoinableQueue()), 3, "JoinableQueue"),
    "LifoQueue": (lambda s: filled(s.named("lifo", cy.LifoQueue)), 3, "LifoQueue"),
    "PriorityQueue": (lambda s: filled(s.named("least", cy.PriorityQueue)), 3, "PriorityQueue"),
    "SimpleQueue": (lambda s: filled(s.named("simple", cy.SimpleQueue)), 3, "SimpleQueue"),
    "Dict": (lambda s: s.dict({"a": 1, "b": 2}), 2, "Dict"),
    "NestedDict": (lambda s: s.named("nested", cy.NestedDict, {"a": {"b": 1}}), 1, "NestedDict"),
    "Set": (lambda s: s.named("set", cy.Set, "abc"), 3, "Set"),
    "Counter": (lambda s: s.named("counter", cy.Counter, "aab"), 2, "Counter"),
    "Namespace": (lambda s: s.Namespace(x=1, statistics=2), 2, "Namespace"),
    "List": (lambda s: s.list([1, 2, 3, 4]), 4, "List"),
    "Deque": (lambda s: s.named("deque", cy.Deque, [1, 2]), 2, "Deque"),
}


def filled(queue: Any) -> Any:
    queue.put_many([3, 1, 2])
    return queue


@pytest.mark.parametrize("name", TYPES)
def test_of_every_type(space: cy.Space, name: str) -> None:
    make, entries, title = TYPES[name]
    obj = make(space)
    found = cy.statistics(obj)
    assert (found.type, found.entries, found.name) == (title, entries, cy.name(obj))
    assert found.nbytes >= 64 and found.blocks >= 1 and found.version == cy.version(obj)
    assert found.references == (1 if found.name is None else 2)
    assert found.participants == (os.getpid(),)
    assert (found.holder, found.holdings, found.waiters, found.contention) == (None, (), (), 0)
    assert found.space == space.statistics()
    assert found.space.used >= found.nbytes
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.contention = 1  # type: ignore[misc]
    cy.close(obj)
    with pytest.raises(cy.Closed):
        cy.statistics(obj)


def test_the_bytes_are_those_of_all_blocks(space: cy.Space) -> None:
    kept = space.Value("i")
    used = space.statistics().used
    another = space.Value("i")
    assert another.statistics().nbytes == kept.statistics().nbytes == space.statistics().used - used
    array = space.Array("d", 100_000)
    assert 800_000 <= array.statistics().nbytes < 900_000
    d = space.dict()
    before, used = d.statistics(), space.statistics().used
    d["large"] = b"x" * 500_000
    after = d.statistics()
    assert after.blocks > before.blocks and after.entries == 1
    assert after.nbytes - before.nbytes == space.statistics().used - used >= 500_000
    del d["large"]
    assert d.statistics().nbytes < 500_000
    everything = [d.statistics(), array.statistics()]
    assert sum(found.nbytes for found in everything) < space.statistics().used


def test_figures_need_no_walk_of_the_space(space: cy.Space) -> None:
    lone, crowd = space.Value("i"), space.dict()
    crowd.update(dict.fromkeys(range(60_000), 0))

    def least(call: Callable[[], Any]) -> float:
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
        return min(times)

    walk = least(space.check)
    assert least(lone.statistics) < walk / 10
    assert least(space.statistics) < walk / 10


def test_survey_and_statistics_say_the_same(space: cy.Space) -> None:
    made: list[Any] = [
        space.named("d", cy.Dict, {"a": 1}),
        space.named("q", cy.Queue),
        space.Semaphore(3),
    ]
    made[1].put(1)
    made[1].get()
    made[2].acquire()
    by_key = {info.key: info for info in _report.survey(space).objects}
    assert len(by_key) == len(made)
    for obj in made:
        found, info = obj.statistics(), by_key[obj._identity()[1:]]
        for field in dataclasses.fields(ObjectFigures):
            assert getattr(found, field.name) == getattr(info, field.name), field.name


def hold(value: Any, lock: Any, semaphore: Any, queue: Any, ready: Any) -> None:
    lock.acquire()
    semaphore.acquire()
    queue.get()
    with value.get_lock():
        ready.set()
        time.sleep(60)


def test_who_holds_and_who_waits(space: cy.Space) -> None:
    value, lock, semaphore = space.Value("i"), space.Lock(), space.BoundedSemaphore(1)
    queue, ready = space.Queue(), space.Event()
    queue.put("work")
    child = fork(hold, value, lock, semaphore, queue, ready)
    assert ready.wait(30)
    both = tuple(sorted((os.getpid(), child)))
    found = value.statistics()
    assert found.participants == both and found.references == 2
    assert found.holder is not None and found.holder.thread is not None
    expected = cy.Holder(child, found.holder.thread, True, None, None, False)
    assert found.holder == expected, "nobody has been waiting"
    assert lock.statistics().holder == cy.Holder(child, None, True, None, None, False)
    (permit,) = semaphore.statistics().holdings
    assert (permit.pid, permit.what, permit.amount) == (child, "permits", 1)
    (taken,) = queue.statistics().holdings
    assert (taken.pid, taken.what, taken.amount) == (child, "items taken", 1)
    waits: list[Any] = [value.increment, lock.acquire, semaphore.acquire, queue.get]
    threads = [threading.Thread(target=wait, daemon=True) for wait in waits]
    for thread in threads:
        thread.start()
    awaited: list[Any] = [value, lock, semaphore, queue]
    assert eventually(lambda: all(obj.statistics().waiters for obj in awaited))
    for obj in awaited:
        found = obj.statistics()
        assert found.contention >= 1
        (waiter,) = found.waiters
        assert waiter.pid == os.getpid() and 0.1 <= waiter.seconds < 30
        assert waiter.name in {thread.name for thread in threads} and not waiter.is_task
        assert waiter.thread is not None
    held = value.statistics().holder
    assert held is not None and held.seconds is not None and 0.1 <= held.seconds < 30
    assert repr(held).startswith("Holder(") and type(held).__module__ == "courtyard"
    kill(child)
    queue.put("more")
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    found = value.statistics()
    assert (found.holder, found.waiters, found.participants) == (None, (), (os.getpid(),))
    assert found.contention >= 1, "it is counted for good"
    mine = lock.statistics().holder
    assert mine is not None and (mine.pid, mine.alive) == (os.getpid(), True)


def test_a_killed_holder_is_gone(space: cy.Space) -> None:
    value, lock, semaphore = space.Value("i"), space.Lock(), space.Semaphore(1)
    queue, ready = space.Queue(), space.Event()
    queue.put("work")
    child = fork(hold, value, lock, semaphore, queue, ready)
    assert ready.wait(30)
    kill(child)
    for obj in (value, lock, semaphore, queue):
        found = obj.statistics()
        assert (found.holder, found.holdings, found.participants) == (None, (), (os.getpid(),))


def waited(obj: Any) -> int:
    return int(cy.statistics(obj).contention)


def release_later(obj: Any, ready: Any, seconds: float) -> None:
    with obj.get_lock() if hasattr(obj, "get_lock") else obj:
        ready.set()
        time.sleep(seconds)


@pytest.mark.parametrize(
    ("make", "wait"),
    [
        (lambda s: s.Lock(), lambda lock: lock.acquire()),
        (lambda s: s.RLock(), lambda lock: lock.acquire()),
        (lambda s: s.Semaphore(1), lambda semaphore: semaphore.acquire()),
        (lambda s: s.Value("i"), lambda value: value.increment()),
        (lambda s: s.Value("i"), lambda value: value.get_lock().acquire()),
        (lambda s: s.Value(object), lambda value: value.set([1])),
        (lambda s: s.Array("i", 3), lambda array: array.__setitem__(0, 1)),
        (lambda s: s.Array("i", 3), lambda array: array.__setitem__(slice(0, 2), [1, 2])),
        (lambda s: s.dict(), lambda d: d.__setitem__("a", 1)),
        (lambda s: s.dict(), lambda d: d.update(a=1, b=2)),
        (lambda s: s.list([1]), lambda x: x.append(2)),
        (lambda s: s.list([2, 1]), lambda x: x.sort()),
    ],
)
def test_a_wait_for_a_lock_is_counted_once(space: cy.Space, make: Any, wait: Any) -> None:
    obj, other, ready = make(space), space.Lock(), space.Event()
    child = fork(release_later, obj, ready, 0.5)
    assert ready.wait(30)
    assert waited(obj) == 0
    wait(obj)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # It slept five slices, each of a tenth of a second, for one lock.
    assert 1 <= waited(obj) <= 3
    assert waited(other) == 0


def after(seconds: float, action: Callable[[], object]) -> None:
    time.sleep(seconds)
    action()


@pytest.mark.parametrize(
    ("make", "wait", "wake"),
    [
        (lambda s: s.Queue(), lambda q: q.get(), lambda q: q.put(1)),
        (lambda s: filled(s.Queue(3)), lambda q: q.put(4), lambda q: q.get()),
        (lambda s: s.Event(), lambda e: e.wait(), lambda e: e.set()),
        (lambda s: s.Semaphore(0), lambda x: x.acquire(), lambda x: x.release()),
        (lambda s: s.Barrier(2), lambda b: b.wait(), lambda b: b.wait()),
        (lambda s: s.Value("i"), lambda v: v.wait_for(7, 30), lambda v: v.set(7)),
        (
            lambda s: s.Array("i", 1),
            lambda a: a.wait_for([7], 30),
            lambda a: a.__setitem__(0, 7),
        ),
        (
            lambda s: s.dict(),
            lambda d: d.wait_for(lambda d: "a" in d, 30),
            lambda d: d.setdefault("a", 1),
        ),
    ],
)
def test_a_wait_for_a_change_is_counted(space: cy.Space, make: Any, wait: Any, wake: Any) -> None:
    obj = make(space)
    assert waited(obj) == 0
    child = fork(after, 0.4, lambda: wake(obj))
    wait(obj)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert 1 <= waited(obj) <= 3


def notify(condition: Any) -> None:
    time.sleep(0.3)
    with condition:
        condition.notify()


def test_a_condition(space: cy.Space) -> None:
    condition = space.Condition()
    child = fork(notify, condition)
    with condition:
        assert condition.wait(30)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert 1 <= waited(condition) <= 3


def test_places_in_the_line_of_a_condition(space: cy.Space) -> None:
    condition = space.Condition()

    def wait() -> None:
        with condition:
            condition.wait(60)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    while sum(held.amount for held in condition.statistics().holdings) < 3:
        time.sleep(0.001)
    (held,) = condition.statistics().holdings
    assert (held.pid, held.what, held.amount) == (os.getpid(), "places in line", 3)
    with condition:
        condition.notify_all()
    for thread in threads:
        thread.join()
    assert not condition.statistics().holdings


def test_what_does_not_wait_counts_nothing(space: cy.Space) -> None:
    value, lock, queue, d = space.Value("i"), space.Lock(), space.Queue(), space.dict()
    event, x = space.Event(), space.list()
    event.set()
    for number in range(1000):
        value.increment()
        with lock:
            d[number % 10] = number
        queue.put(number)
        queue.get()
        x.append(number)
        assert event.wait() and not lock.locked()
    with lock:
        assert not lock.acquire(blocking=False)
    with pytest.raises(Empty):
        queue.get_nowait()
    for obj in (value, lock, queue, d, event, x):
        assert waited(obj) == 0


def add(value: Any, times: int) -> None:
    for _ in range(times):
        value.increment()


def test_counting_beside_check(space: cy.Space) -> None:
    """The count is no part of what check() compares, and a row used again begins at 0."""
    value, lock = space.Value("i"), space.Lock()
    children = [fork(add, value, 20_000) for _ in range(3)]
    for _ in range(30):
        space.check()
        assert value.statistics().version >= 0
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert value.value == 60_000
    ready = space.Event()
    child = fork(release_later, lock, ready, 0.3)
    assert ready.wait(30) and lock.acquire()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert waited(lock) >= 1
    lock.close()
    for _ in range(5):
        again = space.Lock()
        assert waited(again) == 0
        again.close()


def test_figures_of_what_others_change(space: cy.Space) -> None:
    queue, ready = space.Queue(), space.Event()
    queue.put_many(range(2000))
    least = queue.statistics().nbytes

    def change() -> None:
        ready.set()
        while True:
            queue.put_many(range(500))
            queue.get_many(500)

    children = [fork(change), fork(change)]
    assert ready.wait(10)
    figures = [queue.statistics().nbytes for _ in range(10_000)]
    for child in children:
        kill(child)
    assert min(figures) >= least


def test_nobody_waits_while_objects_are_counted(space: cy.Space) -> None:
    many = [space.dict(dict.fromkeys(range(2000), 0)) for _ in range(100)]
    counted = space.Value(int, 0)
    begin = time.perf_counter()
    _report.survey(space)
    whole = time.perf_counter() - begin

    def count() -> None:
        while True:
            _report.survey(space)
            counted.increment()

    child = fork(count)
    times, made = [], []
    for _ in range(20):
        before = counted.value
        assert counted.wait_for(lambda number, before=before: number > before, 20)
        time.sleep(whole / 10)  # the next one is under way
        begin = time.perf_counter()
        made.append(space.Value(object, b"x" * 100_000))  # takes locks that a count takes, too
        times.append(time.perf_counter() - begin)
    kill(child)
    assert statistics.median(times) < whole / 5, (times, whole)
    assert {len(d) for d in many} == {2000}
