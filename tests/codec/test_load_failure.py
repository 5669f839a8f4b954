"""Values that cannot be loaded stay where they are: what cannot be done changes nothing."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Full
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, kill

np = pytest.importorskip("numpy")

broken: set[int] = set()
raises: Callable[[], BaseException] = ValueError


class Fragile:
    """One that loads only while it is not broken."""

    def __init__(self, number: int, payload: Any = None) -> None:
        self.number, self.payload = number, payload

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (self.number, self.payload)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fragile) and self.number == other.number

    def __lt__(self, other: "Fragile") -> bool:
        return self.number < other.number

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return f"Fragile({self.number})"


def load(number: int, payload: Any) -> Fragile:
    if number in broken:
        raise raises()
    return Fragile(number, payload)


@pytest.fixture(autouse=True)
def _whole() -> Iterator[None]:
    global raises
    broken.clear()
    raises = ValueError
    yield
    broken.clear()


def table(cls: Any, key: Any = "k") -> Any:
    d = cls()
    d["first"] = 1
    d[key] = Fragile(1)
    return d


def members() -> Any:
    s: Any = cy.Set([1, 2])
    s.add(Fragile(1))
    return s


def row(cls: Any) -> Any:
    return cls([Fragile(1), 5, Fragile(1), "text" * 9, Fragile(1)])


def queue(cls: Any, payload: Any = None) -> Any:
    q = cls()
    q.put(Fragile(1, payload))
    return q


LARGE = b"x" * 10_000
ARRAY = np.arange(5000.0)

CASES: list[tuple[str, Callable[[], Any], Callable[[Any], Any]]] = [
    ("Dict.pop", lambda: table(cy.Dict), lambda d: d.pop("k")),
    ("Dict.pop default", lambda: table(cy.Dict), lambda d: d.pop("k", None)),
    ("Dict.popitem", lambda: table(cy.Dict), lambda d: d.popitem()),
    ("Dict.popitem key", lambda: table(cy.Dict, Fragile(1)), lambda d: d.popitem()),
    ("Dict.popitem tuple", lambda: table(cy.Dict, (1, Fragile(1))), lambda d: d.popitem()),
    ("Dict.setdefault", lambda: table(cy.Dict), lambda d: d.setdefault("k", 5)),
    ("Dict.mutate", lambda: table(cy.Dict), lambda d: d.mutate("k", lambda _: 5)),
    ("Dict.increment", lambda: table(cy.Dict), lambda d: d.increment("k")),
    ("Dict.compare_exchange", lambda: table(cy.Dict), lambda d: d.compare_exchange("k", 1, 2)),
    ("NestedDict.pop", lambda: table(cy.NestedDict), lambda d: d.pop("k")),
    ("Counter.pop", lambda: table(cy.Counter), lambda d: d.pop("k")),
    ("Counter.popitem", lambda: table(cy.Counter), lambda d: d.popitem()),
    ("Set.pop", members, lambda s: s.pop()),
    ("List.pop", lambda: row(cy.List), lambda x: x.pop()),
    ("List.pop first", lambda: row(cy.List), lambda x: x.pop(0)),
    ("List.pop middle", lambda: row(cy.List), lambda x: x.pop(2)),
    ("List.pop negative", lambda: row(cy.List), lambda x: x.pop(-3)),
    ("List.sort", lambda: row(cy.List), lambda x: x.sort(key=str)),
    ("Deque.pop", lambda: row(cy.Deque), lambda x: x.pop()),
    ("Deque.popleft", lambda: row(cy.Deque), lambda x: x.popleft()),
    ("Value.exchange", lambda: cy.Value(object, Fragile(1)), lambda v: v.exchange(2)),
    ("Value.increment", lambda: cy.Value(object, Fragile(1)), lambda v: v.increment()),
    *(
        (f"{cls.__name__}.{name}{what}", lambda c=cls, p=payload: queue(c, p), call)
        for cls in (cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue)
        for what, payload in (("", None), (" large", LARGE), (" array", ARRAY))
        for name, call in (
            ("get", lambda q: q.get()),
            ("get_nowait", lambda q: q.get_nowait()),
            ("get timeout", lambda q: q.get(timeout=1)),
            ("get_many", lambda q: q.get_many(5)),
            ("lease", lambda q: q.lease().__enter__()),
        )
    ),
]


def raised(error: Any) -> Any:
    """Return what a program sees of what loading a value raises."""
    return cy.LoadError if issubclass(error, Exception) else error


def shape(found: Any) -> Any:
    """Return what can be seen of an object whose values do not load."""
    if isinstance(found, cy.Queue):
        return found.qsize(), found.unfinished_tasks, found.empty()
    return None if isinstance(found, cy.Value) else len(found)


def content(found: Any) -> Any:
    if isinstance(found, cy.Queue):
        items = found.get_many(100)
        found.put_many(items)
        return items
    return found.get() if isinstance(found, cy.Value) else str(found)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize(("make", "call"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_stays(make: Callable[[], Any], call: Callable[[Any], Any], error: Any) -> None:
    """As often as it is tried; and it is there when it loads again."""
    global raises
    raises = error
    found = make()
    before, there = content(found), shape(found)
    broken.add(1)
    for _ in range(3):
        with pytest.raises(raised(error)):
            call(found)
        assert shape(found) == there
    broken.clear()
    assert content(found) == before
    if call.__code__.co_names[-1] != "increment":
        call(found)  # and now it can be done
    found.check()


def test_what_needs_no_value_can_be_done() -> None:
    broken.add(1)
    d = table(cy.Dict)
    del d["k"]
    d["k"] = Fragile(1)
    d["k"] = 2
    assert dict(d) == {"first": 1, "k": 2}
    c = table(cy.Counter)
    del c["k"], c["k"]
    assert dict(c) == {"first": 1}
    for cls in (cy.List, cy.Deque):
        x = row(cls)
        del x[0]
        del x[-1]
        del x[1]
        assert list(x) == [5, "text" * 9]


def put_all(q: Any) -> list[Any]:
    items = [1, "text", Fragile(0), 2, 3, LARGE, Fragile(0, LARGE), [4], b"short", 2.5]
    items += [cy.Value("i", 7), None, "x" * 3000, Fragile(0, ARRAY), Fragile(0)] * 20
    q.put_many([*items, Fragile(1), 9])
    return items


def plain(items: list[Any]) -> list[Any]:
    return [item.value if isinstance(item, cy.Value) else item for item in items]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_get_many_gives_all_back(error: Any) -> None:
    """In their order, first in line; nothing of it counts as taken."""
    global raises
    raises = error
    q = cy.Queue()
    items = put_all(q)
    broken.add(1)
    for _ in range(2):
        with pytest.raises(raised(error)):
            q.get_many(len(items) + 1)
        assert q.qsize() == q.unfinished_tasks == len(items) + 2
    assert plain(q.get_many(5)) == items[:5]
    with pytest.raises(raised(error)):
        q.get_many(1000)
    assert plain(q.get_many(len(items) - 5)) == plain(items[5:])
    with pytest.raises(raised(error)):
        q.get()
    broken.clear()
    assert q.get_many(9) == [Fragile(1), 9]
    for _ in range(len(items) + 2):
        q.task_done()
    assert q.unfinished_tasks == 0
    q.check()


@pytest.mark.parametrize("cls", [cy.LifoQueue, cy.PriorityQueue])
def test_get_many_of_other_orders(cls: Any) -> None:
    q = cls()
    for number in (3, 1, 4, 2, 0):
        q.put(Fragile(number))
    order = [0, 2, 4, 1, 3] if cls is cy.LifoQueue else [0, 1, 2, 3, 4]
    broken.add(order[3])
    if cls is cy.LifoQueue:  # the other one loads all to compare them
        with pytest.raises(cy.LoadError):
            q.get_many(5)
        assert q.qsize() == 5
    broken.clear()
    assert [item.number for item in q.get_many(9)] == order


def test_ctrl_c_in_get_many() -> None:
    """Pressed while an item loads."""
    q = cy.Queue()
    q.put_many([1, "text", Fragile(2), slow_item(), 5])
    with pytest.raises(KeyboardInterrupt):
        q.get_many(5)
    assert q.qsize() == q.unfinished_tasks == 5
    assert q.get_many(3) == [1, "text", Fragile(2)]


def load_slowly() -> None:
    """Take long; Ctrl-C is pressed meanwhile."""
    loader = threading.get_ident()
    threading.Timer(0.1, signal.pthread_kill, (loader, signal.SIGINT)).start()
    time.sleep(20)


class Slow:
    def __reduce__(self) -> tuple[Any, ...]:
        return load_slowly, ()


def slow_item() -> Slow:
    return Slow()


@pytest.mark.usefixtures("own_home")
@pytest.mark.parametrize("payload", [None, LARGE, ARRAY])
def test_memory_is_flat(payload: Any) -> None:
    q, d, x = queue(cy.Queue, payload), cy.Dict(), cy.List()
    d["k"] = Fragile(1, payload)
    x.append(Fragile(1, payload))
    broken.add(1)
    used = 0
    for turn in range(300):
        for call in (q.get, lambda: q.get_many(2), lambda: d.pop("k"), d.popitem, x.pop):
            with pytest.raises(cy.LoadError):
                call()
        if turn == 20:
            used = q.statistics().space.used
    assert q.statistics().space.used <= used + 4096
    q.check()


def test_full_queue() -> None:
    """An item that is given back has its place, also where a put came meanwhile."""
    q = cy.Queue(2)
    q.put(Fragile(1))
    q.put(2)
    broken.add(1)
    with pytest.raises(cy.LoadError):
        q.get()
    assert q.full() and q.qsize() == 2
    with pytest.raises(Full):
        q.put(3, timeout=0.01)
    broken.clear()
    assert q.get_many(3) == [Fragile(1), 2]


def test_beside_others() -> None:
    """Each item comes to one of those that can load it."""
    q, got = cy.Queue(), cy.List()
    mine = threading.local()

    class Picky:
        def __init__(self, number: int) -> None:
            self.number = number

        def __reduce__(self) -> tuple[Any, ...]:
            return pick, (self.number,)

    def consume(picky: bool) -> None:
        mine.picky = picky
        while True:
            try:
                item = q.get(timeout=20)
            except cy.LoadError:
                time.sleep(0)
                continue
            if item is None:
                return
            got.append(item)

    global pick_here
    pick_here = mine
    q.put_many([Picky(number) if number % 3 else number for number in range(600)])
    q.put_many([None] * 4)
    threads = [threading.Thread(target=consume, args=(n % 2 == 0,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got) == list(range(600))
    q.check()


pick_here: Any = None


def pick(number: int) -> int:
    if getattr(pick_here, "picky", False) and number % 2:
        raise ValueError
    return number


class Moody:
    """Loads every second time, whoever tries."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return moody, (self.number,)


