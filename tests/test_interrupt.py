"""Ctrl-C while something is given back and another process is stopped with a lock of the engine."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import courtyard as cy
from tests.children import fork, kill

TURNS = 25  # in about every fourth of them the other process is stopped with the lock


@contextmanager
def beside(busy: Callable[[], object]) -> Iterator[int]:
    """Have a child do something again and again."""

    def work() -> None:
        while True:
            busy()

    child = fork(work)
    try:
        yield child
    finally:
        kill(child)


def press(child: int, give_back: Callable[[], object], at_once: bool = False) -> None:
    """Give something back while the child is stopped, and press Ctrl-C if that waits.

    With at_once it begins before the child is stopped.
    """
    begun, stopped = threading.Event(), threading.Event()

    def disturb() -> None:
        if at_once:
            begun.wait()
            time.sleep(0.01)
        os.kill(child, signal.SIGSTOP)
        stopped.set()
        begun.wait()
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.02)
        os.kill(child, signal.SIGCONT)

    thread = threading.Thread(target=disturb)
    thread.start()
    with suppress(KeyboardInterrupt):
        try:
            assert at_once or stopped.wait(20)
            begun.set()
        finally:
            give_back()  # also if Ctrl-C comes early
        while thread.is_alive():
            time.sleep(0.001)
    thread.join()


def test_a_lease_ends() -> None:
    q = cy.Queue()
    q.put_many(range(TURNS + 2))

    def busy() -> None:
        with suppress(ZeroDivisionError), q.lease():
            raise ZeroDivisionError

    with beside(busy) as child:
        for _ in range(TURNS):
            lease: Any = q.lease()
            lease.__enter__()
            press(child, partial(lease.__exit__, None, None, None))
    q.check()
    assert (q.qsize(), q.unfinished_tasks) == (2, 2)


def test_a_permit_goes_back() -> None:
    s = cy.BoundedSemaphore(2)

    def busy() -> None:
        with s:
            pass

    with beside(busy) as child:
        for _ in range(TURNS):
            s.acquire()
            press(child, s.release)
    s.check()
    assert s.get_value() == 2


def test_a_waiter_leaves_the_line() -> None:
    c = cy.Condition()

    def wait() -> None:
        with c:
            c.wait(0.03)

    with beside(lambda: c._notify(0)) as child:
        for _ in range(TURNS):
            press(child, wait, at_once=True)
    c.check()
    assert c._waiters == 0
