"""A peer that is stopped (SIGSTOP) at any moment of any call, and calls beside it."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import courtyard as cy
from tests.sides.member import SPECIMENS, Member, invite, members, nobody, use
from tests.sides.play import LIMIT, ended, play
from tests.support.children import kill

SOON = 8.0  # seconds: far beyond any timeout here, and far below for ever
PRESSED = 0.2  # seconds after which a person presses Ctrl-C
STOPS = 4  # of each peer, before it is killed
CALLS = 4  # beside each stop
# Nothing is left to be done with an object after these.
_LAST = ("close", "shutdown", "abort")


class Interrupted(Exception):
    """What Ctrl-C raises here."""


def interrupt(_number: int, _frame: object) -> None:
    raise Interrupted


def interrupted(call: Callable[[], object]) -> None:
    """Make a call, and press Ctrl-C in this thread after a moment, unless it is done by then."""
    me = threading.get_ident()
    has_begun, is_over = threading.Event(), threading.Event()

    def press() -> None:
        has_begun.wait()  # on a busy machine this thread's start takes longer than a moment
        while not is_over.wait(PRESSED):
            signal.pthread_kill(me, signal.SIGINT)

    presser = threading.Thread(target=press, daemon=True)
    presser.start()
    try:
        with suppress(Exception):
            has_begun.set()
            call()
    finally:
        while True:
            with suppress(Interrupted):
                is_over.set()
                presser.join()
                break


def work(specimen: Any, calls: list[Member], seed: int) -> None:
    """Make all calls on an object, for ever."""
    chance = random.Random(seed)
    signal.alarm(0)
    while True:
        with suppress(Exception):
            chance.choice(calls).call(specimen)


def timed(member: Member, specimen: Any) -> str:
    """Make a call that has a timeout, or is interrupted; return what is wrong with it."""
    has_timeout = any(parameter.name == "timeout" for parameter in member.parameters())
    started = time.monotonic()
    if has_timeout:
        result = None
        with suppress(Exception):
            result = member.begin(specimen)
        took = time.monotonic() - started
        interrupted(lambda: use(result))
    else:
        interrupted(lambda: member.call(specimen))
        took = time.monotonic() - started
    how = "with its timeout" if has_timeout else "interrupted"
    return f"{member}, {how}, took {took:.1f} s\n" if took > SOON else ""


def beside(cls: str, seed: int, stops: int) -> None:
    """Call members of an object while another process is stopped in one of them."""
    chance = random.Random(seed)
    invite(nobody)
    signal.signal(signal.SIGINT, interrupt)
    specimen = SPECIMENS[cls]()
    with suppress(Exception):
        specimen.release()  # a condition's, which is made held
    calls = [member for member in members(cls) if member.name not in _LAST]
    wrong = ""
    for _ in range(stops):
        peer = play(work, specimen, calls, chance.random())
        for _ in range(STOPS):
            dropped = [cy.Value("i") for _ in range(3)]
            time.sleep(chance.random() * 0.01)
            os.kill(peer, signal.SIGSTOP)
            os.waitpid(peer, os.WUNTRACED)
            for member in chance.sample(calls, CALLS):
                wrong += timed(member, specimen)
            # What is dropped, and a child, wait for nobody.
            started = time.monotonic()
            del dropped
            dropping = time.monotonic() - started
            gone = play(nobody)
            forking = time.monotonic() - started - dropping
            if max(dropping, forking) > 4:  # five seconds is how long both once waited
                wrong += f"dropping took {dropping:.1f} s, forking {forking:.1f} s\n"
            assert not (how := ended(gone)), f"the child {how}"
            os.kill(peer, signal.SIGCONT)
        kill(peer)
        signal.alarm(LIMIT)
    assert not wrong, f"beside a stopped peer:\n{wrong}"
    free(specimen)


def free(specimen: Any) -> None:
    """See that nothing is left of a peer that was killed."""
    assert repr(specimen)
    if hasattr(specimen, "acquire"):
        for _ in range(9):
            with suppress(Exception):
                specimen.release()  # what an interrupted call acquired
        assert specimen.acquire(True, 5), "nobody has it, and nobody gets it"
        specimen.release()
    cy.check(specimen)
