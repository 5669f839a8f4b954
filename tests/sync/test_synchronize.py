"""RLock, Semaphore, Condition, Event, Barrier: as threading's, among processes, past deaths."""

import os
import pickle
import queue
import signal
import threading
import time
from multiprocessing.context import BaseContext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import courtyard as cy
from tests.support.children import fork, join, kill, start
from tests.sync.test_lock import in_thread

ALL = [
    cy.Lock,
    cy.RLock,
    cy.Semaphore,
    cy.BoundedSemaphore,
    cy.Condition,
    cy.Event,
    lambda: cy.Barrier(2),
]
SOON = 5.0  # seconds in which what the dead held must be free


def child_that(hold: Any) -> int:
    """Return a child that did `hold()` and sleeps."""
    ready = cy.Event()

    def run() -> None:
        hold()
        ready.set()
        time.sleep(60)

    child = fork(run)
    assert ready.wait(20)
    return child


@pytest.mark.parametrize("make", ALL)
def test_what_they_all_can_do(make: Any) -> None:
    obj = make()
    again = pickle.loads(pickle.dumps(obj))
    assert type(again) is type(obj)
    name = type(obj).__name__
    assert name in repr(obj)
    assert cy.statistics(obj).type == name
    assert cy.version(obj) == obj.version
    cy.check(obj)
    assert obj.name is None
    again.close()
    again.close()
    assert "closed" in repr(again)
    with pytest.raises(cy.Closed):
        cy.version(again)


def hold_one(lock: Any, ready: Any) -> None:
    lock.acquire()
    ready.set()
    time.sleep(60)


@pytest.mark.parametrize("make", [cy.Lock, cy.RLock, cy.Semaphore, cy.Condition])
def test_a_killed_holder_holds_nobody_up(make: Any, ctx: BaseContext) -> None:
    lock, ready = make(), cy.Event()
    child = start(ctx, hold_one, lock, ready)
    assert ready.wait(30)
    assert lock.acquire(timeout=0.05) is False
    child.kill()
    begun = time.monotonic()
    assert lock.acquire(timeout=SOON)
    assert time.monotonic() - begun < SOON
    if make is not cy.Condition:
        assert lock.recovered
        lock.release()
        assert not lock.recovered
        with lock:
            assert not lock.recovered
    child.join()


def test_locked() -> None:
    for make in (cy.Lock, cy.RLock, cy.Semaphore, cy.BoundedSemaphore, cy.Condition):
        lock = make()
        assert lock.locked() is False
        with lock:
            assert lock.locked() is in_thread(lock.locked) is True
        assert lock.locked() is False


class TestRLock:
    def test_recursion(self) -> None:
        lock = cy.RLock()
        with lock, lock:
            assert lock.acquire(False)
            lock.release()
            assert in_thread(lock.acquire, False) is False
        assert not lock.locked()
        with pytest.raises(RuntimeError):
            lock.release()
        lock.acquire()
        with pytest.raises(RuntimeError):
            in_thread(lock.release)
        lock.release()

    def test_a_forked_child_holds_none(self) -> None:
        lock, told = cy.RLock(), cy.Value("i", -1)
        lock.acquire()

        def look() -> None:
            told.value = int(lock.acquire(timeout=0.05))

        os.waitpid(fork(look), 0)
        assert told.value == 0
        lock.release()


class TestSemaphore:
    def test_values(self) -> None:
        s = cy.Semaphore(2)
        assert [s.acquire(False) for _ in range(3)] == [True, True, False]
        assert s.get_value() == 0
        s.release(3)
        assert s.get_value() == 3
        with pytest.raises(ValueError, match="one or more"):
            s.release(0)
        with pytest.raises(ValueError, match=">= 0"):
            cy.Semaphore(-1)
        with pytest.raises(ValueError, match="non-blocking"):
            s.acquire(False, timeout=1)

    def test_bounded(self) -> None:
        s = cy.BoundedSemaphore(2)
        s.acquire()
        for n in (2, 3):
            with pytest.raises(ValueError, match="too many"):
                s.release(n)
        s.release()
        with pytest.raises(ValueError, match="too many"):
            s.release()
        assert s.get_value() == 2

    def test_all_permits_of_the_dead_come_back(self) -> None:
        s = cy.BoundedSemaphore(5)
        child = child_that(lambda: [s.acquire() for _ in range(3)])
        assert s.get_value() == 2
        kill(child)
        for _ in range(5):
            assert s.acquire(timeout=SOON)
        assert s.get_value() == 0
        s.release(5)
        s.check()

    def test_a_signal_is_consumed_and_does_not_come_back(self) -> None:
        s = cy.Semaphore(0)
        s.release(2)
        child = child_that(s.acquire)
        kill(child)
        assert s.acquire(timeout=SOON)
        assert s.acquire(timeout=0.3) is False

    def test_a_permit_that_another_released_comes_back_once(self) -> None:
        s = cy.Semaphore(1)
        child = child_that(s.acquire)
        s.release()  # in the child's stead
        kill(child)
        time.sleep(0.2)
        s.check()
        assert s.get_value() == 1

    @given(st.lists(st.sampled_from(["acquire", "release", "child"]), max_size=12))
    @settings(max_examples=20, deadline=None)
    def test_permits_are_never_lost_nor_made(self, steps: list[str]) -> None:
        s = cy.Semaphore(2)
        held = 0
        for step in steps:
            if step == "acquire":
                held += s.acquire(False)
            elif step == "release" and held:
                s.release()
                held -= 1
            elif step == "child":
                kill(child_that(lambda: s.acquire(False)))
                s.check()  # gives back what the dead held
            assert s.get_value() == 2 - held


