"""Ctrl-C while something is given back and another process is stopped with a lock of the engine."""

import os
import pickletools  # noqa: F401 - else Ctrl-C may come while a failed load imports it
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import courtyard as cy
from tests.support.children import fork, kill

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


class Stopping:
    """One whose loading stops a process for a second and more, and fails the first time."""

    loads = 0
    interrupts: threading.Timer
    goes_on: threading.Timer

    def __init__(self, child: int) -> None:
        self.child = child

    def __reduce__(self) -> tuple[Any, ...]:
        return stop_and_fail, (self.child,)


def stop_and_fail(child: int) -> str:
    Stopping.loads += 1
    if Stopping.loads > 1:
        return "loaded"
    main = threading.get_ident()
    Stopping.goes_on = threading.Timer(1.5, os.kill, (child, signal.SIGCONT))
    Stopping.goes_on.start()
    os.kill(child, signal.SIGSTOP)
    Stopping.interrupts = threading.Timer(0.02, signal.pthread_kill, (main, signal.SIGINT))
    Stopping.interrupts.start()
    raise ValueError


def test_an_item_that_does_not_load_goes_back() -> None:
    """Also where its call gave up waiting for the stopped process, which has the lock as a rule."""
    items = [number.to_bytes(4000) for number in range(200)]
    for _ in range(TURNS):
        Stopping.loads = 0
        q: Any = cy.Queue()
        with beside(partial(q._peek, len(items))) as child:
            q.put(Stopping(child))
            q.put_many(items)
            time.sleep(0.05)
            begun = time.monotonic()
            with suppress(cy.LoadError, KeyboardInterrupt):
                try:
                    q.get()
                finally:
                    Stopping.interrupts.join()  # the signal comes now, if not before
            waited = time.monotonic() - begun > 0.9
            if waited:
                Stopping.goes_on.join()
            else:
                Stopping.goes_on.cancel()
                os.kill(child, signal.SIGCONT)
            assert q.get(timeout=20) == "loaded"
            rest: list[bytes] = []
            while len(rest) < len(items):
                rest += q.get_many(len(items), timeout=20)
            assert rest == items
            assert q.empty() and q.unfinished_tasks == len(items) + 1
            q.check()
        if waited:
            break


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
