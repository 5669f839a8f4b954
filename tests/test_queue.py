"""Queues: as queue.Queue and multiprocessing.Queue, with leases, and past the death of any user."""

import gc
import multiprocessing
import multiprocessing.queues
import os
import pickle
import queue
import random
import resource
import signal
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import courtyard as cy
from tests.children import fork, join, kill, start

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

    def turn(rounds: int) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(rounds):
            for item in items:
                q.put(item)
            for item in items:
                assert q.get() == item
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert turn(200) > 0  # the ring's pages, at least
    # 2000 rounds move 50 MB, some 12,000 pages; the interpreter itself may touch a few.
    assert turn(2000) < 100


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


def test_arrays_are_views_of_what_was_put() -> None:
    numpy = pytest.importorskip("numpy")
    q = cy.Queue()
    array = numpy.arange(50_000.0)
    q.put(array)
    q.put({"a": array, "b": array[:10]})
    got = q.get()
    assert not got.flags.owndata and got.flags.writeable
    assert (got == array).all()
    both = q.get()
    del q
    gc.collect()
    assert (both["a"] == array).all() and (both["b"] == array[:10]).all()
    got[:] = 0
    assert (both["a"] == array).all()
    keep = cy.Value("i")
    del got, both
    gc.collect()
    keep.check()


def test_many_arrays_held_at_once() -> None:
    numpy = pytest.importorskip("numpy")
    q = cy.Queue()
    for number in range(200):
        q.put(numpy.full(2000, number))
    held = q.get_many(200)
    assert all((array == number).all() for number, array in enumerate(held))


def test_a_child_does_not_free_its_parents_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    q = cy.Queue()
    q.put(numpy.arange(20_000))
    array = q.get()

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


class Beside(RuleBasedStateMachine):
    """A queue and queue.Queue say the same, through two handles."""

    def __init__(self) -> None:
        super().__init__()
        kinds: list[tuple[Any, Any]] = [
            (cy.Queue, queue.Queue),
            (cy.LifoQueue, queue.LifoQueue),
            (cy.PriorityQueue, queue.PriorityQueue),
        ]
        ours, theirs = random.choice(kinds)
        size = random.choice([0, 3])
        self.handles = [ours(size)]
        self.handles.append(pickle.loads(pickle.dumps(self.handles[0])))
        self.model = theirs(size)
        self.values = st.integers() if ours is cy.PriorityQueue else st.binary()

    @rule(which=st.integers(0, 1), data=st.data())
    def put(self, which: int, data: Any) -> None:
        number = data.draw(st.integers(-5, 5))
        item: Any = (number, b"x" * data.draw(st.sampled_from([0, 5, 100, 3000, 6000])))
        outcomes = []
        for q in (self.handles[which], self.model):
            try:
                q.put_nowait(item)
                outcomes.append("put")
            except queue.Full:
                outcomes.append("full")
        assert outcomes[0] == outcomes[1]

    @rule(which=st.integers(0, 1))
    def get(self, which: int) -> None:
        outcomes = []
        for q in (self.handles[which], self.model):
            try:
                outcomes.append(q.get_nowait())
            except queue.Empty:
                outcomes.append("empty")
        assert outcomes[0] == outcomes[1]

    @rule(which=st.integers(0, 1), data=st.data())
    def put_many(self, which: int, data: Any) -> None:
        numbers = st.integers(-5, 5).map(lambda n: (n, b""))
        items = data.draw(st.lists(numbers, max_size=5))
        if self.model.maxsize:
            items = items[: self.model.maxsize - self.model.qsize()]
        form = data.draw(st.sampled_from([list, tuple, iter]))
        self.handles[which].put_many(form(items), False)
        for item in items:
            self.model.put(item)

    @rule(which=st.integers(0, 1), most=st.integers(1, 6))
    @precondition(lambda self: self.model.qsize() > 0)
    def get_many(self, which: int, most: int) -> None:
        found = self.handles[which].get_many(most)
        assert found == [self.model.get() for _ in range(min(most, self.model.qsize()))]

    @rule(which=st.integers(0, 1))
    @precondition(lambda self: self.model.qsize() > 0)
    def give_back(self, which: int) -> None:
        with pytest.raises(ZeroDivisionError), self.handles[which].lease() as item:
            raise ZeroDivisionError
        with self.handles[which].lease() as again:
            assert again == item  # before all others
        assert self.model.get_nowait() == item
        with suppress(ValueError):  # the tasks may all be called done already
            self.model.task_done()

    @rule(which=st.integers(0, 1))
    def done(self, which: int) -> None:
        outcomes = []
        for q in (self.handles[which], self.model):
            try:
                q.task_done()
                outcomes.append("done")
            except ValueError:
                outcomes.append("too many")
        assert outcomes[0] == outcomes[1]

    @invariant()
    def same(self) -> None:
        for q in self.handles:
            assert (q.qsize(), q.empty(), q.full(), q.unfinished_tasks) == (
                self.model.qsize(),
                self.model.empty(),
                self.model.full(),
                self.model.unfinished_tasks,
            )

    def teardown(self) -> None:
        self.handles[0].check()


