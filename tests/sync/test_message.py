"""What ``ShutDown`` and ``BrokenBarrierError`` say, and how to go on after them."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, run_script


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue, cy.PriorityQueue])
def test_shut_down_queue_says_what_is_left(cls: Any) -> None:
    with cy.Space() as space:
        q = cls.named("jobs", space=space)
        q.put_many([1, 2])
        q.shutdown()
        puts: list[Callable[[], Any]] = [
            lambda: q.put(3),
            lambda: q.put_nowait(3),
            lambda: q.put_many([3]),
        ]
        for call in puts:
            with pytest.raises(
                cy.ShutDown,
                match=r'the queue "jobs" was shut down by shutdown\(\): nothing can be put '
                r"\(2 items are left in it\)",
            ):
                call()
        lease = q.lease()
        lease.__enter__()
        q.get()
        gets: list[Callable[[], Any]] = [
            q.get,
            q.get_nowait,
            lambda: q.get_many(2),
            lambda: q.lease().__enter__(),
        ]
        for call in gets:
            with pytest.raises(cy.ShutDown, match="it is empty, but for what is on leases"):
                call()
        lease.drop()
        for call in gets:
            with pytest.raises(cy.ShutDown, match="it is empty, and no more will come"):
                call()
    q = cls()
    q.shutdown()
    with pytest.raises(cy.ShutDown, match=r"^the queue was shut down"):
        q.get()


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.SimpleQueue])
def test_reopen(cls: Any) -> None:
    q = cls()
    q.put(1)
    q.reopen()  # it is open
    assert not q.is_shutdown
    q.shutdown()
    q.reopen()
    assert not q.is_shutdown
    q.put(2)
    assert sorted([q.get(), q.get()]) == [1, 2]
    waiter = threading.Thread(target=q.put, args=(3,))
    threading.Timer(0.05, waiter.start).start()
    assert q.get(timeout=20) == 3
    waiter.join()


def test_named_queue_for_the_next_program(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/jobs.cy"

    def run(code: str) -> str:
        code = f"import courtyard as cy\nspace = cy.Space({url!r})\n{code}"
        done = run_script(code, check=False)
        return done.stdout + done.stderr

    made = "q = cy.Queue.named('jobs', space=space)\n"
    assert run(made + "q.put(1); q.shutdown()") == ""
    assert 'ShutDown: the queue "jobs" was shut down' in run(made + "q.put(2)")
    assert run(made + "q.reopen(); q.put(2); print(q.get_many(5)); q.shutdown()") == "[1, 2]\n"
    assert run("del space['jobs']\n" + made + "q.put(3); print(q.get())") == "3\n"


def broken(barrier: Any, timeout: float | None = None) -> str:
    with pytest.raises(BrokenBarrierError) as caught:
        barrier.wait(timeout)
    return str(caught.value)


def test_broken_barrier_says_why() -> None:
    with cy.Space() as space:
        barrier = cy.Barrier.named("start", 2, space=space)
        usable = "; reset() makes it usable again"
        name = 'the barrier "start" is broken: '
        for _ in range(2):
            said = broken(barrier, 0.01)
            assert said == f"{name}a party waited for longer than its timeout{usable}"
        barrier.abort()
        assert "timeout" in broken(barrier)  # the first cause is the one that counts
        barrier.reset()
        barrier.abort()
        assert broken(barrier) == f"{name}abort() was called{usable}"
        barrier.reset()
        heard: list[str] = []
        waiter = threading.Thread(target=lambda: heard.append(broken(barrier)))
        waiter.start()
        while not barrier.n_waiting:
            time.sleep(0.001)
        barrier.reset()
        waiter.join(20)
        assert heard == ['the barrier "start" was reset by reset() while this party waited']


def test_barrier_whose_action_fails() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    barrier = cy.Barrier(2, fail)
    said: list[str] = []
    waiter = threading.Thread(target=lambda: said.append(broken(barrier)))
    waiter.start()
    while not barrier.n_waiting:
        time.sleep(0.001)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    waiter.join(20)
    assert said == [
        "the barrier is broken: the action raised an exception; reset() makes it usable again"
    ]


def test_barrier_whose_party_dies() -> None:
    barrier = cy.Barrier(3)
    child = fork(barrier.wait)
    while not barrier.n_waiting:
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert "a party was killed" in broken(barrier, 20)


def test_barrier_whose_action_waits() -> None:
    barrier = cy.Barrier(1, lambda: barrier.wait())
    with pytest.raises(BrokenBarrierError, match="the action waited at its own barrier"):
        barrier.wait()
