"""Code of the user's that runs inside calls: it re-enters, by this handle or another, or raises.

Whatever it does, the call ends in its result or an error, and the object is whole and usable.
"""

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork

Act = Callable[[], object]
Call = Callable[[Any, Act], object]


class Raised(Exception):
    """What the callbacks here raise."""


class Acting:
    """A value whose operators, comparisons and pickling run the user's code."""

    act: Act = staticmethod(lambda: None)  # of the call under way; not pickled

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def _other(self, other: object) -> Any:
        type(self).act()
        return getattr(other, "number", other)

    def __eq__(self, other: object) -> bool:
        return bool(self.number == self._other(other))

    def __hash__(self) -> int:
        type(self).act()
        return hash(self.number)

    def __lt__(self, other: object) -> bool:
        return bool(self.number < self._other(other))

    def __gt__(self, other: object) -> bool:
        return bool(self.number > self._other(other))

    def __add__(self, other: object) -> "Acting":
        return Acting(self.number + self._other(other))

    def __radd__(self, other: object) -> "Acting":
        return Acting(self.number + self._other(other))

    def __int__(self) -> int:
        type(self).act()
        return self.number

    __index__ = __int__


class Pickled(Acting):
    """One whose pickling and loading run the user's code."""

    def __reduce__(self) -> tuple[Any, ...]:
        type(self).act()
        return load, (self.number,)


def load(number: int) -> Pickled:
    Pickled.act()
    return Pickled(number)


def acting(act: Act) -> Acting:
    Acting.act = staticmethod(act)
    return Acting(1)


def pickled(act: Act) -> Pickled:
    Pickled.act = staticmethod(act)
    return Pickled(1)


def then(act: Act, result: Any) -> Callable[..., Any]:
    """Return a function that acts and returns that."""

    def function(*_: object) -> Any:
        act()
        return result

    return function


def holding(make: Callable[[], Any], put: Callable[[Any, Any], object]) -> Callable[[], Any]:
    """Return what makes an object with values in it that act when they are looked at."""

    def made() -> Any:
        found = make()
        for number in (3, 1, 2):
            put(found, Acting(number))
        return found

    return made


def loading(make: Callable[[], Any], put: Callable[[Any, Any], object]) -> Callable[[], Any]:
    def made() -> Any:
        found = make()
        for number in (3, 1, 2):
            put(found, Pickled(number))
        return found

    return made


def table(value: Any = 1) -> Callable[[], Any]:
    return lambda: cy.Dict(k=value, other=1)


def change_key(d: Any) -> None:
    with suppress(KeyError):
        d["k"] = d.get("n", 0) + 1
    d["n"] = d.get("n", 0) + 1


def change_list(x: Any) -> None:
    x.append(9)
    x[0] = len(x)


def change_value(v: Any) -> None:
    v.set(1)


def change_queue(q: Any) -> None:
    q.put(Acting(5))


def change_set(s: Any) -> None:
    s.add(len(s))
    s.discard(1)


def armed(call: Call) -> Call:
    """Let the values of all kinds act in this call."""

    def made(found: Any, act: Act) -> object:
        acting(act)
        pickled(act)
        return call(found, act)

    return made


