"""A lock that is held again and again without a pause: who waits for it has it in bounded time."""

import mmap
import os
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import courtyard as cy
from tests import children
from tests.held import Peer

STARVING = 1 << 15
KEPT = STARVING | 1  # free, for those who slept


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
    """Beside two that hold it for 5 ms again and again: how often they have it while one waits.

    Counts, not times: what other programs do on the machine makes all wait alike. Who has waited
    for a tenth of a second is handed it, and 20 turns fit into that: on a busy machine, where who
    is woken comes too late again and again, they may all be over before.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:cpus]))
    turns = mmap.mmap(-1, 16)
    greedy: list[int] = []

    def had() -> int:
        first, second = struct.unpack("=QQ", turns[:])
        return int(first + second)

    def hold_for_ever(lock: Any, place: int) -> None:
        turn = 0
        while True:
            with lock:
                turn += 1
                struct.pack_into("=Q", turns, place, turn)
                end = time.perf_counter() + 0.005
                while time.perf_counter() < end:
                    pass

    try:
        lock = LOCKS[kind]()
        greedy += [children.fork(hold_for_ever, lock, place) for place in (0, 8)]
        while had() < 4:
            time.sleep(0.001)
        waits = []
        for _ in range(100):
            time.sleep(0.006)
            start = had()
            assert lock.acquire(timeout=20)
            waits.append(had() - start)
            lock.release()
        assert sum(turn > 20 + 12 for turn in waits) <= 10, sorted(waits)
        assert statistics.median(waits) < 4, sorted(waits)
    finally:
        for child in greedy:
            children.kill(child)
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


def test_those_who_starve_are_awake_when_another_of_them_has_the_lock(peer: Peer) -> None:
    """Who is asleep cannot say so: it was passed over for up to 90 turns of two others."""
    lock, times = cy.Lock(), []
    word = peer.cell(lock)

    def take_and_hold() -> None:
        with lock:
            free.wait(20)

    for _ in range(15):
        free = threading.Event()
        lock.acquire()
        threads = [threading.Thread(target=take_and_hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.25)  # both have slept for a tenth of a second, and do so again
        assert peer.read(word) & STARVING
        lock.release()
        released = time.monotonic()
        while not (lock.locked() and peer.read(word) & STARVING):
            assert time.monotonic() - released < 20
            time.sleep(0.0005)
        times.append(time.monotonic() - released)
        free.set()
        for thread in threads:
            thread.join(20)
    assert statistics.median(times) < 0.025, "it was asleep, for a tenth of a second at most"


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
