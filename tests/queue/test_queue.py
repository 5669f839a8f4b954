"""Queues: as queue.Queue and multiprocessing.Queue, with leases, and past the death of any user."""

import gc
import mmap
import multiprocessing
import multiprocessing.queues
import os
import pickle
import queue
import resource
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork

KINDS = [cy.Queue, cy.LifoQueue, cy.PriorityQueue]


def drained(q: Any) -> list[Any]:
    items = []
    while not q.empty():
        items.append(q.get_nowait())
    return items


@pytest.mark.parametrize(
    "item",
    [
        None,
        True,
        7,
        -(1 << 200),
        2.5,
        "",
        "a" * 100,
        "é" * 3000,
        b"x" * 4096,
        b"x" * 4097,
        b"x" * 1_000_000,
        (1, [2, {"three": {4, 5}}]),
        Exception("pickled"),
    ],
    ids=lambda item: f"{type(item).__name__}-{len(repr(item))}",
)
@pytest.mark.parametrize("kind", [cy.Queue, cy.LifoQueue, cy.SimpleQueue, cy.JoinableQueue])
def test_items_of_any_kind(kind: Any, item: Any) -> None:
    q = kind()
    q.put(item)
    assert (q.qsize(), q.empty()) == (1, False)
    got = q.get()
    assert type(got) is type(item)
    assert got == item or repr(got) == repr(item)
    assert (q.qsize(), q.empty()) == (0, True)


def test_the_order_of_each_kind() -> None:
    items = [3, 1, 4, 1, 5, 9, 2, 6]
    for kind, expected in zip(KINDS, [items, items[::-1], sorted(items)], strict=True):
        q = kind()
        q.put_many(items)
        assert q.get_many(100) == expected


def test_names_as_the_standard_classes_have_them() -> None:
    for name in (set(dir(queue.Queue)) | set(dir(multiprocessing.queues.Queue))) - set(dir(object)):
        if not name.startswith("_"):
            assert hasattr(cy.Queue, name), name


def test_full_and_empty() -> None:
    q: Any = cy.Queue(maxsize=2)
    q.put(1)
    q.put_nowait(2)
    assert (q.full(), q.qsize(), q.maxsize) == (True, 2, 2)
    refusals: list[Any] = [
        lambda: q.put_nowait(3),
        lambda: q.put(3, False),
        lambda: q.put(3, timeout=0.01),
        lambda: q.put(b"x" * 10_000, timeout=0.01),
    ]
    for refused in refusals:
        with pytest.raises(queue.Full):
            refused()
    assert drained(q) == [1, 2]
    for empty in (q.get_nowait, lambda: q.get(False), lambda: q.get(timeout=0.01)):
        with pytest.raises(queue.Empty):
            empty()
    with pytest.raises(ValueError, match="non-negative"):
        q.put(1, timeout=-1)
    with pytest.raises(ValueError, match="non-negative"):
        q.get(timeout=-1)
    assert q.qsize() == 0


def test_a_size_that_changes() -> None:
    q = cy.Queue(1)
    q.put(1)
    q.maxsize = 2
    q.put(2)
    q.maxsize = 1
    assert q.full()
    q.get()
    assert q.full()
    q.maxsize = 0
    q.put_many(range(100))
    assert q.qsize() == 101


def test_what_cannot_be_pickled_changes_nothing() -> None:
    for kind in (cy.Queue, cy.LifoQueue, cy.PriorityQueue):
        q = kind()
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            q.put(lambda: None)
        assert (q.qsize(), q.unfinished_tasks) == (0, 0)
        q.check()


def test_what_cannot_be_compared_changes_nothing() -> None:
    q: Any = cy.PriorityQueue()
    q.put_many([3, 1])
    with pytest.raises(TypeError, match="not supported"):
        q.put("text")
    assert q.get_many(9) == [1, 3]
    q.check()