TestBeside = Beside.TestCase
TestBeside.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def serve(q: Any, pipe: Connection) -> None:
    """Do to the queue what is asked for, without waiting, and answer what came of it."""
    while True:
        name, args = pipe.recv()
        try:
            pipe.send(getattr(q, name)(*args))
        except (queue.Full, queue.Empty) as error:
            pipe.send(type(error).__name__)


class BesideFromProcesses(RuleBasedStateMachine):
    """The same from two processes, which are killed now and then between two operations."""

    def __init__(self) -> None:
        super().__init__()
        ours, theirs = random.choice([(cy.Queue, queue.Queue), (cy.LifoQueue, queue.LifoQueue)])
        size = random.choice([0, 3])
        self.queue: Any = ours(size)
        self.model: Any = theirs(size)
        self.workers: list[tuple[int, Connection]] = []
        for _ in range(2):
            self.begin()

    def begin(self) -> None:
        pipe, theirs = multiprocessing.Pipe()
        self.workers.append((fork(serve, self.queue, theirs), pipe))
        theirs.close()

    def ask(self, which: int, name: str, *args: Any) -> None:
        pipe = self.workers[which][1]
        pipe.send((name, args))
        assert pipe.poll(20)
        try:
            expected = getattr(self.model, name)(*args)
        except (queue.Full, queue.Empty) as error:
            expected = type(error).__name__
        assert pipe.recv() == expected

    @rule(which=st.integers(0, 1), number=st.integers(), size=st.sampled_from([0, 100, 6000]))
    def put(self, which: int, number: int, size: int) -> None:
        self.ask(which, "put_nowait", (number, b"x" * size))

    @rule(which=st.integers(0, 1), number=st.integers(-5, 5))
    def put_a_word(self, which: int, number: int) -> None:
        self.ask(which, "put_nowait", number)

    @rule(which=st.integers(0, 1))
    def get(self, which: int) -> None:
        self.ask(which, "get_nowait")

    @rule(which=st.integers(0, 1), name=st.sampled_from(["qsize", "empty", "full"]))
    def look(self, which: int, name: str) -> None:
        self.ask(which, name)

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        child, pipe = self.workers.pop(which)
        kill(child)
        pipe.close()
        self.begin()

    def teardown(self) -> None:
        for child, pipe in self.workers:
            kill(child)
            pipe.close()
        self.queue.check()


TestBesideFromProcesses = BesideFromProcesses.TestCase
TestBesideFromProcesses.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


def produce(q: Any, name: int, count: int) -> None:
    for number in range(count):
        q.put((name, number, b"x" * (number % 7 * 900)))


def consume(q: Any, results: Any) -> None:
    taken = []
    while True:
        item = q.get()
        if item is None:
            break
        taken.append(item[:2])
        assert len(item[2]) == item[1] % 7 * 900
    results.put(taken)


def test_every_item_once_and_in_its_producers_order(ctx: BaseContext) -> None:
    q, results = cy.Queue(maxsize=50), cy.Queue()
    producers = [start(ctx, produce, q, name, 400) for name in range(2)]
    consumers = [start(ctx, consume, q, results) for _ in range(2)]
    join(*producers)
    q.put_many([None, None])
    taken = [results.get(timeout=20) for _ in consumers]
    join(*consumers)
    everything = sorted(item for items in taken for item in items)
    assert everything == [(name, number) for name in range(2) for number in range(400)]
    for items in taken:
        for name in range(2):
            numbers = [number for producer, number in items if producer == name]
            assert numbers == sorted(numbers)


def test_consumers_share_the_work() -> None:
    """Fairness: with work for all, nobody is left without."""
    q, results = cy.Queue(), cy.Queue()

    def take(name: int) -> None:
        count = 0
        while q.get() is not None:
            count += 1
            time.sleep(0.001)
        results.put((name, count))

    children = [fork(take, name) for name in range(3)]
    q.put_many([1] * 300)
    q.put_many([None] * 3)
    counts = dict(results.get(timeout=30) for _ in children)
    for child in children:
        os.waitpid(child, 0)
    assert sum(counts.values()) == 300
    assert min(counts.values()) > 20, counts


def test_an_idle_consumer_costs_no_cpu() -> None:
    q = cy.Queue()
    thread = threading.Thread(target=q.get)
    thread.start()
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(1)
    used = time.process_time() - before
    q.put(1)
    thread.join(10)
    assert used < 0.1