class TestCondition:
    def wait(self, c: Any, count: int) -> tuple[list[threading.Thread], list[bool]]:
        results: list[bool] = []

        def run() -> None:
            with c:
                results.append(c.wait(20))

        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        while c._waiters < count:
            time.sleep(0.005)
        return threads, results

    @pytest.mark.parametrize("make", [cy.Lock, cy.RLock])
    def test_notify(self, make: Any) -> None:
        c = cy.Condition(make())
        threads, results = self.wait(c, 5)
        with c:
            c.notify(2)
        while len(results) < 2:
            time.sleep(0.005)
        time.sleep(0.1)
        assert (results, c._waiters) == ([True, True], 3)
        with c:
            c.notify_all()
        for thread in threads:
            thread.join(20)
        assert results == [True] * 5

    def test_a_notification_is_for_those_who_wait_already(self) -> None:
        c = cy.Condition()
        with c:
            c.notify()
            assert c.wait(0.05) is False

    def test_without_the_lock(self) -> None:
        c = cy.Condition()
        for use in (c.wait, c.notify, c.notify_all):
            with pytest.raises(RuntimeError, match="un-acquired"):
                use()
        with pytest.raises(TypeError, match="expected a"):
            cy.Condition(5)  # type: ignore[arg-type]

    def test_notifying_none(self) -> None:
        c = cy.Condition()
        threads, results = self.wait(c, 1)
        with c:
            c.notify(0)
            c.notify(-1)  # as threading's
            assert c._waiters == 1
            c.notify()
        threads[0].join(20)
        assert results == [True]

    def test_wait_for(self) -> None:
        c, n = cy.Condition(), cy.Value("i")

        def count() -> None:
            for _ in range(3):
                with c:
                    n.increment()
                    c.notify()

        child = fork(count)
        with c:
            assert c.wait_for(lambda: n.value == 3, timeout=20)
            assert c.wait_for(lambda: False, timeout=0.01) is False
        os.waitpid(child, 0)

    def test_all_levels_are_given_up_and_taken_back(self) -> None:
        c = cy.Condition()
        threads, results = self.wait(c, 1)
        with c, c:
            c.notify()
            assert c.wait(0.05) is False  # the other one runs meanwhile
            assert c._is_owned()
        for thread in threads:
            thread.join(20)
        assert results == [True]
        assert not c._is_owned()

    def test_a_killed_waiter_leaves_the_line(self) -> None:
        c = cy.Condition()

        def wait() -> None:
            with c:
                c.wait()

        child = fork(wait)
        while c._waiters < 1:
            time.sleep(0.005)
        kill(child)
        time.sleep(0.1)
        c.check()
        assert c._waiters == 0

    def test_what_a_killed_waiter_was_given_goes_to_another(self) -> None:
        c = cy.Condition()

        def wait() -> None:
            with c:
                c.wait()

        child = fork(wait)
        while c._waiters < 1:
            time.sleep(0.005)
        os.kill(child, signal.SIGSTOP)  # so that it cannot take its turn
        with c:
            c.notify()
        assert c._waiters == 0
        threads, results = self.wait(c, 1)
        kill(child)
        for thread in threads:
            thread.join(20)
        assert results == [True]

    def test_ctrl_c_takes_the_lock_back(self) -> None:
        c = cy.Condition()

        def interrupt() -> None:
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt), c:
            try:
                c.wait(20)
            finally:
                assert c._is_owned()
        assert c._waiters == 0


def wait_for_event(event: Any, told: Any) -> None:
    told.set(int(event.wait(30)))


