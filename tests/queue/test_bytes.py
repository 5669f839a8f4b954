"""Queues bounded in bytes: what items count, who waits for room, and what the dead leave."""

import datetime
import pickle
import queue
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

import courtyard as cy

KINDS: list[Any] = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]
# Items that are small and in the ring, pickled, in a block of their own, and larger than a page.
ITEMS: list[Any] = [7, "x" * 100, datetime.date(2020, 1, 2), b"x" * 5000, b"x" * 70_000]
LIMIT = 30


def counted(q: Any) -> int:
    """Return what the items of a queue count; that is what is in it, or check() raises."""
    q.check()
    found = q.statistics().queued_bytes
    assert isinstance(found, int)
    return found


def bytes_of(item: Any) -> int:
    """Return what an item counts, in a queue that has nothing else."""
    q = cy.Queue[Any](maxbytes=1 << 40)
    q.put(item)
    return counted(q)


def waiting(q: Any, *items: Any) -> list[threading.Thread]:
    """Start a thread for each item that puts it, and see that all wait."""
    threads = [threading.Thread(target=q.put, args=(item,), daemon=True) for item in items]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert all(thread.is_alive() for thread in threads)
    return threads


def ended(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (None, 16),
        (7, 16),
        (2.5, 16),
        ("", 16),
        ("x" * 200, 208),
        ("é" * 200, 208),
        ("€" * 200, 408),
        (b"x" * 10_000, 10_008),
        (b"x" * 10_001, 10_016),
    ],
    ids=lambda item: repr(item)[:8],
)
def test_what_an_item_counts(kind: Any, item: Any, expected: int) -> None:
    """The bytes of its stored form in whole words, and a word, whatever the queue."""
    q = kind(maxbytes=100_000)
    assert counted(q) == 0
    q.put(item)
    assert counted(q) == expected
    q.get()
    assert counted(q) == 0


def test_what_arrays_count() -> None:
    np = pytest.importorskip("numpy")
    assert 8000 < bytes_of(np.zeros(1000)) < 8500
    assert 800_000 < bytes_of(np.zeros(100_000)) < 800_500
    shared = cy.Array("d", 100_000)
    assert bytes_of(shared) < 500, "of one that is shared only the handle goes through the queue"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("item", ITEMS, ids=lambda item: repr(item)[:8])
def test_full_of_bytes(kind: Any, item: Any) -> None:
    each = bytes_of(item)
    q = kind(maxbytes=2 * each + 15)
    q.put(item)
    assert not q.full() and counted(q) == each
    q.put(item)
    assert counted(q) == 2 * each and q.full(), "there is no room for the smallest item"
    refusals: list[Any] = [
        lambda: q.put_nowait(item),
        lambda: q.put(item, False),
        lambda: q.put(item, timeout=0.01),
        lambda: q.put_many([item], timeout=0.01),
        lambda: q.put_many(iter([item]), timeout=0.01),
    ]
    for refused in refusals:
        with pytest.raises(queue.Full):
            refused()
    assert (q.qsize(), counted(q)) == (2, 2 * each)
    assert q.get() == item
    q.put(item, timeout=LIMIT)
    assert [q.get_nowait(), q.get_nowait()] == [item, item]
    assert (q.qsize(), counted(q)) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_both_bounds(kind: Any) -> None:
    q = kind(3, maxbytes=200)
    assert (q.maxsize, q.maxbytes) == (3, 200)
    q.put("x" * 100)
    with pytest.raises(queue.Full):
        q.put_nowait("y" * 100)  # of bytes
    q.put("a")
    q.put("b")
    assert q.full()
    with pytest.raises(queue.Full):
        q.put_nowait("c")  # of items
    q.maxsize = 0
    q.put("c")
    assert (q.qsize(), counted(q)) == (4, 112 + 3 * 16)
    with pytest.raises(AttributeError):
        q.maxbytes = 500


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_bound(kind: Any) -> None:
    for unbounded in (None, 0, -1):
        q = kind(maxbytes=unbounded)
        assert q.maxbytes is None and not q.full()
        assert (q.statistics().queued_bytes, q.statistics().maxbytes) == (None, None)
    for small in (1, 15):
        with pytest.raises(ValueError, match=f"expected maxbytes of at least 16, .* found {small}"):
            kind(maxbytes=small)
    for wrong in ("100", 1.5, [3]):
        with pytest.raises(TypeError):
            kind(maxbytes=wrong)
    with pytest.raises(TypeError):
        kind(0, 100)  # by keyword only
    q = kind(maxbytes=16)
    q.put(7)
    assert q.full() and q.get() == 7


