"""Times that make no sense: a clear error from all that takes one, and nothing has changed."""

import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import courtyard as cy
import courtyard.multiprocessing as drop_in

NAN, INF = float("nan"), float("inf")


def held(lock: Any) -> Any:
    """Return a lock that another thread holds."""
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    return lock


def full(q: Any) -> Any:
    q.put(1)
    return q


def inside(condition: Any, call: Callable[[Any], Any]) -> Any:
    with condition:
        return call(condition)


def lease_of(q: Any) -> Any:
    q.put(1)
    lease = q.lease()
    lease.__enter__()
    return lease


def begun(lease: Any) -> Any:
    with lease as item:
        return item


# Calls that would wait if the time were right.
WAITS: dict[str, Callable[[Any], Any]] = {
    "Lock": lambda t: held(cy.Lock()).acquire(True, t),
    "RLock": lambda t: held(cy.RLock()).acquire(timeout=t),
    "drop-in Lock": lambda t: held(drop_in.Lock()).acquire(True, t),
    "Value": lambda t: held(cy.Value("i")).acquire(True, t),
    "Value lock": lambda t: held(cy.Value("i").get_lock()).acquire(True, t),
    "Array": lambda t: held(cy.Array("i", 2)).acquire(True, t),
    "Dict lock": lambda t: held(cy.Dict().get_lock()).acquire(True, t),
    "Condition lock": lambda t: held(cy.Condition(cy.Lock())).acquire(True, t),
    "Semaphore": lambda t: cy.Semaphore(0).acquire(True, t),
    "drop-in Semaphore": lambda t: drop_in.Semaphore(0).acquire(True, t),
    "Event": lambda t: cy.Event().wait(t),
    "drop-in Event": lambda t: drop_in.Event().wait(t),
    "Condition": lambda t: inside(cy.Condition(), lambda c: c.wait(t)),
    "Condition.wait_for": lambda t: inside(cy.Condition(), lambda c: c.wait_for(lambda: False, t)),
    "Barrier": lambda t: cy.Barrier(2).wait(t),
    "Barrier made": lambda t: cy.Barrier(2, None, t).wait(),
    "Queue.get": lambda t: cy.Queue().get(True, t),
    "LifoQueue.get": lambda t: cy.LifoQueue().get(timeout=t),
    "PriorityQueue.get": lambda t: cy.PriorityQueue().get(timeout=t),
    "SimpleQueue.get": lambda t: cy.SimpleQueue().get(timeout=t),
    "drop-in Queue.get": lambda t: drop_in.Queue().get(True, t),
    "Queue.put": lambda t: full(cy.Queue(1)).put(2, True, t),
    "Queue.get_many": lambda t: cy.Queue().get_many(2, t),
    "Queue.put_many": lambda t: full(cy.Queue(1)).put_many([2], timeout=t),
    "Queue.lease": lambda t: begun(cy.Queue().lease(True, t)),
    "Value.wait_for": lambda t: cy.Value("i").wait_for(1, t),
    "Array.wait_for": lambda t: cy.Array("i", 2).wait_for([1, 1], t),
    "Dict.wait_for": lambda t: cy.Dict().wait_for({1: 1}, t),
    "cy.wait_for": lambda t: cy.wait_for(cy.Namespace(), lambda _: False, t),
    "Space.wait_for": lambda t: cy.Space().wait_for("x", t),
}
# Those that follow threading and queue, for which a negative time is an error.
REFUSE_NEGATIVE = {
    "Lock",
    "RLock",
    "Value",
    "Value lock",
    "Array",
    "Dict lock",
    "Condition lock",
    "Queue.get",
    "LifoQueue.get",
    "PriorityQueue.get",
    "SimpleQueue.get",
    "Queue.put",
    "Queue.get_many",
    "Queue.put_many",
    "Queue.lease",
}


def result(call: Callable[[Any], Any], seconds: Any) -> Any:
    """Return what a call returns, or the class of what it raises."""
    try:
        return call(seconds)
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("seconds", ["x", "1", b"1", [], 1j, Ellipsis], ids=str)
def test_what_is_no_number(name: str, seconds: Any) -> None:
    with pytest.raises(TypeError) as raised:
        WAITS[name](seconds)
    notes = getattr(raised.value, "__notes__", [])
    said = " ".join([str(raised.value), *notes])
    assert "timeout" in said and type(seconds).__name__ in said


@pytest.mark.parametrize("name", WAITS)
def test_numbers_that_are_no_time(name: str) -> None:
    with pytest.raises(ValueError, match="NaN"):
        WAITS[name](NAN)
    for seconds in (1e300, 10**400):
        with pytest.raises(OverflowError):
            WAITS[name](seconds)


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("seconds", [-INF, -2, -0.001, Decimal("-0.001")], ids=str)
def test_negative(name: str, seconds: Any) -> None:
    if name in REFUSE_NEGATIVE:
        with pytest.raises(ValueError, match="must be a non-negative number"):
            WAITS[name](seconds)
    else:
        found = result(WAITS[name], seconds)
        assert found in (False, "BrokenBarrierError", "TimeoutError", "Empty")


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize(
    "seconds",
    [0, 0.001, False, Decimal("0.001"), Fraction(1, 1000), np.float32(0.001), np.int8(0)],
    ids=repr,
)
def test_numbers_of_all_kinds(name: str, seconds: Any) -> None:
    found = result(WAITS[name], seconds)
    assert found in (False, "BrokenBarrierError", "TimeoutError", "Empty", "Full")


def test_nothing_has_changed() -> None:
    q: Any = cy.Queue(1)
    for seconds in (NAN, -1, "x", 1e300):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            q.put(1, True, seconds)
    assert q.qsize() == 0
    q.put(1)
    for seconds in (NAN, -1, "x", 1e300):
        for call in (q.get, q.lease):
            with pytest.raises((TypeError, ValueError, OverflowError)):
                call(True, seconds)
        with pytest.raises((TypeError, ValueError, OverflowError)):
            q.get_many(1, seconds)
    assert q.qsize() == 1
    lock: Any = cy.Lock()
    for seconds in (NAN, -2, "x", 1e300):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            lock.acquire(True, seconds)
    assert not lock.locked()
    barrier: Any = cy.Barrier(2)
    for seconds in (NAN, "x", 1e300):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            barrier.wait(seconds)
    assert barrier.n_waiting == 0 and not barrier.broken


@pytest.mark.parametrize("timeout", ["x", b"1", NAN, 10**400])
def test_a_barriers_own_timeout_is_checked_when_it_is_made(timeout: Any) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        cy.Barrier(2, None, timeout)


@pytest.mark.parametrize("delay", [NAN, INF, -INF, -1, -0.001, "x", None, 1e300, 10**400, 1j])
def test_delay(delay: Any) -> None:
    q: Any = cy.Queue()
    lease = lease_of(q)
    with pytest.raises((ValueError, TypeError, OverflowError)) as raised:
        lease.requeue(delay)
    said = " ".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert "delay" in said or "int too large" in said
    assert q.qsize() == 0  # the lease has it still
    lease.requeue(Decimal("0.001"))
    assert q.get(timeout=10) == 1
