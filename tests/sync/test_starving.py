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
from tests.support import children
from tests.support.stopped import Peer

KEPT = 1 << 9 | 1  # kept for a waiter that did not come: the stamp is long past


def starving(word: int) -> int:
    """How many waiters a lock word counts as starving."""
    return (word >> 9 & 31) + (word >> 27 & 31)


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

    Counts, not times: what other programs do on the machine makes all wait alike.
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
        assert sum(turn > 12 for turn in waits) <= 10, sorted(waits)
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


def ended(child: int) -> None:
    """Wait for the end of a child of `children.fork`, and see that it ended well."""
    end = time.monotonic() + 30
    while (status := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < end
        time.sleep(0.001)
    assert os.waitstatus_to_exitcode(status[1]) == 0


def take_and_log(lock: Any, log: mmap.mmap, name: int, turns: int) -> None:
    """Take the lock so often, and log each turn; what it logs is guarded by the lock."""
    for _ in range(turns):
        with lock:
            (number,) = struct.unpack_from("=Q", log)
            struct.pack_into("=Q", log, 8 + 8 * number, name)
            struct.pack_into("=Q", log, 0, number + 1)
            end = time.perf_counter() + 0.001
            while time.perf_counter() < end:
                pass


@pytest.mark.parametrize("_again", range(5))
@pytest.mark.parametrize("waiting", [1, 4])
def test_others_have_two_turns_at_most_while_one_starves(
    peer: Peer, waiting: int, _again: int
) -> None:
    """The bound itself: all who starve do so before the first turn, whatever the machine does."""
    lock, log = cy.Lock(), mmap.mmap(-1, 8192)
    word, greedy, turns = peer.place(lock), 3, 40
    names = list(range(greedy + waiting))
    lock.acquire()
    pids = []
    try:
        for name in names:
            pids.append(children.fork(take_and_log, lock, log, name, turns if name < greedy else 1))
            end = time.monotonic() + 20
            while starving(peer.read(word)) <= name:
                assert time.monotonic() < end
                time.sleep(0.001)
        lock.release()
        while pids:
            ended(pids[0])
            del pids[0]
    finally:
        for pid in pids:
            children.kill(pid)
    (number,) = struct.unpack_from("=Q", log)
    order = struct.unpack_from(f"={number}Q", log, 8)
    assert number == greedy * turns + waiting
    for name in names[greedy:]:
        before = order[: order.index(name)]
        most = max(before.count(other) for other in names)
        assert most <= 2, (name, order)
    assert peer.read(word) == 0


def test_who_gives_up_is_not_waited_for(peer: Peer) -> None:
    """It was counted as starving: the lock is kept for nobody when it has gone."""
    lock = cy.Lock()
    word = peer.place(lock)
    gone = threading.Event()

    def give_up() -> None:
        assert not lock.acquire(timeout=0.2)
        gone.set()

    lock.acquire()
    thread = threading.Thread(target=give_up)
    thread.start()
    while not starving(peer.read(word)):
        assert not gone.is_set()
        time.sleep(0.001)
    thread.join(20)
    assert not starving(peer.read(word))
    lock.release()
    assert lock.acquire(False)
    lock.release()


@pytest.mark.parametrize("left", [0, 1])
def test_a_killed_waiter_is_waited_for_once(peer: Peer, left: int) -> None:
    """A member that was killed is counted still; once it did not come it is forgotten."""
    lock, log = cy.Lock(), mmap.mmap(-1, 8192)
    word = peer.place(lock)
    lock.acquire()
    pids = [children.fork(take_and_log, lock, log, name, 1) for name in range(1 + left)]
    end = time.monotonic() + 20
    while starving(peer.read(word)) <= left:
        assert time.monotonic() < end
        time.sleep(0.001)
    children.kill(pids[0])
    lock.release()
    for pid in pids[1:]:
        ended(pid)
    assert lock.acquire(timeout=20)
    assert not starving(peer.read(word))
    lock.release()
    assert lock.acquire(False)
    lock.release()
    assert struct.unpack_from("=Q", log) == (left,)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_that_is_kept_for_nobody_is_free_all_the_same(peer: Peer, kind: str) -> None:
    lock = getattr(cy, kind)()
    word = peer.place(lock)
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
    word = peer.place(kept)
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

    number = 40  # more than a batch counts
    threads = [threading.Thread(target=wait, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    children.kill(child)
    assert sorted(done) == list(range(number))