def test_simple_queues_have_no_bound() -> None:
    with pytest.raises(TypeError):
        cy.SimpleQueue(maxbytes=100)  # type: ignore[call-arg]
    assert cy.SimpleQueue().maxbytes is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [304, 5000, 70_000])
def test_an_item_that_can_never_fit(kind: Any, length: int) -> None:
    """It is refused at once, by whoever would wait; a full queue is no reason to wait for it."""
    q = kind(2, maxbytes=200)
    item = "x" * length
    refusals: list[Any] = [
        lambda: q.put(item),
        lambda: q.put_nowait(item),
        lambda: q.put(item, timeout=LIMIT),
        lambda: q.put_many([item]),
        lambda: q.put_many(iter([item])),
    ]
    message = rf"the item counts {length + 8} bytes, and all items .* count 200 \(maxbytes\)"
    for _ in range(2):
        for refused in refusals:
            with pytest.raises(ValueError, match=message):
                refused()
        q.put_many("ab"[q.qsize() :])  # then once more, of a full queue
    assert (q.qsize(), counted(q)) == (2, 32)
    q.shutdown()
    for refused in refusals:
        with pytest.raises(cy.ShutDown):
            refused()
    assert q.get() in ("a", "b")


def test_an_item_that_can_never_fit_in_a_full_space() -> None:
    with cy.Space(size_limit=3 << 20) as space:
        q = space.Queue(maxbytes=1_000_000)
        full = space.dict()
        with suppress(cy.SpaceFull):
            for number in range(1000):
                full[number] = b"x" * 30_000
        with pytest.raises(ValueError, match="maxbytes"):
            q.put(b"x" * 1_500_000, timeout=LIMIT)


def test_the_drop_in_says_so_too() -> None:
    from courtyard.multiprocessing import queues

    q: Any = queues.Queue(maxbytes=100)
    with pytest.raises(ValueError, match="maxbytes"):
        q.put("x" * 100)
    q.put("x" * 80)
    assert q.full()


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_item_goes_before_a_large_one_that_waits(kind: Any) -> None:
    q = kind(maxbytes=1000)
    q.put("x" * 900)
    (putter,) = waiting(q, "z" * 800)
    q.put("a")
    assert putter.is_alive() and q.qsize() == 2
    assert sorted([q.get(), q.get(), q.get()]) == ["a", "x" * 900, "z" * 800]
    ended(putter)


@pytest.mark.parametrize("kind", KINDS)
def test_one_large_get_wakes_several_puts(kind: Any) -> None:
    q = kind(maxbytes=6000)
    q.put("x" * 5900)
    putters = waiting(q, *["y" * 500] * 8)
    assert q.get() == "x" * 5900
    ended(*putters)
    assert counted(q) == 8 * bytes_of("y" * 500)


def test_get_many_wakes_several_puts() -> None:
    q = cy.Queue[str](maxbytes=20 * 16)
    q.put_many(["a"] * 20)
    putters = waiting(q, *["b"] * 8)
    assert q.get_many(10) == ["a"] * 10
    ended(*putters)
    assert counted(q) == 18 * 16
    assert q.get_many(100) == ["a"] * 10 + ["b"] * 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("item", [7, "x" * 100, b"x" * 5000], ids=lambda item: repr(item)[:8])
def test_put_many_puts_what_fits(kind: Any, item: Any) -> None:
    each = bytes_of(item)
    q = kind(maxbytes=5 * each + 8)
    with pytest.raises(queue.Full):
        q.put_many([item] * 9, timeout=0.05)
    assert (q.qsize(), counted(q)) == (5, 5 * each)
    assert q.clear() == 5
    large: Any = b"y" * 60_000 if isinstance(item, bytes) else "y" * 60_000
    if isinstance(item, int) and kind is cy.PriorityQueue:
        large = 1 << 500_000
    with pytest.raises(ValueError, match="maxbytes"):
        q.put_many([item, item, large, item])
    assert (q.qsize(), counted(q)) == (2, 2 * each), "what came before it stays"


