"""Calls that wait while a queue is shut down and reopened."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Full
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork

QUEUES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]
LARGE = "x" * 20_000
ENDED, WENT_ON = 3, 0


def waiting(q: Any, call: Callable[[], object]) -> int:
    """Return a child that is asleep in a call, and stopped."""

    def run() -> None:
        try:
            call()
        except cy.ShutDown as error:
            os._exit(ENDED if "while this call waited" in str(error) else 4)
        os._exit(WENT_ON)

    child = fork(run)
    end = time.monotonic() + 30
    while not any(waiter.pid == child for waiter in q.statistics().waiters):
        assert time.monotonic() < end, "it does not wait"
        time.sleep(0.01)
    os.kill(child, signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOWAIT)
    return child


def goes_on(child: int) -> int:
    """Let the child run, and return how it ended; one that does not is killed."""
    os.kill(child, signal.SIGCONT)
    timer = threading.Timer(20, os.kill, (child, signal.SIGKILL))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    assert os.WIFEXITED(status), "it still waits"
    return os.WEXITSTATUS(status)


def leased(q: Any) -> None:
    with q.lease():
        pass


@contextmanager
def full_space(cls: Any) -> Iterator[Any]:
    """Yield a queue with an item, in a space without room for another large one."""
    with cy.Space(size_limit=1 << 20) as space:
        q = cls.named("q", space=space)
        q.put("a")
        filler = cy.Queue.named("filler", space=space)
        with pytest.raises(Full):
            while True:
                filler.put_nowait(LARGE)
        with pytest.raises(Full):
            while True:
                filler.put_nowait("x" * 200)
        yield q


@pytest.mark.parametrize("cls", QUEUES)
@pytest.mark.parametrize("call", ["get", "lease", "get_many", "put", "put_bytes", "put_many"])
def test_who_slept_through_it_is_told(cls: Any, call: str) -> None:
    q = cls(maxsize=1) if call != "put_bytes" else cls(maxbytes=40)
    if call.startswith("put"):
        q.put("a" * 17)
    calls: dict[str, Callable[[], object]] = {
        "get": q.get,
        "lease": lambda: leased(q),
        "get_many": lambda: q.get_many(3),
        "put": lambda: q.put("b"),
        "put_bytes": lambda: q.put("b" * 17),
        "put_many": lambda: q.put_many(["b", "c"]),
    }
    child = waiting(q, calls[call])
    q.shutdown()
    q.reopen()
    assert goes_on(child) == ENDED
    # It is a queue as before.
    left = q.qsize()
    for _ in range(left):
        q.get()
    q.put("d")
    assert q.get() == "d"


@pytest.mark.parametrize("cls", QUEUES)
def test_who_can_go_on_does(cls: Any) -> None:
    q = cls(maxsize=1)
    for call in (q.get, lambda: leased(q)):
        child = waiting(q, call)
        q.shutdown()
        q.reopen()
        q.put("a")
        assert goes_on(child) == WENT_ON and q.qsize() == 0
    q.put("a")
    child = waiting(q, lambda: q.put("b"))
    q.shutdown()
    q.reopen()
    assert q.get() == "a"
    assert goes_on(child) == WENT_ON and q.get() == "b"


@pytest.mark.parametrize("cls", QUEUES)
def test_who_comes_later_waits_as_ever(cls: Any) -> None:
    q = cls()
    for _ in range(3):
        q.shutdown()
        q.shutdown()
        with pytest.raises(cy.ShutDown):
            q.get()
        q.reopen()
        q.reopen()
        assert not q.is_shutdown
        with pytest.raises(Empty):
            q.get(timeout=0.01)
        with pytest.raises(Empty):
            q.get_nowait()
        child = waiting(q, q.get)
        q.put("a")
        assert goes_on(child) == WENT_ON


def test_who_waits_in_a_shut_queue_for_what_is_due_goes_on_when_it_is_reopened() -> None:
    q = cy.Queue[str]()
    q.put("a")
    with (lease := q.lease()):
        lease.requeue(delay=1000)
    q.shutdown()
    child = waiting(q, q.get)
    q.reopen()
    q.put("b")
    assert goes_on(child) == WENT_ON and q.qsize() == 1


@pytest.mark.parametrize("cls", QUEUES)
@pytest.mark.parametrize("reopens", [False, True])
def test_who_waits_for_memory_is_told(cls: Any, reopens: bool) -> None:
    with full_space(cls) as q:
        child = waiting(q, lambda: q.put("y" * 30_000))
        q.shutdown()
        if reopens:
            q.reopen()
        assert goes_on(child) == (ENDED if reopens else 4)
        assert q.get() == "a"