DICT: list[tuple[str, Callable[[], Any], Call]] = [
    ("mutate", table(), lambda d, act: d.mutate("k", then(act, 7))),
    ("mutate default", table(), lambda d, act: d.mutate("z", then(act, 7), default=1)),
    ("mutate result", table(), lambda d, act: d.mutate("k", lambda _: pickled(act))),
    ("increment", table(), lambda d, act: d.increment("k", acting(act))),
    ("increment value", table(Acting(1)), armed(lambda d, act: d.increment("k", 1))),
    ("compare_exchange", table(), lambda d, act: d.compare_exchange("k", acting(act), 5)),
    ("compare_exchange new", table(), lambda d, act: d.compare_exchange("k", 1, pickled(act))),
    ("store", table(), lambda d, act: d.__setitem__("k", pickled(act))),
    ("store key", table(), lambda d, act: d.__setitem__(pickled(act), 1)),
    ("find key", table(), lambda d, act: d.get(pickled(act))),
    ("setdefault", table(), lambda d, act: d.setdefault("z", pickled(act))),
    ("setdefault key", table(), lambda d, act: d.setdefault(pickled(act), 1)),
    ("update", table(), lambda d, act: d.update(a=pickled(act), k=pickled(act))),
    ("update iterable", table(), lambda d, act: d.update(("k", then(act, i)()) for i in range(3))),
    ("pop loads", table(Pickled(1)), armed(lambda d, act: d.pop("k"))),
    ("popitem loads", lambda: cy.Dict(k=Pickled(1)), armed(lambda d, act: d.popitem())),
    ("get loads", table(Pickled(1)), armed(lambda d, act: d["k"])),
    ("get_many loads", table(Pickled(1)), armed(lambda d, act: d.get_many(["k", "other"]))),
    ("items load", table(Pickled(1)), armed(lambda d, act: list(d.items()))),
    ("equal", table(Acting(1)), armed(lambda d, act: d == {"k": Acting(1), "other": 1})),
    ("wait_for", table(), lambda d, act: d.wait_for(then(act, False), 0.02)),
    ("wait_for equal", table(), lambda d, act: d.wait_for(acting(act), 0.02)),
]
COUNTER: list[tuple[str, Callable[[], Any], Call]] = [
    ("update", lambda: cy.Counter(k=1), lambda c, act: c.update({"k": acting(act)})),
    ("subtract", lambda: cy.Counter(k=1), lambda c, act: c.subtract(then(act, "ka")())),
    ("iadd", lambda: cy.Counter(k=1), lambda c, act: c.__iadd__(cy.Counter({"k": pickled(act)}))),
]
LIST: list[tuple[str, Callable[[], Any], Call]] = [
    ("sort key", lambda: cy.List([3, 1, 2]), lambda x, act: x.sort(key=lambda n: (act(), str(n)))),
    ("sort", holding(cy.List, cy.List.append), armed(lambda x, act: x.sort())),
    ("remove", lambda: cy.List([3, 1, 2]), lambda x, act: x.remove(acting(act))),
    ("remove none", lambda: cy.List([3, 2]), lambda x, act: x.remove(acting(act))),
    ("index", lambda: cy.List([3, 1, 2]), lambda x, act: x.index(acting(act))),
    ("count", lambda: cy.List([3, 1, 2]), lambda x, act: x.count(acting(act))),
    ("contains", lambda: cy.List([3, 1, 2]), lambda x, act: acting(act) in x),
    ("append", lambda: cy.List([3, 1, 2]), lambda x, act: x.append(pickled(act))),
    ("insert", lambda: cy.List([3, 1, 2]), lambda x, act: x.insert(1, pickled(act))),
    ("insert first", lambda: cy.List([3, 1, 2]), lambda x, act: x.insert(0, pickled(act))),
    ("insert last", lambda: cy.List([3, 1, 2]), lambda x, act: x.insert(99, pickled(act))),
    ("set", lambda: cy.List([3, 1, 2]), lambda x, act: x.__setitem__(1, pickled(act))),
    ("extend", lambda: cy.List([3, 1, 2]), lambda x, act: x.extend([pickled(act)] * 2)),
    (
        "assign",
        lambda: cy.List([3, 1, 2]),
        lambda x, act: x.__setitem__(slice(0, 2), [pickled(act)] * 3),
    ),
    ("index of", lambda: cy.List([3, 1, 2]), lambda x, act: x[acting(act)]),
    ("pop loads", loading(cy.List, cy.List.append), armed(lambda x, act: x.pop())),
    ("pop first loads", loading(cy.List, cy.List.append), armed(lambda x, act: x.pop(0))),
    ("pop middle loads", loading(cy.List, cy.List.append), armed(lambda x, act: x.pop(1))),
    ("repeat loads", loading(cy.List, cy.List.append), armed(lambda x, act: x.__imul__(2))),
    ("iterate loads", loading(cy.List, cy.List.append), armed(lambda x, act: list(x))),
    ("less", holding(cy.List, cy.List.append), armed(lambda x, act: x < [Acting(3), Acting(4)])),
    ("wait_for", lambda: cy.List([3]), lambda x, act: x.wait_for(then(act, False), 0.02)),
]
DEQUE: list[tuple[str, Callable[[], Any], Call]] = [
    ("pop loads", loading(cy.Deque, cy.Deque.append), armed(lambda x, act: x.pop())),
    ("popleft loads", loading(cy.Deque, cy.Deque.append), armed(lambda x, act: x.popleft())),
    ("remove", lambda: cy.Deque([3, 1, 2]), lambda x, act: x.remove(acting(act))),
]
VALUE: list[tuple[str, Callable[[], Any], Call]] = [
    ("increment", lambda: cy.Value(object, 1), lambda v, act: v.increment(acting(act))),
    ("exchange", lambda: cy.Value(object, 1), lambda v, act: v.exchange(pickled(act))),
    (
        "compare_exchange",
        lambda: cy.Value(object, 1),
        lambda v, act: v.compare_exchange(acting(act), 5),
    ),
    ("raw increment", lambda: cy.RawValue(object, 1), lambda v, act: v.increment(acting(act))),
    ("mutate", lambda: cy.Value(object, 1), lambda v, act: v.mutate(then(act, 7))),
    ("mutate result", lambda: cy.Value(object, 1), lambda v, act: v.mutate(lambda _: pickled(act))),
    ("raw mutate", lambda: cy.RawValue(object, 1), lambda v, act: v.mutate(then(act, 7))),
    ("mutate number", lambda: cy.Value("i", 1), lambda v, act: v.mutate(then(act, 7))),
    ("mutate to number", lambda: cy.Value("i", 1), lambda v, act: v.mutate(lambda _: acting(act))),
    ("number", lambda: cy.Value("i", 1), lambda v, act: v.compare_exchange(acting(act), 5)),
    ("set number", lambda: cy.Value("i", 1), lambda v, act: v.set(acting(act))),
    ("load", lambda: cy.Value(object, Pickled(1)), armed(lambda v, act: v.get())),
    ("wait_for", lambda: cy.Value("i", 0), lambda v, act: v.wait_for(then(act, False), 0.02)),
    ("wait_for equal", lambda: cy.Value("i", 0), lambda v, act: v.wait_for(acting(act), 0.02)),
]
QUEUE: list[tuple[str, Callable[[], Any], Call]] = [
    ("put pickles", cy.Queue, lambda q, act: q.put(pickled(act))),
    ("put least", holding(cy.PriorityQueue, cy.Queue.put), armed(lambda q, act: q.put(Acting(0)))),
    ("get least", holding(cy.PriorityQueue, cy.Queue.put), armed(lambda q, act: q.get())),
    (
        "get_nowait",
        holding(cy.PriorityQueue, cy.Queue.put),
        armed(lambda q, act: q.get_nowait()),
    ),
    (
        "get_many",
        holding(cy.PriorityQueue, cy.Queue.put),
        armed(lambda q, act: q.get_many(2)),
    ),
    (
        "lease",
        holding(cy.PriorityQueue, cy.Queue.put),
        armed(lambda q, act: q.lease().__enter__()),
    ),
    ("get loads", loading(cy.Queue, cy.Queue.put), armed(lambda q, act: q.get())),
    ("get_many loads", loading(cy.Queue, cy.Queue.put), armed(lambda q, act: q.get_many(3))),
    ("last loads", loading(cy.LifoQueue, cy.Queue.put), armed(lambda q, act: q.get())),
    ("put_many", cy.Queue, lambda q, act: q.put_many(then(act, i)() for i in range(3))),
]
SET: list[tuple[str, Callable[[], Any], Call]] = [
    ("add", lambda: cy.Set([1, 2]), lambda s, act: s.add(pickled(act))),
    ("pop loads", loading(cy.Set, cy.Set.add), armed(lambda s, act: s.pop())),
    ("contains", lambda: cy.Set([1, 2]), lambda s, act: pickled(act) in s),
    ("update", lambda: cy.Set([1, 2]), lambda s, act: s.update([pickled(act), 5])),
    ("intersection", lambda: cy.Set([1, 2]), lambda s, act: s & {acting(act)}),
    ("iterate loads", loading(cy.Set, cy.Set.add), armed(lambda s, act: list(s))),
]

