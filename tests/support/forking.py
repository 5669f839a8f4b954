"""Calls that fork inside, in the parent and in the child."""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import courtyard as cy
from tests.support.children import die_with_parent


class Forker:
    """Forks once, at the first of its calls."""

    child: int | None = None

    def __call__(self) -> bool:
        if self.child is None:
            self.child = os.fork()
            if self.child == 0:
                die_with_parent()
        return False


forker = Forker()


def ended(child: int, limit: float = 30) -> int:
    """Wait for a child, and say how it ended."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hung")


def work(number: int) -> None:
    """Make and drop, store and take, as a process does that is well."""
    for size in (10, 3000, 40_000, 300_000):
        value, queue, table = cy.Value(object), cy.Queue(), cy.Dict()
        text = chr(65 + number) * size
        value.value = text
        queue.put(text)
        table["a"] = text
        assert (value.value, queue.get(timeout=20), table.pop("a")) == (text, text, text)


def forked(
    call: Callable[[], object],
    *objects: Any,
    after: Callable[[object], object] = lambda result: None,
    spared: tuple[type[BaseException], ...] = (),
) -> None:
    """Make a call that forks inside, and see that both go on well.

    `after` judges the parent's result. `spared` are the errors that the call may end with in the
    child, besides ours: those of its timeout.
    """
    # Blocks of all sizes are at hand, as after some work.
    work(0)
    parent = os.getpid()
    result: object = None
    try:
        result = call()
    except BaseException as error:
        if os.getpid() == parent:
            raise
        if not isinstance(error, (cy.CourtyardError, *spared)):
            sys.excepthook(*sys.exc_info())
            os._exit(3)
    finally:
        if os.getpid() != parent:
            code = 2
            try:
                if sys.exc_info()[0] is None:
                    work(1)
                    for obj in objects:
                        cy.check(obj)
                    code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
    assert forker.child, "it did not fork"
    work(2)
    after(result)
    assert ended(forker.child) == 0
    work(3)
    for obj in objects:
        cy.check(obj)
