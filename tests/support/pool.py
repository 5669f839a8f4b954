"""Workers that wait for each other until they are killed, and a pool that replaces them.

Each worker reports over a pipe of its own, outside shared memory, what it is about to do and what
it did, with the time. A scenario says what they do, and judges their reports when all are dead.
"""

import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tests.support.campaign import LIMIT, Hang
from tests.support.children import fork, kill


class Report(NamedTuple):
    """What an worker told, by the clock that all processes share, in nanoseconds."""

    what: str
    when: int
    number: int


FORM = struct.Struct("=cqq")  # written at once or not at all: less than PIPE_BUF
Send = Callable[..., None]


class Scenario(Protocol):
    """Objects between workers."""

    places: int
    at_once: int  # so many may be killed at the same time

    def act(self, place: int, report: Send, chance: random.Random, last: Report | None) -> None:
        """Play without end; ``last`` is what the one before told last."""

    def close(self, pool: "Pool") -> None:
        """End the pool, place by place or all at once, and judge what all have told."""


@dataclass
class Worker:
    """One process, from its start to its death."""

    place: int
    pid: int
    pipe: int
    told: list[Report] = field(default_factory=list)
    killed: int = 0  # just before its death: what it held until then it held
    ended: int = 0  # just after: what it held is free

    @classmethod
    def start(cls, scenario: Scenario, place: int, seed: int, last: Report | None) -> "Worker":
        pipe, theirs = os.pipe()

        def report(what: str, number: int = 0) -> None:
            os.write(theirs, FORM.pack(what.encode(), time.monotonic_ns(), number))

        pid = fork(scenario.act, place, report, random.Random(seed), last)
        os.close(theirs)
        os.set_blocking(pipe, False)
        return cls(place, pid, pipe)

    def listen(self) -> int:
        """Take in what it has told since; return how much it told in all."""
        try:
            while data := os.read(self.pipe, FORM.size * 4096):
                for what, when, number in FORM.iter_unpack(data):
                    self.told.append(Report(what.decode(), when, number))
        except BlockingIOError:
            pass
        return len(self.told)

    @property
    def last(self) -> Report | None:
        return self.told[-1] if self.told else None


@dataclass
class Pool:
    """Kills workers of a scenario at random and starts others in their places."""

    scenario: Scenario
    seed: int
    kills: int = 0
    workers: dict[int, Worker] = field(default_factory=dict)
    dead: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def start(self) -> None:
        """Fill the places of the dead."""
        for place in range(self.scenario.places):
            if place not in self.workers:
                before = [worker for worker in self.dead if worker.place == place]
                last = before[-1].last if before else None
                seed = self.chance.randrange(1 << 60)
                self.workers[place] = Worker.start(self.scenario, place, seed, last)

    def kill(self, places: Sequence[int]) -> None:
        """Kill those in the places, at once."""
        victims = [self.workers.pop(place) for place in places]
        for worker in victims:
            worker.killed = time.monotonic_ns()
            os.kill(worker.pid, signal.SIGKILL)
        for worker in victims:
            kill(worker.pid)
            worker.ended = time.monotonic_ns()
            worker.listen()
            os.close(worker.pipe)
            self.dead.append(worker)
        self.kills += len(victims)

    def turn(self) -> None:
        """Start who is missing, let all play for a moment, kill some."""
        self.start()
        self.until(lambda: all(worker.told for worker in self.workers.values()), "begin")
        if self.chance.random() < 0.1:
            self.stop_one()
        time.sleep(self.chance.random() * self.chance.choice((0.0005, 0.002, 0.01)))
        number = self.chance.choice((1, 1, 1, 2, self.scenario.at_once))
        self.kill(self.chance.sample(sorted(self.workers), number))
        if self.chance.random() < 0.1:
            time.sleep(self.chance.random() * 0.3)  # nobody comes: they find the dead themselves

    def stop_one(self) -> None:
        """Stop an worker for a moment: it must not pass for dead."""
        victim = self.chance.choice(sorted(self.workers))
        os.kill(self.workers[victim].pid, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(self.workers[victim].pid, signal.SIGCONT)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Listen until something holds; raise Hang if that takes too long."""
        deadline = time.monotonic() + LIMIT
        while True:
            for worker in self.workers.values():
                worker.listen()
            if holds():
                return
            if time.monotonic() > deadline:
                last = {place: worker.last for place, worker in sorted(self.workers.items())}
                raise Hang(f"did not {what} in {LIMIT:g} s; now {time.monotonic_ns()}, {last}")
            time.sleep(0.0005)

    def prove_progress(self) -> None:
        """See that each living worker goes on: nobody waits for the dead."""
        self.start()
        before = {place: worker.listen() for place, worker in self.workers.items()}
        self.until(
            lambda: all(len(self.workers[place].told) > told + 4 for place, told in before.items()),
            "go on",
        )

    def play(self, kills: int) -> None:
        """Kill so many, and then the others; have the scenario judge."""
        while self.kills < kills:
            self.turn()
            if self.chance.random() < 0.1:
                self.prove_progress()
        self.prove_progress()
        self.scenario.close(self)
        assert not self.workers

    def abandon(self) -> None:
        """End what is left, without a look: a test failed."""
        for worker in self.workers.values():
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            os.close(worker.pipe)
        self.workers.clear()

    def told(self, *what: str) -> Iterable[Report]:
        """All that was told of these kinds, by the dead and the living."""
        for worker in [*self.dead, *self.workers.values()]:
            for told in worker.told:
                if told.what in what:
                    yield told

    def sum(self, what: str) -> int:
        """Add the numbers of all that was told of this kind."""
        return sum(told.number for told in self.told(what))


def held(lock: Any) -> None:
    """Acquire a lock, but not for ever."""
    if not lock.acquire(timeout=LIMIT):
        raise Hang(f"{lock!r} was not to be had in {LIMIT:g} s")
