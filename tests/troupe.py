"""Actors that wait for each other until they are killed, and a troupe that fills their places.

Each actor tells over a pipe of its own, outside shared memory, what it is about to do and what it
did, with the time. A scene says what they do, and judges what they told when all are dead.
"""

import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tests.children import fork, kill
from tests.oracle import LIMIT, Hang


class Told(NamedTuple):
    """What an actor told, by the clock that all processes share, in nanoseconds."""

    what: str
    when: int
    number: int


FORM = struct.Struct("=cqq")  # written at once or not at all: less than PIPE_BUF
Tell = Callable[..., None]


class Scene(Protocol):
    """Objects between actors."""

    places: int
    at_once: int  # so many may be killed at the same time

    def act(self, place: int, tell: Tell, chance: random.Random, last: Told | None) -> None:
        """Play without end; ``last`` is what the one before told last."""

    def close(self, troupe: "Troupe") -> None:
        """End the troupe, place by place or all at once, and judge what all have told."""


@dataclass
class Actor:
    """One process, from its start to its death."""

    place: int
    pid: int
    pipe: int
    told: list[Told] = field(default_factory=list)
    killed: int = 0  # just before its death: what it held until then it held
    ended: int = 0  # just after: what it held is free

    @classmethod
    def start(cls, scene: Scene, place: int, seed: int, last: Told | None) -> "Actor":
        pipe, theirs = os.pipe()

        def tell(what: str, number: int = 0) -> None:
            os.write(theirs, FORM.pack(what.encode(), time.monotonic_ns(), number))

        pid = fork(scene.act, place, tell, random.Random(seed), last)
        os.close(theirs)
        os.set_blocking(pipe, False)
        return cls(place, pid, pipe)

    def listen(self) -> int:
        """Take in what it has told since; return how much it told in all."""
        try:
            while data := os.read(self.pipe, FORM.size * 4096):
                for what, when, number in FORM.iter_unpack(data):
                    self.told.append(Told(what.decode(), when, number))
        except BlockingIOError:
            pass
        return len(self.told)

    @property
    def last(self) -> Told | None:
        return self.told[-1] if self.told else None


@dataclass
class Troupe:
    """Kills actors of a scene at random and starts others in their places."""

    scene: Scene
    seed: int
    kills: int = 0
    actors: dict[int, Actor] = field(default_factory=dict)
    dead: list[Actor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def start(self) -> None:
        """Fill the places of the dead."""
        for place in range(self.scene.places):
            if place not in self.actors:
                before = [actor for actor in self.dead if actor.place == place]
                last = before[-1].last if before else None
                seed = self.chance.randrange(1 << 60)
                self.actors[place] = Actor.start(self.scene, place, seed, last)

    def kill(self, places: Sequence[int]) -> None:
        """Kill those in the places, at once."""
        victims = [self.actors.pop(place) for place in places]
        for actor in victims:
            actor.killed = time.monotonic_ns()
            os.kill(actor.pid, signal.SIGKILL)
        for actor in victims:
            kill(actor.pid)
            actor.ended = time.monotonic_ns()
            actor.listen()
            os.close(actor.pipe)
            self.dead.append(actor)
        self.kills += len(victims)

    def turn(self) -> None:
        """Start who is missing, let all play for a moment, kill some."""
        self.start()
        self.until(lambda: all(actor.told for actor in self.actors.values()), "begin")
        if self.chance.random() < 0.1:
            self.stop_one()
        time.sleep(self.chance.random() * self.chance.choice((0.0005, 0.002, 0.01)))
        number = self.chance.choice((1, 1, 1, 2, self.scene.at_once))
        self.kill(self.chance.sample(sorted(self.actors), number))
        if self.chance.random() < 0.1:
            time.sleep(self.chance.random() * 0.3)  # nobody comes: they find the dead themselves

    def stop_one(self) -> None:
        """Stop an actor for a moment: it must not pass for dead."""
        victim = self.chance.choice(sorted(self.actors))
        os.kill(self.actors[victim].pid, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(self.actors[victim].pid, signal.SIGCONT)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Listen until something holds; raise Hang if that takes too long."""
        deadline = time.monotonic() + LIMIT
        while True:
            for actor in self.actors.values():
                actor.listen()
            if holds():
                return
            if time.monotonic() > deadline:
                last = {place: actor.last for place, actor in sorted(self.actors.items())}
                raise Hang(f"did not {what} in {LIMIT:g} s; now {time.monotonic_ns()}, {last}")
            time.sleep(0.0005)

    def prove_progress(self) -> None:
        """See that each living actor goes on: nobody waits for the dead."""
        self.start()
        before = {place: actor.listen() for place, actor in self.actors.items()}
        self.until(
            lambda: all(len(self.actors[place].told) > told + 4 for place, told in before.items()),
            "go on",
        )

    def play(self, kills: int) -> None:
        """Kill so many, and then the others; have the scene judge."""
        while self.kills < kills:
            self.turn()
            if self.chance.random() < 0.1:
                self.prove_progress()
        self.prove_progress()
        self.scene.close(self)
        assert not self.actors

    def abandon(self) -> None:
        """End what is left, without a look: a test failed."""
        for actor in self.actors.values():
            os.kill(actor.pid, signal.SIGKILL)
            os.waitpid(actor.pid, 0)
            os.close(actor.pipe)
        self.actors.clear()

    def told(self, *what: str) -> Iterable[Told]:
        """All that was told of these kinds, by the dead and the living."""
        for actor in [*self.dead, *self.actors.values()]:
            for told in actor.told:
                if told.what in what:
                    yield told

    def sum(self, what: str) -> int:
        """Add the numbers of all that was told of this kind."""
        return sum(told.number for told in self.told(what))


def held(lock: Any) -> None:
    """Acquire a lock, but not for ever."""
    if not lock.acquire(timeout=LIMIT):
        raise Hang(f"{lock!r} was not to be had in {LIMIT:g} s")