TABLE = [
    pytest.param(make, call, change, id=f"{kind} {name}")
    for kind, rows, change in (
        ("Dict", DICT, change_key),
        ("Counter", COUNTER, change_key),
        ("List", LIST, change_list),
        ("Deque", DEQUE, change_list),
        ("Value", VALUE, change_value),
        ("Queue", QUEUE, change_queue),
        ("Set", SET, change_set),
    )
    for name, make, call in rows
]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    """Let values act in the call under test only."""
    yield
    Acting.act = Pickled.act = staticmethod(lambda: None)


def run(call: Call, found: Any, act: Act) -> BaseException | None:
    try:
        call(found, act)
    except Exception as error:
        return error
    finally:
        Acting.act = Pickled.act = staticmethod(lambda: None)
    return None


@pytest.mark.limit(30)
@pytest.mark.parametrize(("make", "call", "change"), TABLE)
def test_callback_ends(make: Callable[[], Any], call: Call, change: Callable[[Any], None]) -> None:
    """It changes the object by this handle, by another one, and raises."""
    for by in ("this handle", "another handle"):
        found = make()
        other = found if by == "this handle" else pickle.loads(pickle.dumps(found))
        inside = False

        def act(other: Any = other) -> None:
            nonlocal inside
            if not inside:  # not what the change itself comes to
                inside = True
                try:
                    change(other)
                finally:
                    inside = False

        error = run(call, found, act)
        allowed = (RuntimeError, ValueError, KeyError, IndexError, Empty, Full, TypeError)
        assert error is None or isinstance(error, allowed), (by, error)
        found.check()

    found, calls = make(), 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        raise Raised

    error = run(call, found, stop)
    cause = error.__cause__ if isinstance(error, cy.LoadError) else error
    assert isinstance(cause, Raised) or calls == 0, error
    found.check()
    with suppress(AttributeError):
        assert found.get_lock().acquire(False)  # nothing is left locked
        found.get_lock().release()


