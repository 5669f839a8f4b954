"""Queues in a space that is full to the last byte: what does not load is not lost."""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any

import pytest

import courtyard as cy

np = pytest.importorskip("numpy")

CLASSES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue]
on_load: Callable[[int], object] = int


class Fragile:
    """One whose loading calls what the test says."""

    def __init__(self, number: int, payload: Any = None) -> None:
        self.number, self.payload = number, payload

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (self.number, self.payload)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fragile) and self.number == other.number

    def __hash__(self) -> int:
        return self.number

    def __lt__(self, other: Any) -> bool:
        return bool(self.number < getattr(other, "number", other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.number > getattr(other, "number", other))

    def __repr__(self) -> str:
        return f"Fragile({self.number})"


def load(number: int, payload: Any) -> Fragile:
    on_load(number)
    return Fragile(number, payload)


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    yield
    loading(int)


def loading(call: Callable[[int], object]) -> None:
    global on_load
    on_load = call


def fail(number: int) -> None:
    raise ValueError(number)


def order(item: Any) -> Any:
    return getattr(item, "number", item)


def interrupt(number: int) -> None:
    signal.raise_signal(signal.SIGINT)


@contextmanager
def full(cls: Any, items: list[Any]) -> Iterator[Any]:
    """Make a queue of these items in a space in which nothing else has room."""
    with cy.Space(size_limit=3 << 20) as space:
        q: Any = cls.named("q", space=space)
        q.put(0)
        q.get()  # takes a row for what this process gets
        q.task_done()
        q.put_many(items)
        rows: Any = cy.List.named("rows", [0] * 60_000, space=space)
        at = 0
        for size in (60_000, 9000, 3000, 1000, 500, 250, 120, 90, 70, 40, 20, 9):
            with suppress(cy.SpaceFull):
                while True:
                    rows[at] = b"x" * size
                    at += 1
        yield q
        q.check()
        space.destroy()


def rest(q: Any) -> list[Any]:
    """Take all that is left, one by one."""
    loading(int)
    items = []
    while not q.empty():
        items.append(q.get_nowait())
    return items


GETS = [
    lambda q: q.get(),
    lambda q: q.get_nowait(),
    lambda q: q.get(timeout=1),
    lambda q: q.get_many(1)[0],
]


@pytest.mark.parametrize("get", GETS)
def test_another_takes_one_while_it_fails_to_load(get: Callable[[Any], Any]) -> None:
    with full(cy.Queue, [Fragile(1), 2, 3]) as q:
        other, got = cy.Queue.named("q", space=q.space), []

        def race(number: int) -> None:
            loading(int)
            got.append(other.get())
            raise ValueError

        loading(race)
        with pytest.raises(cy.LoadError):
            get(q)
        assert q.qsize() == q.unfinished_tasks - 1 == 2
        assert sorted(got + rest(q), key=str) == [2, 3, Fragile(1)]


@pytest.mark.parametrize("get", GETS)
def test_another_takes_one_while_it_loads(get: Callable[[Any], Any]) -> None:
    with full(cy.Queue, [Fragile(1), Fragile(2), 3]) as q:
        other, got = cy.Queue.named("q", space=q.space), []

        def race(number: int) -> None:
            loading(int)
            got.append(other.get())

        loading(race)
        got.append(get(q))
        assert q.qsize() == 1
        assert sorted(got + rest(q), key=str) == [3, Fragile(1), Fragile(2)]


def test_others_take_one_each_time() -> None:
    """It does not go on for ever."""
    with full(cy.Queue, [Fragile(n) for n in range(5)]) as q:
        other, calls = cy.Queue.named("q", space=q.space), []

        def race(number: int) -> None:
            calls.append(number)
            loading(int)
            other.put(other.get())
            loading(race)

        loading(race)
        with pytest.raises(cy.SpaceFull, match="while it was loaded first"):
            q.get(timeout=20)
        assert 5 < len(calls) < 100
        loading(int)
        assert sorted(item.number for item in rest(q)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("call", "error"), [(fail, cy.LoadError), (interrupt, KeyboardInterrupt)])
@pytest.mark.parametrize("cls", CLASSES)
def test_get_many_with_one_that_fails(cls: Any, call: Any, error: Any) -> None:
    items = [1, 2, Fragile(3), 4] if cls is not cy.LifoQueue else [4, Fragile(3), 2, 1]
    with full(cls, items) as q:
        loads = [0]

        def now_and_then(number: int) -> None:
            loads[0] += 1
            if loads[0] % 2 == 0 or cls is not cy.PriorityQueue:
                call(number)

        loading(now_and_then)
        got: list[Any] = []
        for _ in range(12):
            with suppress(error, Empty):
                got += q.get_many(4, timeout=0)
            assert len(got) + q.qsize() == 4
            assert q.unfinished_tasks == 4
        if cls is cy.Queue:
            assert got == [1, 2]  # and the next one stays
        found = got + rest(q)
        if cls is cy.PriorityQueue:  # what does not load when it is compared goes last
            found.sort(key=lambda item: getattr(item, "number", item))
        assert found == [1, 2, Fragile(3), 4]


@pytest.mark.parametrize("cls", CLASSES)
def test_get_many_takes_what_it_can(cls: Any) -> None:
    """Nothing fails; a batch may end early, and the next one goes on."""
    texts = [f"{n:02}" + "x" * 60 for n in range(20)]
    for items in ([*range(20)], texts, [Fragile(n) for n in range(20)], [1, Fragile(2)] * 5):
        with full(cls, list(items)) as q:
            got: list[Any] = []
            while not q.empty():
                batch = q.get_many(7)
                assert batch
                got += batch
            assert sorted(got, key=order) == sorted(items, key=order)


@pytest.mark.parametrize("size", [400, 40_000])
@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("get", [lambda q: q.get(copy=False), lambda q: q.get_many(3)])
def test_views_of_it_are_in_use(cls: Any, get: Callable[[Any], Any], size: int) -> None:
    """An exception's traceback holds the arrays of what did not load."""
    array = np.arange(size / 8)
    with full(cls, [Fragile(1, array)]) as q:
        loading(fail)
        for _ in range(3):
            with pytest.raises(cy.LoadError) as info:
                get(q)
            assert q.qsize() in (0, 1)
            del info
            gc.collect()
            assert q.qsize() == q.unfinished_tasks == 1
        (item,) = rest(q)
        assert (item.payload == array).all()
        q.task_done()
        assert q.unfinished_tasks == 0


def test_views_outlive_their_queue() -> None:
    """The handle is closed meanwhile; another one gets the item."""
    array = np.arange(5000.0)
    with full(cy.Queue, [Fragile(1, array)]) as q:
        other: Any = cy.Queue.named("q", space=q.space)
        loading(fail)
        with pytest.raises(cy.LoadError) as info:
            other.get(copy=False)
        other.close()
        del other, info
        gc.collect()
        assert q.qsize() == 1
        assert (rest(q)[0].payload == array).all()