def moody(number: int) -> int:
    if random.random() < 0.5:
        raise ValueError
    return number


def consume_moody(q: Any, got: Any) -> None:
    random.seed(os.getpid())
    while True:
        try:
            got.extend(q.get_many(3) if random.random() < 0.3 else [q.get()])
        except cy.LoadError:
            continue


def test_killed_while_items_fail() -> None:
    """A killed consumer loses what it had in hand, at most; what it gave back is there."""
    q, got, put, kills = cy.Queue(), cy.List(), 0, 30
    for turn in range(kills):
        q.put_many([Moody(put + n) for n in range(40)])
        put += 40
        children = [fork(consume_moody, q, got) for _ in range(2)]
        time.sleep(random.random() * 0.02)
        for child in children:
            kill(child)
        if turn % 10 == 0:
            q.check()
    while q.qsize():
        with suppress(cy.LoadError):
            got.append(q.get())
    numbers = list(got)
    assert len(numbers) == len(set(numbers))  # none twice
    assert put - len(numbers) <= kills * 2 * 3  # each kill: what get or get_many had in hand
    q.check()


def test_full_space() -> None:
    """Where there is no room for a block either, an item goes back to where it lay."""
    with cy.Space(size_limit=3 << 20) as space:
        q = cy.Queue.named("q", space=space)
        q.put(0)
        assert q.get() == 0  # which takes a row for what this process gets
        q.task_done()
        q.put_many([Fragile(1), 5, Fragile(1)])
        rows = cy.List.named("rows", [0] * 60_000, space=space)
        at = 0
        for size in (60_000, 9000, 3000, 1000, 500, 250, 120, 90, 70, 40, 20, 9):
            with suppress(cy.SpaceFull):
                while True:
                    rows[at] = b"x" * size
                    at += 1
        broken.add(1)
        for _ in range(3):
            for call in (q.get, q.get_nowait, lambda: q.get(timeout=0.1), lambda: q.get_many(1)):
                with pytest.raises(cy.LoadError):
                    call()
                assert q.qsize() == q.unfinished_tasks == 3
        broken.clear()
        assert q.get_many(9) == [Fragile(1), 5]  # and they could not go back if the next one failed
        assert q.get_many(9) == [Fragile(1)]
        q.check()
