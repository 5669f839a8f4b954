"""``Space.wait_for(name)``: waiting until somebody has made an object."""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import die_with_parent, fork, join, start


@pytest.fixture
def space(title: str) -> Iterator[cy.Space]:
    with cy.Space(title) as space:
        yield space
    gc.collect()


class Waiter(threading.Thread):
    """Waits for a name in a thread; what it came to, and when."""

    def __init__(self, space: cy.Space, name: str, timeout: float | None = None) -> None:
        super().__init__(daemon=True)
        self.what = space, name, timeout
        self.found: Any = None
        self.raised: BaseException | None = None
        self.at = 0.0
        self.start()

    def run(self) -> None:
        space, name, timeout = self.what
        try:
            self.found = space.wait_for(name, timeout)
        except BaseException as error:
            self.raised = error
        self.at = time.monotonic()

    def ended(self) -> "Waiter":
        self.join(30)
        assert not self.is_alive()
        return self


def test_what_is_there_is_returned_at_once(space: cy.Space) -> None:
    space.named("jobs", cy.Queue, maxsize=7)
    space.named("empty", cy.Dict)
    space.named("zero", cy.Value, "i", 0)
    assert space.wait_for("jobs").maxsize == 7
    assert space.wait_for("empty", 0) == {} and space.wait_for("zero", timeout=-1).value == 0


def test_nobody_comes(space: cy.Space) -> None:
    for timeout in (0, -5, 0.05):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"nobody has made 'jobs' in courtyard.Space\("):
            space.wait_for("jobs", timeout)
        assert time.monotonic() - began >= timeout
    with pytest.raises(ValueError, match=r"NaN|nan"):
        space.wait_for("jobs", float("nan"))
    for wrong in ("", "x" * 256, "a\0b"):
        with pytest.raises(ValueError, match="expected 1 to 255"):
            space.wait_for(wrong)
    with pytest.raises(TypeError, match="a name is a str"):
        space.wait_for(5)  # type: ignore[arg-type]
    assert len(space) == 0


def test_it_is_woken_by_the_name(space: cy.Space) -> None:
    """And not by the look that every waiter takes once a second."""
    delays = []
    for number in range(5):
        waiter = Waiter(space, f"jobs {number}")
        time.sleep(0.2)
        assert waiter.is_alive()
        began = time.monotonic()
        space.named(f"other {number}", cy.Lock)
        made = space.named(f"jobs {number}", cy.Queue, maxsize=number)
        made.put(number) if number else made.put("first")
        delays.append(waiter.ended().at - began)
        assert waiter.raised is None
        assert waiter.found.get(timeout=30) == (number or "first")
    assert min(delays) < 0.6


def wait_and_tell(title: str, names: list[str]) -> None:
    space = cy.Space(title)
    for name in names:
        space.wait_for(name, 60).increment()


def test_processes_wait_for_each_other(ctx: BaseContext, space: cy.Space, title: str) -> None:
    names = [f"n {number}" for number in range(4)]
    children = [start(ctx, wait_and_tell, title, names[number:]) for number in range(4)]
    values = []
    for name in reversed(names):
        time.sleep(0.05)
        values.append(space.named(name, cy.Value, "i", 0))
    join(*children, limit=60)
    assert [value.value for value in values] == [4, 3, 2, 1]
    space.check()


def make_and_die(title: str) -> None:
    die_with_parent()
    cy.Space(title).named("jobs", cy.Value, "i", 7)
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_maker_is_killed(space: cy.Space, title: str) -> None:
    waiter = Waiter(space, "jobs", 30)
    time.sleep(0.05)
    os.waitpid(fork(make_and_die, title), 0)
    assert waiter.ended().found.value == 7


def test_many_wait_beside_names_that_come_and_go(space: cy.Space) -> None:
    waiters = [Waiter(space, f"w {number}", 60) for number in range(24)]
    for number in range(200):
        space.named(f"noise {number % 5}", cy.Lock)
        del space[f"noise {number % 5}"]
    for number in range(24):
        space.named(f"w {number}", cy.Value, "i", number)
    assert [waiter.ended().found.value for waiter in waiters] == list(range(24))


def test_a_name_that_is_deleted_and_given_again(space: cy.Space) -> None:
    old = space.named("jobs", cy.Value, "i", 1)
    assert space.wait_for("jobs").value == 1
    del space["jobs"]
    waiter = Waiter(space, "jobs", 30)
    time.sleep(0.05)
    assert waiter.is_alive()
    space.named("jobs", cy.Value, "i", 2)
    assert (waiter.ended().found.value, old.value) == (2, 1)


def test_a_space_that_is_destroyed_or_closed(title: str) -> None:
    for end in (lambda space: cy.Space(title).destroy(force=True), lambda space: space.close()):
        space = cy.Space(title)
        waiter = Waiter(space, "jobs", 60)
        time.sleep(0.1)
        end(space)
        raised = waiter.ended().raised
        assert isinstance(raised, cy.NotFound | cy.Closed), raised
    with pytest.raises(cy.Closed):
        space.wait_for("jobs")


class Stop(Exception):
    pass


def interrupted(call: Callable[[], object]) -> float:
    """Return how long a call took that a signal handler ends after 0.1 seconds."""

    def stop(*_: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    began = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Stop):
            call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return time.monotonic() - began


def test_a_signal_handler_ends_it(space: cy.Space) -> None:
    assert interrupted(lambda: space.wait_for("jobs")) < 20
    assert interrupted(lambda: space.wait_for("jobs", 1e9)) < 20
    space.named("jobs", cy.Lock)
    assert isinstance(space.wait_for("jobs"), cy.Lock)


def test_in_a_file_and_in_a_private_space(url: str, tmp_path: Path) -> None:
    for space in (cy.Space(url), cy.Space()):
        waiter = Waiter(space, "jobs", 30)
        time.sleep(0.05)
        made = space.named("jobs", cy.Queue)
        assert waiter.ended().raised is None
        made.put(1)
        assert waiter.found.get() == 1
    cy.Space(url).destroy()
