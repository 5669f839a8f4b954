"""Workers that count in shared objects until they are killed, and an oracle that knows the sums.

Each worker tells over a pipe of its own, outside shared memory, of every change before it begins
and after it returned. Each has digits of its own in every object's number, so what it did can be
told from what the others go on doing: when it is dead, its digits are compared with what it told,
to the single change, and set back to zero for its successor.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.children import fork, kill

WORKERS = 3
DIGITS = 21  # bits of a number for each worker: three times 21 are positive in 64
MASK = (1 << DIGITS) - 1
DONE = 0x80  # "did it", beside the object's place in the list
LIMIT = 20.0  # seconds after which what waits is said to hang; machines may be busy


class Hang(AssertionError):
    """Something waits for the dead."""


class Lost(AssertionError):
    """What a worker told is not what it did."""


@dataclass(frozen=True)
class Kind:
    """An object that holds a number, the ways in which workers add to it, and how to read it."""

    make: Callable[[], Any]
    adds: Sequence[Callable[[Any, int], None]]
    read: Callable[[Any], int]
    correct: Callable[[Any, int], None] | None = None  # how the oracle adds; else as workers do


@contextmanager
def held(lock: Any, limit: float = LIMIT) -> Iterator[None]:
    """As ``with lock``, but not for ever."""
    if not lock.acquire(timeout=limit):
        raise Hang(f"a lock was not to be had in {limit:g} s")
    try:
        yield
    finally:
        lock.release()


def work(
    objects: Sequence[tuple[Kind, Any]],
    place: int,
    focus: int,
    threads: int,
    disturb: Callable[[random.Random], None] | None,
    pipe: int,
) -> None:
    """Add to the objects, most often to the one in focus, and tell of it."""
    step = 1 << place * DIGITS
    attempts = [bytes([number]) for number in range(len(objects))]
    dones = [bytes([number | DONE]) for number in range(len(objects))]

    def count(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(MASK // threads):
            number = focus if chance.random() < 0.6 else chance.randrange(len(objects))
            kind, obj = objects[number]
            add = chance.choice(kind.adds)
            os.write(pipe, attempts[number])
            add(obj, step)
            os.write(pipe, dones[number])
            if disturb is not None and chance.random() < 0.03:
                disturb(chance)
        signal.pause()  # its digits are full

    def guard(seed: int) -> None:
        try:
            count(seed)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(2)

    seed = os.getpid() * WORKERS + place  # in a PID namespace of its own, each may be PID 1
    for number in range(1, threads):
        threading.Thread(target=guard, args=(seed + number,)).start()
    count(seed)


class Worker:
    """A process that counts, and what it told."""

    def __init__(
        self,
        objects: Sequence[tuple[Kind, Any]],
        place: int,
        focus: int = 0,
        threads: int = 1,
        disturb: Callable[[random.Random], None] | None = None,
        fork: Callable[..., int] = fork,
    ) -> None:
        self.place, self.threads = place, threads
        self.attempts, self.done = [0] * len(objects), [0] * len(objects)
        self.pipe, theirs = os.pipe()
        self.pid = fork(work, objects, place, focus, threads, disturb, theirs)
        os.close(theirs)
        os.set_blocking(self.pipe, False)

    def listen(self) -> None:
        """Take in what it has told since."""
        try:
            while told := os.read(self.pipe, 65536):
                for number in range(len(self.done)):
                    self.attempts[number] += told.count(number)
                    self.done[number] += told.count(number | DONE)
        except BlockingIOError:
            pass

    def kill(self) -> None:
        kill(self.pid)
        self.listen()
        os.close(self.pipe)


@dataclass
class Campaign:
    """Kills workers at random, starts others, and compares what they told with what is there."""

    kinds: dict[str, Kind]
    seed: int = 0
    disturb: Callable[[random.Random], None] | None = None
    fork: Callable[..., int] = fork
    kills: int = 0
    changes: int = 0
    unacknowledged: int = 0  # changes that were made, though the call never returned
    workers: dict[int, Worker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.objects = [(kind, kind.make()) for kind in self.kinds.values()]

    def start(self) -> None:
        """Fill the places of the dead."""
        for place in range(WORKERS):
            if place not in self.workers:
                focus = self.kills // 16 % len(self.objects)
                threads = self.chance.choice((1, 1, 2))
                self.workers[place] = Worker(
                    self.objects, place, focus, threads, self.disturb, self.fork
                )

    def kill(self, count: int) -> None:
        """Kill so many workers at once, and look after what they did."""
        victims = self.chance.sample(sorted(self.workers), count)
        for place in victims[1:]:
            os.kill(self.workers[place].pid, signal.SIGKILL)
        for place in victims:
            self.workers[place].kill()
        self.kills += count
        for dead in [self.workers.pop(place) for place in victims]:
            self.settle(dead)

    def settle(self, dead: Worker) -> None:
        """Compare the digits of a dead worker with what it told, and set them back to zero.

        This takes each object's lock: nobody can be stuck there.
        """
        under_way = sum(dead.attempts) - sum(dead.done)
        assert 0 <= under_way <= dead.threads, (dead.attempts, dead.done)
        shift = dead.place * DIGITS
        for number, (name, (kind, obj)) in enumerate(zip(self.kinds, self.objects, strict=True)):
            correct = kind.correct or kind.adds[0]
            correct(obj, 0)  # what it had committed comes with its recovery, at the latest here
            found = kind.read(obj) >> shift & MASK
            least, most = dead.done[number], dead.attempts[number]
            if not least <= found <= most:
                raise Lost(f"{name}: {found} changes, {least} to {most} were told")
            self.changes += found
            self.unacknowledged += found - least
            correct(obj, -(found << shift))
            if kind.read(obj) >> shift & MASK:
                raise Lost(f"{name}: a change came late")

    def turn(self) -> None:
        """Let them work for a moment, most often less than they need to start, then kill."""
        self.start()
        time.sleep(self.chance.random() ** 2 * 0.004)
        for worker in self.workers.values():
            worker.listen()
        if self.chance.random() < 0.03:
            self.stop_one()
        self.kill(WORKERS if self.chance.random() < 0.05 else 1)

    def stop_one(self) -> None:
        """Stop a worker for a moment, perhaps inside a lock: it must not pass for dead."""
        victim = self.workers[self.chance.randrange(WORKERS)]
        os.kill(victim.pid, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(victim.pid, signal.SIGCONT)

    def prove_progress(self) -> None:
        """See that each living worker gets at every object: nobody is stuck behind the dead."""
        self.start()
        for worker in self.workers.values():
            worker.listen()
            before, deadline = list(worker.done), time.monotonic() + LIMIT
            while not all(now > then + 1 for now, then in zip(worker.done, before, strict=True)):
                stuck = [
                    name
                    for name, now, then in zip(self.kinds, worker.done, before, strict=True)
                    if now <= then + 1
                ]
                if time.monotonic() > deadline:
                    raise Hang(f"a worker is stuck at {stuck}")
                time.sleep(0.002)
                for each in self.workers.values():
                    each.listen()

    def end(self) -> None:
        """Kill all workers; all numbers are zero then."""
        self.kill(len(self.workers))
        for name, (kind, obj) in zip(self.kinds, self.objects, strict=True):
            if kind.read(obj) != 0:
                raise Lost(f"{name}: {kind.read(obj):#x} is left over")

    def abandon(self) -> None:
        """End what is left, without a look: a test failed."""
        for worker in self.workers.values():
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            os.close(worker.pipe)
        self.workers.clear()