@pytest.mark.parametrize("kind", KINDS)
def test_put_many_waits_and_goes_on(kind: Any) -> None:
    q = kind(maxbytes=100)
    items = [f"{number:03}" for number in range(300)]
    putter = threading.Thread(target=q.put_many, args=(items,), daemon=True)
    putter.start()
    got = [q.get(timeout=LIMIT) for _ in items]
    ended(putter)
    assert sorted(got) == items and counted(q) == 0
    if kind in (cy.Queue, cy.JoinableQueue):
        assert got == items


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("item", ["x" * 100, b"x" * 5000], ids=lambda item: repr(item)[:8])
def test_items_on_a_lease_count(kind: Any, item: Any) -> None:
    each = bytes_of(item)
    q = kind(maxbytes=2 * each)
    q.put(item)
    q.put(item)
    with q.lease():
        assert (q.qsize(), counted(q)) == (1, 2 * each) and q.full()
        with pytest.raises(queue.Full):
            q.put_nowait(item)
    assert (q.qsize(), counted(q)) == (1, each)
    with pytest.raises(ZeroDivisionError), q.lease():
        raise ZeroDivisionError
    assert (q.qsize(), counted(q)) == (1, each)
    with (lease := q.lease()):
        lease.requeue()
    with (lease := q.lease()):
        lease.requeue(delay=0.05)
    assert (q.qsize(), counted(q)) == (1, each)
    with (lease := q.lease(timeout=LIMIT)):
        lease.drop()
    assert (q.qsize(), counted(q), q.unfinished_tasks) == (0, 0, 0)


@pytest.mark.parametrize("end", ["done", "drop", "move", "raise and get", "clear", "shut down"])
def test_whatever_makes_room_wakes_who_waits(end: str) -> None:
    q, other = cy.Queue[str](maxbytes=100), cy.Queue[str]()
    q.put("x" * 80)
    lease = q.lease()
    if end in ("done", "drop", "move", "raise and get"):
        with suppress(ZeroDivisionError), lease:
            (putter,) = waiting(q, "y" * 80)
            if end == "drop":
                lease.drop()
            elif end == "move":
                lease.move(other)
            elif end == "raise and get":
                raise ZeroDivisionError
        if end == "raise and get":
            assert putter.is_alive() and q.get() == "x" * 80
        ended(putter)
        assert q.get() == "y" * 80 and counted(q) == 0
        return
    threads, raised = [], []

    def put() -> None:
        try:
            q.put("y" * 80)
        except cy.ShutDown:
            raised.append(1)

    threads.append(threading.Thread(target=put, daemon=True))
    threads[0].start()
    time.sleep(0.2)
    if end == "clear":
        assert q.clear() == 1
    else:
        q.shutdown()
    ended(*threads)
    assert len(raised) == (end == "shut down")


