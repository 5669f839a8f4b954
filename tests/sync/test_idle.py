"""Many who wait for one thing wake up seldom: one of them looks after the dead for all."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support import children

WAITERS = 100


def never(kind: str) -> Callable[[], Any]:
    """Return a call that waits for what nobody will do."""
    if kind == "get":
        return cy.Queue().get
    if kind == "Event":
        return cy.Event().wait
    locks = {"Lock": cy.Lock, "RLock": cy.RLock, "get_lock": cy.Value("i").get_lock}
    lock: Any = locks[kind]()
    assert lock.acquire()
    acquire: Callable[[], Any] = lock.acquire
    return acquire


def wakes(pid: int) -> int:
    """Return how often a process went to sleep."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("voluntary_ctxt"))
    return int(line.split()[1])


@pytest.mark.parametrize("kind", ["Lock", "RLock", "get_lock", "get", "Event"])
def test_a_crowd_that_waits_wakes_up_seldom(kind: str) -> None:
    call = never(kind)
    pids = [children.fork(call) for _ in range(WAITERS)]
    try:
        time.sleep(4)  # each leaves the looking to another, and sleeps longer from time to time
        before, start = sum(map(wakes, pids)), time.monotonic()
        time.sleep(3)
        rate = (sum(map(wakes, pids)) - before) / (time.monotonic() - start)
        # Ten times a second each would be 1,000; one that looks and the others' 1.25 s are 90.
        assert rate < 300
    finally:
        for pid in pids:
            children.kill(pid)


def test_the_death_of_a_holder_is_noticed_by_a_crowd() -> None:
    """Also when all are killed that wait but for one, among them the one that looked."""
    for survivors in (WAITERS, 1):
        lock, got = cy.Lock(), cy.Event()

        def take(lock: Any = lock, got: Any = got) -> None:
            with lock:
                got.set()

        def hold(lock: Any = lock) -> None:
            lock.acquire()
            time.sleep(600)

        holder = children.fork(hold)
        while not lock.locked():
            time.sleep(0.001)
        pids = [children.fork(take) for _ in range(WAITERS)]
        try:
            time.sleep(2)
            assert not got.is_set()
            for pid in pids[survivors:]:
                children.kill(pid)
            start = time.monotonic()
            children.kill(holder)
            assert got.wait(timeout=20)
            assert time.monotonic() - start < 10  # at most 1.6 s, if the machine is calm
        finally:
            for pid in pids[:survivors]:
                os.kill(pid, signal.SIGKILL)  # it may have ended by itself
                os.waitpid(pid, 0)
