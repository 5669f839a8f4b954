"""Forks inside calls: by signal handlers while they wait, and by user code that they run.

The parent's call goes on undisturbed. In the child it gives its result, or raises a
``CourtyardError``; and nothing that it does ever touches what is its parent's.
"""

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_sharing import in_fork
from tests.support.forking import forked, forker

LARGE = "x" * 50_000


@pytest.fixture(autouse=True)
def a_new_forker() -> None:
    forker.child = None


def same(value: Any) -> Any:
    return value


class Reduced:
    """Forks while it is pickled."""

    def __init__(self, payload: Any) -> None:
        self.payload = payload

    def __reduce__(self) -> tuple[Any, ...]:
        forker()
        return same, (self.payload,)

    def __lt__(self, other: object) -> bool:
        return True  # as an item of a priority queue, beside one that the other process put

    def __gt__(self, other: object) -> bool:
        return False


class Loaded:
    """Forks while it is loaded, if it may."""

    may = False

    def __init__(self, payload: Any) -> None:
        self.payload = payload

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if Loaded.may:
            forker()


class Compared:
    """Forks while it is compared."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        forker()
        return isinstance(other, Compared) and self.number == other.number

    def __lt__(self, other: "Compared") -> bool:
        forker()
        return self.number < other.number

    def __hash__(self) -> int:
        return self.number


def put_all(make: Callable[[], Any], put: Callable[[Any, Any], object]) -> Callable[[Any], None]:
    def run(payload: Any) -> None:
        obj = make()
        item = Reduced(payload)
        forked(lambda: put(obj, item), obj)

    return run


STORING = {
    "Value.set": put_all(lambda: cy.Value(object), lambda v, x: v.set(x)),
    "Value.exchange": put_all(lambda: cy.Value(object), lambda v, x: v.exchange(x)),
    "Dict[]": put_all(cy.Dict, lambda d, x: d.__setitem__("a", x)),
    "Dict.setdefault": put_all(cy.Dict, lambda d, x: d.setdefault("a", x)),
    "Dict.update": put_all(cy.Dict, lambda d, x: d.update(a=1, b=LARGE, c=x, d=LARGE)),
    "Dict.mutate": put_all(cy.Dict, lambda d, x: d.mutate("a", lambda _: x, None)),
    "List.append": put_all(cy.List, lambda s, x: s.append(x)),
    "List.extend": put_all(cy.List, lambda s, x: s.extend([1, LARGE, x, LARGE])),
    "List.insert": put_all(lambda: cy.List([1, 2, 3]), lambda s, x: s.insert(1, x)),
    "List[]": put_all(lambda: cy.List([1, 2, 3]), lambda s, x: s.__setitem__(1, x)),
    "List[:]": put_all(
        lambda: cy.List([1, 2, 3]), lambda s, x: s.__setitem__(slice(1, 2), [x, LARGE])
    ),
    "Deque.append": put_all(cy.Deque, lambda s, x: s.append(x)),
    "Queue.put": put_all(cy.Queue, lambda q, x: q.put(x)),
    "Queue.put_many": put_all(cy.Queue, lambda q, x: q.put_many([LARGE, x, 1, LARGE])),
    "LifoQueue.put": put_all(cy.LifoQueue, lambda q, x: q.put(x)),
    "PriorityQueue.put": put_all(cy.PriorityQueue, lambda q, x: q.put(x)),
    "Namespace": put_all(cy.Namespace, lambda n, x: setattr(n, "a", x)),
}


@pytest.mark.parametrize("payload", [1, LARGE, "y" * 3000], ids=["small", "large", "middle"])
@pytest.mark.parametrize("name", STORING)
def test_an_object_that_forks_while_it_is_pickled(name: str, payload: Any) -> None:
    STORING[name](payload)


def loading(obj: Any, take: Callable[[], Any], wait: bool = False) -> None:
    Loaded.may = True
    try:
        forked(take, obj, after=lambda found: same_payload(found))
    finally:
        Loaded.may = False


def same_payload(found: Any) -> None:
    assert found.payload in (LARGE * 4, 1)


@pytest.mark.parametrize("payload", [1, LARGE * 4], ids=["small", "large"])
@pytest.mark.parametrize("kind", ["Value", "Dict", "pop", "List", "Deque", "Queue", "LifoQueue"])
def test_an_object_that_forks_while_it_is_loaded(kind: str, payload: Any) -> None:
    item = Loaded(payload)
    if kind == "Value":
        value = cy.Value(object, item)
        loading(value, value.get)
    elif kind in ("Dict", "pop"):
        table = cy.Dict(a=item)
        loading(table, lambda: table["a"] if kind == "Dict" else table.pop("a"))
    elif kind in ("List", "Deque"):
        row = cy.List([item]) if kind == "List" else cy.Deque([item])
        loading(row, row.pop)
    else:
        queue = getattr(cy, kind)()
        queue.put(item)
        loading(queue, lambda: queue.get(timeout=20))


def forking_number(item: Compared) -> int:
    forker()
    return item.number


def test_comparisons_that_fork() -> None:
    value = cy.Value(object, Compared(1))
    forked(lambda: value.compare_exchange(Compared(1), LARGE), value)
    for call in (
        lambda s: s.remove(Compared(7)),
        lambda s: s.index(Compared(7)),
        lambda s: s.count(Compared(7)),
        lambda s: s.sort(key=forking_number),
        lambda s: s.sort(),
    ):
        forker.child = None
        row = cy.List([Compared(number) for number in (9, 8, 7, 7, 6)])
        forked(lambda call=call, row=row: call(row), row, spared=(ValueError,))  # type: ignore[misc]


@pytest.mark.parametrize("how", ["put", "get", "put_many", "get_many", "lease"])
def test_a_comparison_that_forks_under_the_turn_of_a_priority_queue(how: str) -> None:
    queue: Any = cy.PriorityQueue()
    Compared.__lt__, kept = lambda self, other: self.number < other.number, Compared.__lt__  # type: ignore[method-assign]
    try:
        for number in range(9, 3, -1):
            queue.put(Compared(number))
    finally:
        Compared.__lt__ = kept  # type: ignore[method-assign]

    def call() -> None:
        if how == "put":
            queue.put(Compared(1), timeout=20)
        elif how == "get":
            queue.get(timeout=20)
        elif how == "put_many":
            queue.put_many([Compared(2), Compared(1)])
        elif how == "get_many":
            queue.get_many(3, timeout=20)
        else:
            with queue.lease():
                pass

    forked(call, queue, spared=(RuntimeError,))
    assert queue.get(timeout=20).number in (1, 4, 5, 7)


def test_a_mutating_function_that_forks() -> None:
    table = cy.Dict(a=1)

    def change(value: Any) -> Any:
        forker()
        return value + 1

    def judge(_: object) -> None:
        assert table["a"] in (2, 3)

    forked(lambda: table.mutate("a", change), table, after=judge)
    assert table["a"] in (2, 3), "the child's own is an error, or comes on top"


def test_a_barriers_action_that_forks() -> None:
    barrier = cy.Barrier(1, action=lambda: forker())
    forked(lambda: barrier.wait(20), spared=(threading.BrokenBarrierError,))
    assert barrier.wait(20) == 0
    assert not barrier.broken


def test_a_predicate_that_forks() -> None:
    value = cy.Value("i", 3)
    forked(lambda: value.wait_for(lambda n: forker() or n == 3, 20), value)


class Alarm:
    """Forks from a signal handler while the call waits, and then frees what the parent waits for.

    A fork before the call waits would make two callers, which compete.
    """

    def __init__(self, free: Callable[[], object]) -> None:
        self.free = free
        self.parent = os.getpid()
        self.caller = threading.get_ident()
        self.status = f"/proc/self/task/{threading.get_native_id()}/stat"

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGALRM, lambda *_: forker())
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def place(self) -> tuple[str, int, int]:
        """Whether the caller sleeps, and where."""
        frame = sys._current_frames()[self.caller]
        return Path(self.status).read_text().rpartition(")")[2].split()[0], id(frame), frame.f_lasti

    def run(self) -> None:
        end, place, seen = time.monotonic() + 20, None, 0
        while time.monotonic() < end and not (place and place[0] == "S" and seen >= 3):
            last, place = place, self.place()
            seen = seen + 1 if place == last else 1
            time.sleep(0.01)
        signal.pthread_kill(self.caller, signal.SIGALRM)
        while forker.child is None and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(0.05)
        self.free()

    def __exit__(self, *_: object) -> None:
        if os.getpid() == self.parent:
            self.thread.join(20)
            signal.signal(signal.SIGALRM, self.before)


def in_wait(
    call: Callable[[], object],
    free: Callable[[], object],
    *objects: Any,
    spared: tuple[type[BaseException], ...] = (),
    after: Callable[[object], object] = lambda result: None,
) -> None:
    def alarmed() -> object:
        with Alarm(free):
            return call()

    forked(alarmed, *objects, spared=spared, after=after)


def full(queue: Any) -> Any:
    queue.put(1)
    return queue


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
@pytest.mark.parametrize("size", [10, 3000, 50_000])
def test_a_fork_while_an_item_waits_for_room(kind: str, size: int) -> None:
    """The parent's row for the item's block is its own: the child neither frees nor links it."""
    queue = full(getattr(cy, kind)(1))
    item = (2, "x" * size)
    if kind == "PriorityQueue":
        queue.get()
        queue.put((1, ""))
    import queue as standard

    in_wait(
        lambda: queue.put(item, timeout=3),
        lambda: queue.get(timeout=20),
        spared=(standard.Full,),
    )
    found = queue.get(timeout=20)
    assert found == item
    queue.check()


def test_a_fork_while_a_get_waits() -> None:
    import queue as standard

    for kind in ("Queue", "LifoQueue", "PriorityQueue"):
        forker.child = None
        queue = getattr(cy, kind)()
        in_wait(
            lambda queue=queue: queue.get(timeout=1),  # type: ignore[misc]
            lambda queue=queue: queue.put_many([LARGE, LARGE]),  # type: ignore[misc]
            spared=(standard.Empty,),
            after=lambda found: same_text(found),
        )
        queue.check()


def same_text(found: object) -> None:
    assert found == LARGE


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_a_fork_while_a_lock_is_awaited(kind: str) -> None:
    """Who of the two comes first has it, and the other after that."""
    lock = getattr(cy, kind)()
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            free.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)

    def call() -> None:
        assert lock.acquire(timeout=20)
        lock.release()

    in_wait(call, free.set)
    holder.join(20)
    assert lock.acquire(timeout=20)
    lock.release()


def test_a_fork_while_a_write_waits_for_get_lock() -> None:
    for obj, write in (
        (cy.Value(object, 1), lambda obj: obj.set(LARGE)),
        (cy.Value("i", 1), lambda obj: obj.increment()),
        (cy.Dict(a=1), lambda obj: obj.__setitem__("a", LARGE)),
        (cy.List([1]), lambda obj: obj.append(LARGE)),
        (cy.Array("i", 3), lambda obj: obj.__setitem__(0, 3)),
    ):
        forker.child = None
        held, free = threading.Event(), threading.Event()

        def hold(obj: Any = obj, held: Any = held, free: Any = free) -> None:
            with obj.get_lock():
                held.set()
                free.wait(20)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(20)
        in_wait(lambda obj=obj, write=write: write(obj), free.set, obj)  # type: ignore[misc]
        holder.join(20)


def test_a_fork_while_a_condition_is_awaited() -> None:
    condition = cy.Condition()

    def call() -> bool:
        with condition:
            return condition.wait(3)

    def notify() -> None:
        with condition:
            condition.notify_all()

    def judge(notified: object) -> None:
        assert notified is True

    in_wait(call, notify, spared=(RuntimeError,), after=judge)
    with condition:
        condition.notify_all()
    event = cy.Event()
    forker.child = None
    in_wait(lambda: event.wait(3), event.set, after=lambda found: found)


def test_a_fork_while_a_barrier_is_awaited() -> None:
    barrier = cy.Barrier(2)
    in_wait(
        lambda: barrier.wait(20),
        lambda: barrier.wait(20),
        spared=(threading.BrokenBarrierError,),
    )
    assert not barrier.broken
    assert barrier.n_waiting == 0


def test_a_lock_around_a_fork_is_the_parents() -> None:
    lock, value, table = cy.RLock(), cy.Value("i", 0), cy.Dict()

    def child() -> None:
        for each in (lock, value.get_lock(), table.get_lock()):
            assert not each.acquire(blocking=False)
            with pytest.raises(RuntimeError):
                each.release()

    with lock, value.get_lock(), table.get_lock():
        assert in_fork(child) == 0
        value.value += 1
        table["a"] = 1
    for each in (lock, value.get_lock(), table.get_lock()):
        assert each.acquire(timeout=20)
        each.release()


def test_pickles_of_courtyard_objects_that_fork() -> None:
    """A container with courtyard objects inside: they are listed while others are pickled."""
    table, inner = cy.Dict(), cy.Value("i", 4)
    forked(lambda: table.__setitem__("a", [inner, Reduced(LARGE), cy.List([1])]), table)
    assert table["a"][0].value == 4
    forker.child = None
    forked(lambda: pickle.dumps([inner, Reduced(1)]))