def test_moves() -> None:
    jobs, failed = cy.Queue[str](maxbytes=1000), cy.Queue[str](maxbytes=120)
    plain = cy.Queue[str]()
    jobs.put_many(["x" * 100, "y" * 100, "z" * 200])
    with (lease := jobs.lease()):
        lease.move(failed)
    assert (counted(jobs), counted(failed)) == (108 + 4 + 208, 108 + 4)
    with (lease := jobs.lease()) as item:
        with pytest.raises(queue.Full):
            lease.move(failed)
        assert (item, counted(jobs), counted(failed)) == ("y" * 100, 108 + 4 + 208, 108 + 4)
        lease.move(plain)
    with (lease := jobs.lease()) as item:
        with pytest.raises(ValueError, match="maxbytes"):
            lease.move(failed)
        assert (item, counted(jobs)) == ("z" * 200, 208)
        lease.requeue()
    with (lease := plain.lease()):
        lease.move(jobs)  # from one that does not count
    assert (counted(jobs), plain.qsize(), jobs.qsize()) == (208 + 108 + 4, 0, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_clear_and_shutdown(kind: Any) -> None:
    q = kind(maxbytes=20_000)
    q.put_many(["a" * 100, "b" * 5000, "c"])
    with q.lease() as item:
        assert q.clear() == 2
        assert (q.qsize(), counted(q)) == (0, bytes_of(item))
        q.put("d" * 6000)
    assert counted(q) == bytes_of("d" * 6000)
    q.shutdown(immediate=True)
    assert (q.qsize(), counted(q)) == (0, 0)
    q.reopen()
    q.put("e")
    assert counted(q) == 16


class Poison:
    """An item that cannot be loaded."""

    def __lt__(self, other: object) -> bool:
        return False

    def __reduce__(self) -> Any:
        return bad, ()


def bad() -> None:
    raise ImportError("it is not here")


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_that_comes_back_counts_as_before(kind: Any) -> None:
    q = kind(maxbytes=1000)
    q.put(Poison())
    each = counted(q)
    for take in (q.get, q.get_nowait, lambda: q.get_many(3)):
        with pytest.raises(cy.LoadError):
            take()
        assert (q.qsize(), counted(q)) == (1, each)
    lease = q.lease()
    with pytest.raises(cy.LoadError), lease:
        pass
    assert (q.qsize(), counted(q)) == (0, each)
    lease.drop()
    assert counted(q) == 0


def test_get_many_gives_back_what_it_counts() -> None:
    q = cy.Queue[Any](maxbytes=10_000)
    q.put_many([1, "x" * 100, b"y" * 5000])
    q.put(Poison())
    before = counted(q)
    with pytest.raises(cy.LoadError):
        q.get_many(9)
    assert (q.qsize(), counted(q)) == (4, before)
    assert q.get_many(3) == [1, "x" * 100, b"y" * 5000]
    assert counted(q) == before - 16 - (108 + 4) - 5008


@pytest.mark.parametrize("kind", KINDS)
def test_named(kind: Any, title: str) -> None:
    with pytest.raises(ValueError, match="maxbytes of at least 16"):
        kind.named(title, maxbytes=5)
    with pytest.raises(TypeError, match=rf"{kind.__name__}.named\(\)"):
        kind.named(title, 9, 100)
    space = cy.Space("default")
    assert title not in space
    q = kind.named(title, 9, maxbytes=100)
    for same in (
        kind.named(title),
        kind.named(title, maxbytes=100),
        kind.named(title, 9),
        space[title],
    ):
        assert (same.maxsize, same.maxbytes) == (9, 100)
    for other in (101, 0):
        expected = r"\(9, maxbytes=100\) in .*, not a " + kind.__name__
        with pytest.raises(cy.WrongType, match=expected):
            kind.named(title, maxbytes=other)
    q.put("x" * 80)
    assert kind.named(title).full()
    assert "1 item of at most 9, 88 bytes of at most 100" in repr(q)
    del space[title]
    plain = kind.named(title, maxbytes=0)
    assert plain.maxbytes is None and kind.named(title).maxbytes is None
    with pytest.raises(cy.WrongType, match=r"not a .*\(maxbytes=100\)"):
        kind.named(title, maxbytes=100)
    del space[title]


def test_made_by_a_space_and_a_manager() -> None:
    from courtyard.multiprocessing import Manager

    with cy.Space() as space:
        assert space.Queue(maxbytes=100).maxbytes == 100
        assert space.JoinableQueue(5, maxbytes=100).maxbytes == 100
        assert space.Queue().maxbytes is None
        assert space.named("jobs", cy.Queue, maxbytes=100).maxbytes == 100
    with Manager() as manager:
        made: Any = manager.Queue(maxbytes=100)
        assert made.maxbytes == 100


def test_statistics() -> None:
    q = cy.Queue[Any](maxbytes=100)
    q.put_many([1, 2, 3])
    found = q.statistics()
    assert (found.entries, found.queued_bytes, found.maxbytes) == (3, 48, 100)
    assert cy.Value("i").statistics().maxbytes is None
    assert pickle.loads(pickle.dumps(q)).statistics().queued_bytes == 48
