"""A lock that is held again and again without a pause: who waits for it has it in bounded time."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import courtyard as cy
from tests import children
from tests.held import Peer

KEPT = 1 << 15 | 1  # free, for those who slept


def hold_for_ever(lock: Any) -> None:
    while True:
        with lock:
            end = time.perf_counter() + 0.005
            while time.perf_counter() < end:
                pass


LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": cy.Lock,
    "RLock": cy.RLock,
    "get_lock": lambda: cy.Value("i").get_lock(),
}


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("kind", LOCKS)
def test_a_waiter_does_not_starve(kind: str, cpus: int) -> None:
    """Some 15 ms are usual, on a machine with nothing else to do."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:cpus]))
    try:
        lock = LOCKS[kind]()
        child = children.fork(hold_for_ever, lock)
        waits = []
        for _ in range(15):
            time.sleep(0.01)
            start = time.monotonic()
            assert lock.acquire(timeout=20)
            waits.append(time.monotonic() - start)
            lock.release()
        children.kill(child)
        assert statistics.median(waits) < 0.5, waits
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture
def peer() -> Iterator[Peer]:
    lock = cy.Lock()
    peer = Peer(lock, os.getpid())
    yield peer
    peer.close()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_that_is_kept_for_nobody_is_free_all_the_same(peer: Peer, kind: str) -> None:
    lock = getattr(cy, kind)()
    word = peer.cell(lock)
    for arguments in ({}, {"blocking": False}, {"timeout": 9}):
        peer.write(word, KEPT)
        assert not lock.locked() if kind == "Lock" else True
        with pytest.raises(RuntimeError):
            lock.release()
        assert lock.acquire(**arguments)
        lock.release()
        assert peer.read(word) == 0


def test_a_changes_lock_that_is_kept_for_nobody_is_free_all_the_same(peer: Peer) -> None:
    kept = cy.Semaphore(1)
    word = peer.cell(kept)
    for _ in range(3):
        peer.write(word, KEPT)
        assert kept.acquire(False)
        peer.write(word, KEPT)
        kept.release()
    cy.check(kept)


def test_many_starve_and_all_have_their_turn() -> None:
    lock, done = cy.Lock(), []
    child = children.fork(hold_for_ever, lock)

    def wait(number: int) -> None:
        assert lock.acquire(timeout=40)
        done.append(number)
        lock.release()

    threads = [threading.Thread(target=wait, args=(n,)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    children.kill(child)
    assert sorted(done) == list(range(30))
