"""A space opened with ``pickle=False``: plain values only, and nothing runs that was stored."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import run_script

PLAIN = [1, -(1 << 200), 2.5, True, None, "text" * 1000, b"x" * 100_000, [1, {"a": (2, {3})}], 1j]


@pytest.fixture
def title() -> Iterator[str]:
    """Give the name of a space that others fill."""
    title = f"trust {os.getpid()} {time.monotonic_ns()}"
    yield title
    cy.Space(title).destroy(force=True)


def test_plain_values_go_both_ways() -> None:
    space = cy.Space(pickle=False)
    d, q, v, x = space.dict(), space.Queue(), space.Value(object), space.list()
    for value in PLAIN:
        d["k"], v.value = value, value
        q.put(value)
        x.append(value)
        assert d["k"] == v.value == q.get() == x[-1] == value
    q.put_many(PLAIN)
    assert q.get_many(20) == PLAIN == x[:]
    d[1, "two"] = 3
    assert dict(d)[1, "two"] == 3


LOCKS: dict[str, Callable[[cy.Space], Any]] = {
    "Lock": lambda space: space.Lock(),
    "RLock": lambda space: space.RLock(),
    "Condition": lambda space: space.Condition(),
    "Semaphore": lambda space: space.Semaphore(1),
    "BoundedSemaphore": lambda space: space.BoundedSemaphore(1),
    "get_lock of a value": lambda space: space.Value("i").get_lock(),
    "get_lock of a dict": lambda space: space.dict().get_lock(),
}


@pytest.mark.parametrize("kind", LOCKS)
def test_locks_are_released(kind: str) -> None:
    """A Lock, an RLock and a Condition said that they were not held, and stayed so."""
    lock = LOCKS[kind](cy.Space(pickle=False))
    with lock:
        pass
    assert lock.acquire(timeout=1)
    lock.release()
    assert lock.acquire(False)
    lock.release()
    if kind == "RLock":
        with lock, lock:
            pass
        with pytest.raises(RuntimeError):
            lock.release()
    if kind == "Lock":
        with pytest.raises(RuntimeError):
            lock.release()


def test_those_who_wait_are_told() -> None:
    space = cy.Space(pickle=False)
    condition, event, barrier = space.Condition(), space.Event(), space.Barrier(2)

    def tell() -> None:
        event.wait()
        with condition:
            condition.notify_all()
        barrier.wait()

    thread = threading.Thread(target=tell)
    thread.start()
    with condition:
        event.set()
        assert condition.wait(10)
    barrier.wait(10)
    thread.join()


def test_nothing_is_pickled() -> None:
    space = cy.Space(pickle=False)
    d, q, v, x = space.dict(a=1), space.Queue(), space.Value(object), space.list([0])
    outside: Any = Decimal(1)
    stores: list[Callable[[], object]] = [
        lambda: d.__setitem__("a", outside),
        lambda: d.__setitem__(outside, 1),
        lambda: d.update(a=outside, b=2),
        lambda: d.setdefault("b", outside),
        lambda: d.mutate("a", lambda _: outside),
        lambda: d.__setitem__("lock", space.Lock()),
        lambda: q.put(outside),
        lambda: q.put_many([1, outside]),
        lambda: q.put([space.Lock()]),
        lambda: v.set(outside),
        lambda: x.append(outside),
        lambda: x.__setitem__(0, outside),
        lambda: x.extend([outside]),
        lambda: space.dict(a=outside),
        lambda: space.named("own", cy.Value, Decimal, 1),
    ]
    for store in stores:
        with pytest.raises(cy.NotTrusted, match="pickle=False"):
            store()
    while not q.empty():
        assert q.get() == 1, "what came before the refused one"
    assert (dict(d), v.value, x[:]) == ({"a": 1}, None, [0])


FILL = """
import courtyard as cy, sys
from decimal import Decimal
space = cy.Space(sys.argv[1])
space.named("d", cy.Dict, {"plain": 1, "evil": Decimal(1)})
space.named("k", cy.Dict)[Decimal(1)] = 1
space.named("q", cy.Queue).put_many([Decimal(1), 2])
space.named("l", cy.List, [1, Decimal(1)])
space.named("v", cy.Value, object).value = Decimal(1)
space.named("link", cy.Dict)["lock"] = space.Lock()
class Own: pass
space.named("own", cy.Value, Own)
"""


def test_nothing_is_unpickled(title: str) -> None:
    run_script(FILL, title)
    space = cy.Space(title, pickle=False)
    d = space["d"]
    assert d["plain"] == 1 and "evil" in d and len(d) == 2
    loads: list[Callable[[], object]] = [
        lambda: d["evil"],
        lambda: d.get("evil"),
        lambda: dict(d),
        lambda: list(d.values()),
        lambda: d.get_many(["evil"]),
        lambda: list(space["k"]),
        lambda: space["l"][1],
        lambda: space["l"][:],
        lambda: space["v"].value,
        lambda: space["link"]["lock"],
        lambda: space["own"],
        lambda: space["q"].get(),
    ]
    for load in loads:
        with pytest.raises(cy.NotTrusted, match="pickle=False"):
            load()
    assert space["l"][0] == 1
    space.check()


def test_others_in_the_same_process_are_trusted() -> None:
    """Code that runs during a use, and uses another space, is judged by that one."""
    distrusted, trusted = cy.Space(pickle=False), cy.Space()
    d, other = distrusted.dict(a=1), trusted.dict()

    def change(value: Any) -> Any:
        other["x"] = Decimal(value)
        return int(other["x"]) + 1

    assert d.mutate("a", change) == 2 and other["x"] == Decimal(1)
    event = distrusted.Event()
    assert event.wait_for(lambda _: other["x"] == Decimal(1), timeout=1)
    with pytest.raises(cy.NotTrusted):
        d["a"] = Decimal(1)
    assert other["x"] == Decimal(1)


def test_it_is_said_first(title: str) -> None:
    first = cy.Space(title)
    with pytest.raises(cy.CourtyardError, match="opened first"):
        cy.Space(title, pickle=False)
    script = """
import courtyard as cy, sys
from decimal import Decimal
strict, lax = cy.Space(sys.argv[1], pickle=False), cy.Space(sys.argv[1])
try:
    lax.dict()["a"] = Decimal(1)
except cy.NotTrusted:
    print("refused")
"""
    assert run_script(script, title).stdout == "refused\n"
    del first