def test_own_changes_are_errors() -> None:
    """What can never come to a result says so."""
    d = cy.Dict(k=1)
    with pytest.raises(RuntimeError, match="must not change"):
        d.mutate("k", lambda n: int(bool(d.set_many({"k": n + 1}))))  # type: ignore[func-returns-value]
    x = cy.List([3, 1, 2])
    with pytest.raises(ValueError, match="list modified during sort"):
        x.sort(key=lambda n: x.append(n) or n)  # type: ignore[func-returns-value]
    q = cy.PriorityQueue()
    q.put(Acting(1))
    again = pickle.loads(pickle.dumps(q))
    acting(lambda: again.put(Acting(2)))
    with pytest.raises(RuntimeError, match="comparison"):
        q.put(Acting(0))
    Acting.act = staticmethod(lambda: None)
    assert q.qsize() == 1


@pytest.mark.parametrize("timeout", [0.05, None, 30])
@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.limit(20)
def test_action_waits_at_its_own_barrier(timeout: float | None, swallows: bool) -> None:
    """As in threading the barrier breaks."""

    def action() -> None:
        try:
            again.wait(timeout)
        except threading.BrokenBarrierError:
            if not swallows:
                raise

    with cy.Space() as space:
        barrier = cy.Barrier.named("b", 1, action, space=space)
        again = barrier
        for _ in range(2):
            with pytest.raises(threading.BrokenBarrierError):
                barrier.wait()
            assert barrier.broken
            barrier.reset()
            assert not barrier.broken
            again = cy.Barrier.named("b", 1, space=space)


@pytest.mark.limit(20)
def test_other_thread_waits_during_the_action() -> None:
    """Its timeout ends its wait, too, and breaks the barrier."""
    raised: list[BaseException] = []

    def other() -> None:
        try:
            barrier.wait(0.05)
        except threading.BrokenBarrierError as error:
            raised.append(error)

    def action() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    barrier = cy.Barrier(1, action)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    assert raised


@pytest.mark.parametrize("make", [cy.Lock, cy.RLock])
@pytest.mark.limit(30)
def test_ctrl_c_while_the_lock_is_taken_again(make: Callable[[], Any]) -> None:
    """The lock is held when ``wait`` ends, as the docstring says."""
    lock = make()
    condition = cy.Condition(lock)
    held, go = cy.Event(), cy.Event()

    def hold() -> None:
        with condition:
            condition.notify()
            held.set()
            go.wait(20)

    main = threading.get_ident()

    def press() -> None:
        assert held.wait(20)
        for _ in range(3):
            time.sleep(0.05)
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.05)
        go.set()

    presser = threading.Thread(target=press)
    condition.acquire()
    child = fork(hold)
    try:
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            condition.wait(20)
        assert go.is_set()  # it waited for the holder
        if make is cy.RLock:
            assert lock._is_owned()
        assert lock.locked()
        lock.release()  # of ours, not the child's
        assert os.waitpid(child, 0)[1] == 0
    finally:
        go.set()
        presser.join()