def test_ctrl_c_ends_a_wait_and_loses_nothing() -> None:
    q = cy.Queue()

    def interrupt() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        q.get(timeout=20)
    thread.join()
    q.put("still here")
    assert q.get(timeout=1) == "still here"


def test_a_killed_consumer_gives_its_leases_back() -> None:
    q = cy.Queue()
    q.put_many(["a", b"b" * 10_000, "c"])

    def hold() -> None:
        leases = [q.lease() for _ in range(2)]
        for lease in leases:
            lease.__enter__()
        ready.put(1)
        time.sleep(60)

    ready = cy.Queue()
    child = fork(hold)
    ready.get(timeout=20)
    assert q.qsize() == 1
    kill(child)
    assert q.get(timeout=5) == "c"
    assert sorted(map(len, [q.get(timeout=5), q.get(timeout=5)])) == [1, 10_000]
    q.check()


def test_a_killed_consumer_does_not_hold_join_up() -> None:
    q, ready = cy.Queue(), cy.Queue()
    q.put_many(range(3))

    def take() -> None:
        q.get_many(3)
        q.task_done()
        ready.put(1)
        time.sleep(60)

    child = fork(take)
    ready.get(timeout=20)
    assert q.unfinished_tasks == 2
    kill(child)
    joined = threading.Thread(target=q.join)
    joined.start()
    joined.join(10)
    assert not joined.is_alive()
    q.put(1)
    assert q.unfinished_tasks == 1  # and no item of others counts as done


def test_items_of_a_killed_producer_stay() -> None:
    q = cy.Queue()

    def put() -> None:
        for number in range(10):
            q.put((number, b"x" * number * 1000))
        q.put("done")
        time.sleep(60)

    child = fork(put)
    while q.qsize() < 11:
        time.sleep(0.01)
    kill(child)
    items = [q.get(timeout=5) for _ in range(11)]
    assert [len(item[1]) for item in items[:10]] == [number * 1000 for number in range(10)]
    q.check()


KILLS = {"small": 300, "full": 5000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 40)


@pytest.mark.limit(60 + KILLS)
@pytest.mark.parametrize("kind", KINDS)
def test_kills_at_random(kind: Any) -> None:
    """What a producer reported it put is got once, by whoever lives, or under a lease in the end.

    Producers and leaseholders report over pipes, outside shared memory, after each operation.
    """
    q = kind(200)
    rng = random.Random(5)
    promised: dict[int, set[int]] = {}  # producer's first number -> numbers reported
    begun: dict[int, int] = {}
    got: list[int] = []
    finished: set[int] = set()
    maybe: set[int] = set()  # taken by a consumer that was killed before it could report

    def produce(start: int, pipe: int) -> None:
        for number in range(start, start + 1_000_000):
            q.put((number, b"x" * rng.choice([0, 100, 3000, 6000])))
            os.write(pipe, number.to_bytes(8, "little"))

    def work(pipe: int) -> None:
        while True:
            with q.lease() as item:
                number = item[0]
                os.write(pipe, number.to_bytes(8, "little"))  # about to be done with
            os.write(pipe, (number | 1 << 62).to_bytes(8, "little"))

    def told(pipe: int) -> list[int]:
        data = b""
        while chunk := os.read(pipe, 1 << 16):
            data += chunk
        return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - 7, 8)]

    for serial in range(1, KILLS + 1):
        ends = [os.pipe() for _ in range(2)]
        base = serial * 1_000_000
        children = [fork(produce, base, ends[0][1]), fork(work, ends[1][1])]
        for _, write in ends:
            os.close(write)
        time.sleep(rng.random() * 0.01)
        for child in rng.sample(children, 2):
            kill(child)
        promised[base] = set(told(ends[0][0]))
        begun[base] = max(promised[base], default=base - 1) + 1
        for number in told(ends[1][0]):
            if number >> 62:
                finished.add(number & ~(1 << 62))
                maybe.discard(number & ~(1 << 62))
            else:
                maybe.add(number)
        for read, _ in ends:
            os.close(read)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            got.append(q.get(timeout=1.0)[0])
        except queue.Empty:
            break
    assert len(set(got)) == len(got), "an item came twice"
    assert not finished & set(got), "an item came back after its lease had ended"
    there = finished | maybe | set(got)
    for base, numbers in promised.items():
        assert numbers <= there, f"lost {sorted(numbers - there)[:5]}"
        extra = {number for number in set(got) | finished if base <= number < base + 1_000_000}
        assert extra <= numbers | {begun[base]}, "an item that nobody put"
    q.check()
    assert q.statistics().space.participants <= 3
