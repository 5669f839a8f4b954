"""How a scenario is played, in children that end by themselves, and what is judged after it."""

import faulthandler
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import courtyard as cy
from tests.support.children import die_with_parent

LIMIT = 20  # seconds after which a process is said to hang; machines may be busy
KILLED_ITSELF = 7


def play(scenario: Callable[..., object], *arguments: Any) -> int:
    """Start a child that plays a scenario, and tells on standard error what went wrong."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        die_with_parent()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(LIMIT)
        scenario(*arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(child: int) -> str:
    """Wait for a child, which ends by itself; return what is wrong with how it ended."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -signal.SIGALRM:
        return f"hangs: more than {LIMIT} s"
    return "" if code in (0, KILLED_ITSELF) else f"ended with {code}"


TABLES = 256 << 10  # bytes by which tables may have grown, which stay


def figures(space: cy.Space) -> tuple[int, ...]:
    """Return what must be as it was when all that a scenario made is gone."""
    found = space.statistics()
    return found.names, found.participants, len(os.listdir("/proc/self/fd"))


@contextmanager
def flat() -> Iterator[None]:
    """See that a scenario leaves the space of this process as it was.

    A pickle whose sender died holds its object for a minute more; several may hold the same one.
    """
    keeper = cy.Event()
    space = keeper.space
    gc.collect()
    before, then = figures(space), space.statistics()
    yield
    gc.collect()
    space.check()
    after, now = figures(space), space.statistics()
    assert after == before, f"names, participants, descriptors: {before}, {after}"
    least, most = then.objects - then.tickets, then.objects + now.tickets
    assert least <= now.objects <= most, f"objects: {then}, {now}"
    assert now.tickets or now.used <= then.used + TABLES, f"{then.used} bytes, now {now.used}"
    assert repr(keeper)
