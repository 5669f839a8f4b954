"""Who is a party of a barrier, and whose death breaks it."""

import io
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from tests.support.campaign import LIMIT
from tests.support.children import fork, kill, start

pytestmark = pytest.mark.usefixtures("own_home")

METHODS = ("fork", "spawn", "forkserver")


def pass_and_compute(barrier: Any, passed: Any) -> None:
    barrier.wait()
    passed.value = 1
    while True:
        time.sleep(10)


def pass_and_end(barrier: Any, how: str) -> None:
    barrier.wait()
    if how == "leave":
        barrier.leave()
        os._exit(0)
    if how == "raise":
        sys.stderr = io.StringIO()  # its traceback is no news
        raise RuntimeError


def pass_once(barrier: Any) -> None:
    barrier.wait(LIMIT)


@pytest.mark.parametrize("method", METHODS)
def test_a_party_killed_while_it_computes_breaks_it(method: str) -> None:
    context = multiprocessing.get_context(method)
    barrier, passed = cy.Barrier(2), cy.Value("i")
    child = start(context, pass_and_compute, barrier, passed)
    barrier.wait(LIMIT)
    assert passed.wait_for(1, LIMIT)
    child.kill()
    child.join()
    with pytest.raises(threading.BrokenBarrierError, match="a party was killed"):
        barrier.wait(LIMIT)
    barrier.reset()
    other = start(context, pass_once, barrier)
    barrier.wait(LIMIT)
    other.join()
    assert other.exitcode == 0


def test_broken_says_so_to_the_other_parties_when_nobody_waits() -> None:
    """To who has not waited yet it does not: that may have come in the place of the dead."""
    barrier, passed = cy.Barrier(2), cy.Value("i")
    child = fork(pass_and_compute, barrier, passed)
    barrier.wait(LIMIT)
    assert passed.wait_for(1, LIMIT) and not barrier.broken
    kill(child)
    assert barrier.wait_for(lambda b: b.broken, LIMIT)
    assert barrier.broken and repr(barrier).endswith("broken>") and barrier.n_waiting == 0
    newcomer = fork(lambda: os._exit(7 if barrier.broken else 3))
    assert os.waitstatus_to_exitcode(os.waitpid(newcomer, 0)[1]) == 3
    with pytest.raises(threading.BrokenBarrierError, match="a party was killed"):
        barrier.wait(LIMIT)
    assert barrier.broken
    barrier.reset()
    assert not barrier.broken


@pytest.mark.parametrize("method", METHODS)
def test_so_it_does_for_who_waits_already(method: str) -> None:
    context = multiprocessing.get_context(method)
    barrier, passed = cy.Barrier(2), cy.Value("i")
    child = start(context, pass_and_compute, barrier, passed)
    barrier.wait(LIMIT)
    assert passed.wait_for(1, LIMIT)
    broken = threading.Event()

    def wait() -> None:
        try:
            barrier.wait(LIMIT)
        except threading.BrokenBarrierError as error:
            if "killed" in str(error):
                broken.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    while barrier.n_waiting < 1:
        time.sleep(0.001)
    child.kill()
    waiter.join()
    assert broken.is_set()
    child.join()


@pytest.mark.parametrize("how", ["return", "raise", "leave"])
@pytest.mark.parametrize("method", METHODS)
def test_who_ends_by_itself_or_leaves_is_not_missed(method: str, how: str) -> None:
    context = multiprocessing.get_context(method)
    barrier = cy.Barrier(2)
    for _ in range(3):
        child = start(context, pass_and_end, barrier, how)
        barrier.wait(LIMIT)
        child.join()
    assert not barrier.broken


def test_who_has_no_handle_any_more_is_not_missed() -> None:
    barriers, gone = [cy.Barrier(2)], cy.Value("i")

    def drop() -> None:
        barriers.pop().wait()
        gone.value = 1
        time.sleep(LIMIT)

    kept = barriers[0]
    child = os.fork()
    if not child:
        del kept
        drop()
        os._exit(0)
    kept.wait(LIMIT)
    assert gone.wait_for(1, LIMIT)
    kill(child)
    other = fork(kept.wait)
    kept.wait(LIMIT)
    assert os.waitpid(other, 0)[1] == 0


def test_new_parties_may_take_the_place_of_the_dead() -> None:
    """As the workers of another pool, after the first was terminated."""
    barrier = cy.Barrier(2)
    for _ in range(3):
        passed = cy.Value("i")

        def work(passed: Any = passed) -> None:
            barrier.wait(LIMIT)
            passed.increment()
            time.sleep(LIMIT)

        pair = [fork(work) for _ in range(2)]
        assert passed.wait_for(2, LIMIT)
        for child in pair:
            kill(child)
    assert not barrier.broken


def test_a_forked_child_is_no_party_until_it_waits() -> None:
    barrier = cy.Barrier(1)
    barrier.wait()
    kill(fork(lambda: time.sleep(LIMIT)))
    barrier.wait()
    assert not barrier.broken


def test_the_dead_that_nobody_had_noticed_are_not_missed_after_a_reset() -> None:
    barrier, passed = cy.Barrier(2), cy.Value("i")
    child = fork(pass_and_compute, barrier, passed)
    barrier.wait(LIMIT)
    assert passed.wait_for(1, LIMIT)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    barrier.reset()
    other = fork(barrier.wait)
    barrier.wait(LIMIT)
    assert os.waitpid(other, 0)[1] == 0


def test_threads_are_one_party() -> None:
    barrier = cy.Barrier(2)
    results: list[int] = []
    work: Callable[[], None] = lambda: results.append(barrier.wait(LIMIT))  # noqa: E731
    for _ in range(3):
        pair = [threading.Thread(target=work) for _ in range(2)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
    assert sorted(results) == [0, 0, 0, 1, 1, 1]
    assert cy.statistics(barrier).holdings == ()
    barrier.leave()
    barrier.check()