class TestEvent:
    def test_among_processes(self, ctx: BaseContext) -> None:
        event, told = cy.Event(), cy.Value("i", -1)
        child = start(ctx, wait_for_event, event, told)
        time.sleep(0.2)
        event.set()
        join(child)
        assert told.value == 1

    def test_a_set_that_a_clear_follows_wakes_who_waits(self) -> None:
        event, results = cy.Event(), []
        threads = [
            threading.Thread(target=lambda: results.append(event.wait(20))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        event.set()
        event.clear()
        for thread in threads:
            thread.join(20)
        assert results == [True] * 3
        assert event.wait(0.01) is False


class TestBarrier:
    def test_indices_and_action(self) -> None:
        calls = cy.Value("i")
        b = cy.Barrier(3, action=calls.increment)
        results = cy.Queue()

        def party() -> None:
            for _ in range(20):
                results.put(b.wait(20))

        children = [fork(party) for _ in range(3)]
        indices = [results.get(timeout=20) for _ in range(60)]
        for child in children:
            os.waitpid(child, 0)
        assert sorted(indices) == sorted([0, 1, 2] * 20)
        assert (calls.value, b.n_waiting, b.broken) == (20, 0, False)

    def test_another_number_to_each_where_one_went_away_again(self) -> None:
        """Ctrl-C takes the first to come out again: who comes next is none of those inside."""
        b = cy.Barrier(3)
        numbers: list[int] = []
        others = [threading.Thread(target=lambda: numbers.append(b.wait(20))) for _ in range(2)]

        def come_second(*_: Any) -> None:
            others[0].start()
            while b.n_waiting < 2:
                time.sleep(0.001)
            raise KeyboardInterrupt

        previous = signal.signal(signal.SIGALRM, come_second)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(KeyboardInterrupt):
                b.wait(20)
        finally:
            signal.signal(signal.SIGALRM, previous)
        others[1].start()
        while b.n_waiting < 2:
            time.sleep(0.001)
        numbers.append(b.wait(20))
        for other in others:
            other.join(20)
        assert sorted(numbers) == [0, 1, 2]

    def test_a_killed_party_breaks_it(self) -> None:
        b = cy.Barrier(3)
        child = fork(b.wait)
        errors: list[BaseException] = []

        def party() -> None:
            try:
                b.wait(20)
            except threading.BrokenBarrierError as error:
                errors.append(error)

        thread = threading.Thread(target=party)
        thread.start()
        while b.n_waiting < 2:
            time.sleep(0.005)
        kill(child)
        thread.join(SOON)
        assert len(errors) == 1
        assert b.broken
        b.reset()
        assert not b.broken

    def test_a_timeout_breaks_it(self) -> None:
        b = cy.Barrier(2, timeout=0.05)
        with pytest.raises(threading.BrokenBarrierError):
            b.wait()
        with pytest.raises(threading.BrokenBarrierError):
            b.wait(5)
        assert b.broken

    def test_an_action_that_fails(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        b = cy.Barrier(1, action=fail)
        with pytest.raises(ZeroDivisionError):
            b.wait()
        assert b.broken

    def test_refusals(self) -> None:
        for parties in (0, -1):
            with pytest.raises(ValueError, match="> 0"):
                cy.Barrier(parties)


def wait_in_a_condition(timeout: float) -> None:
    condition = cy.Condition()
    with condition:
        condition.wait(timeout)


@pytest.mark.parametrize(
    "wait",
    [
        lambda: cy.Event().wait(float("nan")),
        lambda: cy.Barrier(2).wait(float("nan")),
        lambda: cy.Semaphore(0).acquire(timeout=float("nan")),
        lambda: wait_in_a_condition(float("nan")),
        lambda: cy.Value("i").wait_for(1, float("nan")),
        lambda: cy.Queue().get(timeout=float("nan")),
    ],
)
def test_no_time_is_no_timeout(wait: Any) -> None:
    with pytest.raises(ValueError, match="NaN"):
        wait()


@pytest.mark.parametrize("make", [cy.Condition, lambda: cy.Condition(cy.Lock())])
def test_a_wait_ends_with_the_lock_held_when_a_signal_handler_raises(make: Any) -> None:
    class Rung(BaseException):
        pass

    def ring(*_: Any) -> None:
        raise Rung

    condition = make()
    ends = {"held": 0, "not held": 0}
    previous = signal.signal(signal.SIGALRM, ring)
    try:
        for number in range(3000):
            try:
                with condition:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, (number % 100 + 1) * 2e-6)
                        while True:  # until it rings
                            condition.wait(0.00002)
                    except Rung:
                        ends["held" if condition._is_owned() else "not held"] += 1
            except RuntimeError:
                pass  # it was not held
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert ends == {"held": 3000, "not held": 0}


@pytest.mark.parametrize(
    ("error", "fail"),
    [
        (RuntimeError, lambda: cy.Lock().release()),
        (RuntimeError, lambda: cy.RLock().release()),
        (queue.Empty, lambda: cy.Queue[Any]().get_nowait()),
        (threading.BrokenBarrierError, lambda: cy.Barrier(2).wait(0)),
        (cy.NotFound, lambda: cy.Space()["absent"]),
    ],
)
def test_an_error_knows_what_was_being_handled(error: Any, fail: Any) -> None:
    with pytest.raises(error) as caught:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            fail()
    assert isinstance(caught.value.__context__, ZeroDivisionError)
