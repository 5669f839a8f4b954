"""Callbacks: what user code may do while a call of ours runs it.

Which calls run any is found out by calling them all, with guests wherever one may be.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any, ClassVar

import courtyard as cy
from tests.sides.member import Member, invite, members, nobody
from tests.sides.play import KILLED_ITSELF, LIMIT, ended, play
from tests.support.children import die_with_parent


class Oops(Exception):
    """What a callback raises."""


def reenter(member: Member, specimen: Any) -> None:
    """Make the same call once more, within itself."""
    with suppress(Exception):
        member.call(specimen)
    repr(specimen)


def fail(member: Member, specimen: Any) -> None:
    raise Oops


def leave(member: Member, specimen: Any) -> None:
    os._exit(KILLED_ITSELF)


def end(member: Member, specimen: Any) -> None:
    sys.exit(3)


def interrupt(member: Member, specimen: Any) -> None:
    signal.raise_signal(signal.SIGINT)


def close(member: Member, specimen: Any) -> None:
    specimen.close()


def sleep(member: Member, specimen: Any) -> None:
    """Let another thread have a look meanwhile, which it may have to wait for."""
    looker = threading.Thread(target=repr, args=(specimen,), daemon=True)
    looker.start()
    time.sleep(0.01)
    Case.lookers.append(looker)


def fork(member: Member, specimen: Any) -> None:
    """Come back twice from the callback: here, and in a child."""
    child = os.fork()
    if child:
        Case.children.append(child)
    else:
        die_with_parent()
        signal.alarm(LIMIT)
        Case.is_child = True
        Case.children.clear()


BEHAVIOURS = (reenter, fail, leave, end, interrupt, close, sleep, fork)


class Case:
    """A call in which, the n-th time that it runs user code, this does something."""

    lookers: ClassVar[list[threading.Thread]] = []
    children: ClassVar[list[int]] = []
    is_child = False

    def __init__(self, member: Member, behaviour: Any, visit: int) -> None:
        self.member, self.behaviour, self.visit = member, behaviour, visit

    def __str__(self) -> str:
        return f"{self.member}: {self.behaviour.__name__} at visit {self.visit}"

    def __call__(self) -> None:
        invite(nobody)
        specimen = self.member.specimen()
        left = self.visit

        def visit() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.behaviour(self.member, specimen)

        invite(visit)
        try:
            self.member.call(specimen)
        except BaseException as error:
            assert type(error).__name__ != "PanicException", error
        invite(nobody)
        if Case.is_child:
            self.use(specimen)
            os._exit(0)
        for looker in Case.lookers:
            looker.join(LIMIT / 2)
            assert not looker.is_alive(), "another thread waits for ever"
        for child in Case.children:
            assert not (wrong := ended(child)), f"the child {wrong}"
        self.use(specimen)
        self.lock(specimen)
        if Case.children:
            cy.Event().check()

    def use(self, specimen: Any) -> None:
        """See that objects are used as before."""
        counter = cy.Value("i")
        assert counter.increment() == 1
        if self.behaviour is close:
            return
        assert repr(specimen)
        if hasattr(specimen, "put"):
            specimen.put(2, timeout=5)
            specimen.get(timeout=5)
        elif hasattr(specimen, "__len__"):
            assert len(specimen) >= 0

    def lock(self, specimen: Any) -> None:
        """See that it is not locked for ever."""
        if self.behaviour is close or not hasattr(specimen, "acquire"):
            return
        with suppress(Exception):
            specimen.release()  # if the call acquired it
        assert specimen.acquire(True, 5), "nobody has it, and nobody gets it"
        specimen.release()


def visits(cls: str) -> dict[int, int]:
    """Return how often each member of a class runs user code, by its place among them."""
    reading, writing = os.pipe()

    def count() -> None:
        found = {}
        for place, member in enumerate(members(cls)):
            number = 0

            def visit() -> None:
                nonlocal number
                number += 1

            invite(nobody)
            specimen = member.specimen()
            invite(visit)
            with suppress(Exception):
                member.call(specimen)
            invite(nobody)
            if number:
                found[place] = number
        os.write(writing, json.dumps(found).encode())

    child = play(count)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    assert not (wrong := ended(child)), f"{cls}: its calls, with nothing done to them: {wrong}"
    return {int(place): number for place, number in json.loads(text).items()}


def callbacks(cls: str, chance: random.Random, most: int) -> tuple[int, list[str]]:
    """Play cases of a class, at most that many; return how many, and what went wrong."""
    all_of_it, counted = members(cls), visits(cls)
    cases = [
        Case(all_of_it[place], behaviour, chance.randint(1, number))
        for place, number in counted.items()
        for behaviour in BEHAVIOURS
    ]
    cases = chance.sample(cases, min(most, len(cases)))
    endings = [(case, ended(play(case))) for case in cases]
    return len(cases), [f"{case} {how}" for case, how in endings if how]
