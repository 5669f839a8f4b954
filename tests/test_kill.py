"""Processes killed while they write: nothing acknowledged is lost, nothing is torn or stuck."""

import ctypes
import multiprocessing
import os
import random
import struct
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

import courtyard as cy
from tests.children import start

Value: Any = cy.Value
KILLS = {"small": 400, "full": 20_000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 30)
WORKERS = 3
NUMBER = struct.Struct("=B")
ATTEMPT, DONE = NUMBER.pack(1), NUMBER.pack(2)


def increment(value: Any) -> None:
    value.increment()


def add_under_lock(value: Any) -> None:
    with value.get_lock():
        value.value += 1


def add_by_exchange(value: Any) -> None:
    while True:
        old = value.value
        if value.compare_exchange(old, old + 1):
            return


def add_to_object(value: Any) -> None:
    """Count in a large object, all of whose elements are equal at all times."""
    with value.get_lock():
        old = value.value
        assert len(set(old)) == 1, old
        value.value = (old[0] + 1,) * (300 + old[0] % 3 * 400)


def add_to_bytes(value: Any) -> None:
    """Count in 4000 bytes, all of whose words are equal at all times."""
    with value.get_lock():
        words = memoryview(value.raw).cast("Q")
        assert len(set(words)) == 1, list(words)
        value.raw = struct.pack("=Q", words[0] + 1) * 500


def read_number(value: Any) -> int:
    return int(value.value)


def read_object(value: Any) -> int:
    found = value.value
    assert len(set(found)) == 1, found
    return int(found[0])


def read_bytes(value: Any) -> int:
    words = memoryview(value.raw).cast("Q")
    assert len(set(words)) == 1, list(words)
    return int(words[0])


def work(value: Any, add: Callable[[Any], None], pipe: int) -> None:
    """Tell of each change before and after it."""
    while True:
        os.write(pipe, ATTEMPT)
        add(value)
        os.write(pipe, DONE)


class Worker:
    """A process that counts, and what it told."""

    def __init__(self, value: Any, add: Callable[[Any], None]) -> None:
        self.pipe, theirs = os.pipe()
        context = multiprocessing.get_context("fork")
        self.process: BaseProcess = start(context, work, value, add, theirs)
        os.close(theirs)
        os.set_blocking(self.pipe, False)
        self.attempts = self.done = 0

    def listen(self) -> None:
        try:
            while told := os.read(self.pipe, 65536):
                self.attempts += told.count(ATTEMPT)
                self.done += told.count(DONE)
        except BlockingIOError:
            pass

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)
        assert self.process.exitcode == -9, "a worker failed by itself"
        self.listen()
        os.close(self.pipe)
        self.process.close()


KINDS: dict[str, tuple[Callable[[], Any], list[Callable[[Any], None]], Callable[[Any], int]]] = {
    "increment": (lambda: Value("q"), [increment], read_number),
    "mixed": (lambda: Value(int), [increment, add_under_lock, add_by_exchange], read_number),
    "lock": (lambda: Value("q"), [add_under_lock], read_number),
    "object": (lambda: Value(object, (0,) * 300), [add_to_object], read_object),
    "number": (lambda: Value(object, 2**60), [increment, add_by_exchange], read_number),
    "bytes": (lambda: Value(ctypes.c_char * 4000), [add_to_bytes], read_bytes),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.limit(60 + KILLS / 5)
def test_no_acknowledged_change_is_lost(kind: str) -> None:
    make, adds, read = KINDS[kind]
    chance = random.Random(kind)
    value = make()
    first, path = read(value), value._address()[0]
    done = attempts = 0
    workers = [Worker(value, adds[number % len(adds)]) for number in range(WORKERS)]
    used = None
    try:
        for turn in range(KILLS):
            time.sleep(chance.random() * 0.01)
            victim = workers.pop(chance.randrange(WORKERS))
            victim.kill()
            done, attempts = done + victim.done, attempts + victim.attempts
            workers.append(Worker(value, adds[turn % len(adds)]))
            for worker in workers:
                worker.listen()
            told = sum(worker.done for worker in workers) + done
            assert read(value) - first >= told
            if turn == KILLS // 3:
                used = os.stat(path).st_blocks * 512
        # Those that live go on: nobody is stuck behind the dead.
        for worker in workers:
            before, deadline = worker.done, time.monotonic() + 10
            while worker.done <= before + 3:
                assert time.monotonic() < deadline, "a worker is stuck"
                time.sleep(0.005)
                worker.listen()
    finally:
        for worker in workers:
            worker.kill()
    done += sum(worker.done for worker in workers)
    attempts += sum(worker.attempts for worker in workers)
    assert done <= read(value) - first <= attempts
    assert value.get_lock().acquire(timeout=5)
    value.get_lock().release()
    value.check()
    assert used is not None and os.stat(path).st_blocks * 512 <= 2 * used + 1_000_000
    assert value.statistics().space.participants == 1


def churn(probe: Any) -> None:
    """Make, share and drop values without end."""
    import pickle

    values: list[Any] = []
    while True:
        values.append(Value(object, os.urandom(len(values) * 500)))
        values.append(pickle.loads(pickle.dumps(values[0])))
        values.append(cy.Lock())
        probe.increment()
        if len(values) > 12:
            values.clear()


@pytest.mark.limit(60 + KILLS / 5)
def test_what_the_killed_held_is_free() -> None:
    context, chance = multiprocessing.get_context("fork"), random.Random(1)
    probe = Value("q")
    sizes = []
    before = probe.statistics().space
    for _ in range(max(3, KILLS // 5)):
        children = [start(context, churn, probe) for _ in range(2)]
        seen = probe.value
        assert probe.wait_for(lambda n, seen=seen: n > seen + 20, 30)
        time.sleep(chance.random() * 0.01)
        for child in children:
            child.kill()
        for child in children:
            child.join(10)
            child.close()
        space = probe.statistics().space
        sizes.append(space.size)
        assert space.participants == before.participants
        # Tickets of the killed live on for a minute.
        assert space.objects - space.tickets <= before.objects
        probe.check()
    assert max(sizes) <= 4 * sizes[0]