class Meddler:
    """An item whose comparison uses the queue that it is in."""

    queue: Any = None

    def __lt__(self, other: object) -> bool:
        Meddler.queue.put(1)
        return False

    def __reduce__(self) -> Any:
        return Meddler, ()


def test_a_comparison_that_uses_its_queue_is_refused() -> None:
    q = Meddler.queue = cy.PriorityQueue()
    q.put(Meddler())
    with pytest.raises(RuntimeError, match="comparison"):
        q.put(Meddler())
    assert q.qsize() == 1
    Meddler.queue = None


def test_who_waits_for_a_queue_is_woken_when_an_item_is_done() -> None:
    """At once, not at the next look that a waiter takes by itself, half a second later."""
    q: cy.Queue[int] = cy.Queue()
    told, waits = [0.0], []

    def finish() -> None:
        told[0] = time.monotonic()
        q.task_done()

    for number in range(5):
        q.put(number)
        q.get()
        done = threading.Timer(0.3, finish)
        done.start()
        assert q.wait_for(lambda q: q.unfinished_tasks == 0, 20)
        waits.append(time.monotonic() - told[0])
        done.join()
    assert min(waits) < 0.2, waits


@pytest.mark.parametrize("kind", KINDS)
def test_task_done_and_join(kind: Any) -> None:
    q = kind()
    q.put_many(range(5))
    assert q.unfinished_tasks == 5
    q.get_many(5)
    joined = threading.Thread(target=q.join)
    joined.start()
    for _ in range(5):
        assert joined.is_alive()
        q.task_done()
    joined.join(10)
    assert not joined.is_alive()
    with pytest.raises(ValueError, match="too many times"):
        q.task_done()


@pytest.mark.parametrize("kind", KINDS)
def test_shutdown(kind: Any) -> None:
    q = kind()
    q.put_many([1, 2])
    q.shutdown()
    assert q.is_shutdown
    with pytest.raises(cy.ShutDown):
        q.put(3)
    assert sorted(q.get_many(2)) == [1, 2]
    with pytest.raises(cy.ShutDown):
        q.get()
    with pytest.raises(cy.ShutDown):
        q.get_nowait()
    q = kind()
    q.put_many([1, b"x" * 10_000 if kind is not cy.PriorityQueue else 2])
    q.shutdown(immediate=True)
    assert (q.qsize(), q.unfinished_tasks) == (0, 0)
    q.join()


def raised_by(wait: Any, raised: list[BaseException]) -> None:
    try:
        wait()
    except BaseException as error:
        raised.append(error)


def test_shutdown_wakes_who_waits() -> None:
    empty, full = cy.Queue(), cy.Queue()
    full.put(1)
    waits: list[Any] = [(empty, empty.get, [cy.ShutDown]), (full, full.join, [])]
    for q, wait, expected in waits:
        raised: list[BaseException] = []
        thread = threading.Thread(target=raised_by, args=(wait, raised))
        thread.start()
        time.sleep(0.05)
        q.shutdown(immediate=True)
        thread.join(10)
        assert not thread.is_alive()
        assert [type(error) for error in raised] == expected


def test_closed() -> None:
    q = cy.Queue()
    q.close()
    q.close()
    for use in (q.get_nowait, lambda: q.put(1), q.qsize, q.join, lambda: q.lease().__enter__()):
        with pytest.raises(cy.Closed, match="is closed"):
            use()
    assert repr(q).endswith("closed>")


@pytest.mark.parametrize("kind", KINDS)
def test_a_lease(kind: Any) -> None:
    q = kind()
    q.put_many([1, 2])
    first = {cy.Queue: 1, cy.LifoQueue: 2, cy.PriorityQueue: 1}[kind]
    with pytest.raises(KeyError), q.lease() as item:
        assert (item, q.qsize(), q.unfinished_tasks) == (first, 1, 2)
        raise KeyError
    assert q.qsize() == 2
    with q.lease(timeout=1) as item:
        assert item == first  # it came back, first in line
    assert (q.qsize(), q.unfinished_tasks) == (1, 1)
    q.get()
    with pytest.raises(queue.Empty), q.lease(False):
        pass
    lease = q.lease(timeout=0.01)
    with pytest.raises(queue.Empty):
        lease.__enter__()
    with pytest.raises(RuntimeError, match="once"):
        lease.__enter__()
    q.check()


