"""Who waits, notifies, passes a barrier or holds a permit, killed at random or on purpose."""

import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import courtyard as cy
from tests.process.test_kill import belongings
from tests.support.campaign import LIMIT
from tests.support.children import fork, kill
from tests.support.pool import Pool
from tests.support.scenario import SCENARIOS

pytestmark = pytest.mark.usefixtures("own_home")

RawValue: Any = cy.RawValue
SIZE = os.environ.get("COURTYARD_TORTURE_SIZE", "")
KILLS = {"small": 300, "full": 3000}.get(SIZE, 24)  # of each scenario
PARTS = 2 if not SIZE else 10


@pytest.mark.limit(60 + KILLS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_kills_at_random(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody hangs, nothing promised is lost, nothing is invented, and nothing is left behind."""
    probe, began, figures, kills = RawValue("i"), time.monotonic(), [], 0
    taken: Any = cy.Queue()
    taken.put(1)
    taken.get()  # so that this process has its table of what it took, which stays
    del taken
    for part in range(PARTS):
        pool = Pool(SCENARIOS[name](), seed=part)
        try:
            pool.play(KILLS // PARTS)
        finally:
            pool.abandon()
        kills += pool.kills
        told = sum(len(worker.told) for worker in pool.dead)
        assert told > pool.kills  # the victims were at work
        del pool
        figures.append(belongings(probe))
        probe.check()
    assert figures == figures[:1] * PARTS
    if SIZE:
        with capsys.disabled():
            print(f"\n{name}: {kills:,} kills in {time.monotonic() - began:.0f} s, 0 hangs")


SOON = 5.0  # seconds: those who wait look after the dead every tenth of one


def test_a_notifier_killed_with_the_lock_holds_nobody_up() -> None:
    """What it had not told, the next one can tell: the lock says that somebody died."""
    condition, ready, woken = cy.Condition(cy.Lock()), RawValue("i"), RawValue("i")

    def wait() -> None:
        with condition:
            ready.increment()
            assert condition.wait(LIMIT)
            woken.value = 1

    def change_and_die() -> None:
        with condition:
            ready.increment()
            while True:
                time.sleep(10)

    waiter = fork(wait)
    assert ready.wait_for(1, LIMIT)
    notifier = fork(change_and_die)
    assert ready.wait_for(2, LIMIT)
    kill(notifier)
    assert condition.acquire(timeout=SOON)
    assert condition._lock.recovered
    assert woken.value == 0
    condition.notify()
    condition.release()
    assert woken.wait_for(1, SOON)
    assert os.waitpid(waiter, 0)[1] == 0


def test_a_party_killed_in_its_action_breaks_the_barrier() -> None:
    acting, broken = RawValue("i"), []

    def act() -> None:
        acting.value = 1
        while True:
            time.sleep(10)

    barrier = cy.Barrier(2, action=act)

    def come_first() -> None:
        try:
            barrier.wait()
        except threading.BrokenBarrierError as error:
            broken.append(error)

    first = threading.Thread(target=come_first)
    first.start()
    while barrier.n_waiting < 1:
        time.sleep(0.001)
    last = fork(barrier.wait)
    assert acting.wait_for(1, LIMIT)
    kill(last)
    first.join(SOON)
    assert len(broken) == 1
    assert barrier.broken
    barrier.reset()
    assert (barrier.n_waiting, barrier.broken) == (0, False)


STATES, SLOTS, DRAINING, LIVENESS = 0x1000, 1024, 2, 1 << 40  # as the design page has them


@contextmanager
def settled_by_another(file: str) -> Iterator[None]:
    """Take the place of a process that has just begun to give back what a dead one held."""
    with open(file, "r+b") as segment:
        states = struct.unpack(f"={SLOTS}Q", os.pread(segment.fileno(), SLOTS * 8, STATES))
        (slot,) = [slot for slot, state in enumerate(states) if state & 3 == DRAINING]
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, LIVENESS + slot, 1, 0)
        fcntl.fcntl(segment, fcntl.F_OFD_SETLK, lock)
        yield


def test_nobody_counts_on_a_party_that_died() -> None:
    """The last to come runs no action while another process takes a dead one out."""
    acted, broken = [], []
    lock, ready = cy.Lock(), RawValue("i")
    barrier = cy.Barrier(3, action=lambda: acted.append(True))

    def die_inside() -> None:
        lock.acquire()
        ready.value = 1
        barrier.wait()

    def party() -> None:
        try:
            barrier.wait()
        except threading.BrokenBarrierError as error:
            broken.append(error)

    child = fork(die_inside)
    assert ready.wait_for(1, LIMIT)
    while barrier.n_waiting < 1:
        time.sleep(0.001)
    kill(child)
    assert lock.acquire(timeout=SOON)  # so its locks are free; its place at the barrier is not
    with settled_by_another(ready._address()[0]):
        parties = [threading.Thread(target=party) for _ in range(2)]
        for thread in parties:
            thread.start()
        for thread in parties:
            thread.join(0.15)
        assert (acted, broken) == ([], [])
    for thread in parties:
        thread.join(SOON)
    assert (acted, len(broken)) == ([], 2)
    assert barrier.broken


@pytest.mark.parametrize("kind", [cy.Semaphore, cy.BoundedSemaphore])
def test_who_sleeps_gets_the_permit_of_the_killed(kind: Any) -> None:
    """They find the dead by themselves: nobody starts or does anything meanwhile."""
    permits, ready = kind(1), RawValue("i")
    got: list[tuple[bool, bool]] = []

    def hold() -> None:
        assert permits.acquire()
        ready.value = 1
        while True:
            time.sleep(10)

    def wait() -> None:
        got.append((permits.acquire(), permits.recovered))
        permits.release()

    holder = fork(hold)
    assert ready.wait_for(1, LIMIT)
    sleepers = [threading.Thread(target=wait) for _ in range(2)]
    for sleeper in sleepers:
        sleeper.start()
    time.sleep(0.02)  # for them to be asleep, most likely; nothing depends on it
    assert got == []
    kill(holder)
    for sleeper in sleepers:
        sleeper.join(SOON)
    assert len(got) == 2
    assert got[0] == (True, True)
    assert permits.get_value() == 1