def test_leased_items_count_towards_maxsize() -> None:
    q = cy.Queue(1)
    q.put(1)
    with q.lease():
        assert q.full()
        with pytest.raises(queue.Full):
            q.put_nowait(2)
    q.put_nowait(2)


def test_a_lease_thrown_away_gives_its_item_back() -> None:
    q = cy.Queue()
    q.put("work")
    lease = q.lease()
    lease.__enter__()
    assert q.qsize() == 0
    del lease
    gc.collect()
    assert q.get_nowait() == "work"


@pytest.mark.usefixtures("own_home")
def test_many_pages_come_and_go() -> None:
    q = cy.Queue()
    used = q.statistics().space.used
    for _ in range(3):
        q.put_many(range(100_000))
        assert q.qsize() == 100_000
        assert q.get_many(100_000) == list(range(100_000))
    for _ in range(20):  # goes on through the pages, those too many go
        q.put_many(range(1000))
        assert q.get_many(1000) == list(range(1000))
    assert q.statistics().space.used < used + 200_000
    q.check()


def test_a_warm_queue_takes_no_more_memory() -> None:
    q = cy.Queue()
    sizes = set()
    for turn in range(50):
        for _ in range(100):
            q.put(b"x" * 1000)
        drained(q)
        if turn > 10:
            sizes.add(q.statistics().space.size)
    assert len(sizes) == 1


def test_a_warm_queue_touches_no_fresh_page() -> None:
    """The kernel counts the pages that a process touches first."""
    q = cy.Queue()
    items: list[Any] = [7, b"x" * 100, {"a": [1, 2.5]}, b"x" * 3000, b"x" * 20_000]

    def touched(work: Callable[[], object]) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        work()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    def turn(rounds: int) -> None:
        for _ in range(rounds):
            for item in items:
                q.put(item)
            for item in items:
                assert q.get() == item

    assert touched(lambda: mmap.mmap(-1, 4096).write(b"x")) > 0  # so they are counted
    turn(200)
    # 2000 rounds move 50 MB, some 12,000 pages; the interpreter itself may touch a few.
    assert touched(lambda: turn(2000)) < 100


def words(count: int) -> list[Any]:
    kinds: list[Any] = [None, True, 5, -1, "short", b"bytes", 2.5, "a longer text than a word", []]
    return [kinds[number % len(kinds)] for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000, 3000])
def test_batches_of_mixed_items(count: int) -> None:
    q = cy.Queue()
    numbers, mixed = list(range(count)), words(count)
    q.put_many(numbers)
    q.put_many(tuple(mixed))
    q.put_many(number for number in numbers)
    expected = [*numbers, *mixed, *numbers]
    got: list[Any] = []
    while len(got) < len(expected):
        more = q.get_many(100)
        assert 0 < len(more) <= 100
        got += more
    assert got == expected and list(map(type, got)) == list(map(type, expected))
    assert q.unfinished_tasks == len(expected)
    q.check()


def test_a_batch_waits_for_room_and_puts_what_it_can() -> None:
    q = cy.Queue(10)
    with pytest.raises(queue.Full):
        q.put_many(list(range(20)), timeout=0.01)
    assert q.qsize() == 10
    thread = threading.Thread(target=q.put_many, args=(list(range(10, 200)),))
    thread.start()
    got: list[int] = []
    while len(got) < 200:
        got += q.get_many(7, timeout=20)
        assert q.qsize() <= 10
    thread.join(10)
    assert got == list(range(200))
    lazy = iter(int, 1)  # without end: each item is there as soon as it is made
    with pytest.raises(queue.Full):
        q.put_many(lazy, False)
    assert q.qsize() == 10


def test_a_batch_of_less_than_none_is_refused() -> None:
    q = cy.Queue()
    assert q.get_many(0) == []
    with pytest.raises(ValueError, match="expected 0 items or more, found max=-1"):
        q.get_many(-1)


@pytest.mark.usefixtures("own_home")
def test_items_go_with_their_queue() -> None:
    keep = cy.Value("i")
    before = keep.statistics().space
    for kind in KINDS:
        q = kind()
        q.put_many([(turn, b"x" * (turn * 500)) for turn in range(40)])
        del q
    after = keep.statistics().space
    assert (after.objects, after.live_blocks) == (before.objects, before.live_blocks)
    keep.check()


def test_courtyard_objects_as_items() -> None:
    q = cy.Queue()
    value = cy.Value("i", 5)
    q.put({"value": value, "lock": cy.Lock()})
    q.put(q)
    got = q.get()
    got["value"].value += 1
    assert value.value == 6
    assert got["lock"].acquire(timeout=1)
    again = q.get()
    again.put("through another handle")
    assert q.get() == "through another handle"


def test_arrays_may_be_views_of_what_was_put() -> None:
    numpy = pytest.importorskip("numpy")
    q = cy.Queue()
    array = numpy.arange(50_000.0)
    q.put(array)
    q.put({"a": array, "b": array[:10]})
    got = q.get(copy=False)
    assert not got.flags.owndata and not got.flags.writeable
    assert (got == array).all()
    both = q.get(copy=False)
    used = q.space.statistics().used
    assert used > 2 * array.nbytes, "nothing was copied"
    keep = cy.Value("i")
    del q
    gc.collect()
    assert (both["a"] == array).all() and (both["b"] == array[:10]).all()
    del got, both
    gc.collect()
    assert used - keep.space.statistics().used > 2 * array.nbytes
    keep.check()


def test_many_arrays_held_at_once() -> None:
    numpy = pytest.importorskip("numpy")
    q = cy.Queue()
    for number in range(200):
        q.put(numpy.full(2000, number))
    held = q.get_many(100) + [q.get(copy=False) for _ in range(100)]
    assert all((array == number).all() for number, array in enumerate(held))


def test_a_child_does_not_free_its_parents_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    q = cy.Queue()
    q.put(numpy.arange(20_000))
    array = q.get(copy=False)

    def drop() -> None:
        nonlocal array
        del array
        gc.collect()
        q.put("dropped")

    child = fork(drop)
    assert q.get(timeout=20) == "dropped"
    os.waitpid(child, 0)
    assert (array == numpy.arange(20_000)).all()
    q.check()


@pytest.mark.parametrize("length", [1, 90, 100, 400, 1500, 4000, 5000])
def test_put_many_goes_over_pages(length: int) -> None:
    """Items of all sizes, words among them, in batches that end anywhere on a page."""
    q: Any = cy.Queue()
    put: list[Any] = []
    got: list[Any] = []
    for size in (1, 2, 63, 64, 65, 200, 7):
        items: list[Any] = [f"{n:0{length}}" if n % 3 else n for n in range(size)]
        q.put_many(items if size % 2 else tuple(items))
        put += items
        assert q.qsize() == len(put) - len(got)
        got += q.get_many(size // 2 + 1)
    while len(got) < len(put):
        got += q.get_many(50)
    assert got == put
    q.check()


def test_put_many_encodes_once() -> None:
    class Counted:
        calls = 0

        def __reduce__(self) -> tuple[Any, ...]:
            Counted.calls += 1
            return int, ()

    q: Any = cy.Queue()
    q.put_many([Counted(), 1, Counted()])
    assert Counted.calls == 2
    assert q.get_many(9) == [0, 1, 0]
