"""Lock: as threading.Lock, among processes and threads, and free when its holder dies."""

import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import join, run_script, start


@pytest.fixture(params=["Lock", "get_lock"])
def lock(request: pytest.FixtureRequest) -> Any:
    """Both sorts of lock: what is true of one here is true of the other."""
    return cy.Lock() if request.param == "Lock" else cy.Value("i").get_lock()


def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a call in another thread returns, or raise what it raises."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append((function(*args), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    result, error = results[0]
    if error is not None:
        raise error
    return result


def test_acquire_and_release(lock: Any) -> None:
    assert lock.acquire() is True
    assert lock.recovered is False
    assert lock.release() is None
    with lock as entered:
        assert entered is True
        assert in_thread(lock.acquire, False) is False
    assert in_thread(lock.acquire, False) is True


def test_names_of_the_first_argument(lock: Any) -> None:
    refusals: list[dict[str, Any]] = [
        {"blocking": False},
        {"block": False},
        {"blocking": 0},  # only its truth counts
        {"timeout": 0},
        {"timeout": 0.01},
    ]
    for keywords in refusals:
        lock.acquire()
        assert in_thread(lambda k=keywords: lock.acquire(**k)) is False
        lock.release()
    assert lock.acquire(blocking=True, timeout=1) is True
    lock.release()
    assert lock.acquire(True, -1) is True
    lock.release()


class Sublock(cy.Lock):
    pass


def test_a_subclass_stays_one_through_pickle() -> None:
    lock = Sublock()
    with lock:
        copy = pickle.loads(pickle.dumps(lock))
        assert type(copy) is Sublock
        assert copy.locked()


def test_release_while_free(lock: Any) -> None:
    with pytest.raises(RuntimeError):
        lock.release()
    lock.acquire()
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()
    assert lock.acquire(False)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((False, 1), ValueError),
        ((False, 0), ValueError),
        ((True, -2), ValueError),
        ((True, -0.5), ValueError),
        ((True, float("nan")), ValueError),
        ((True, 1e100), OverflowError),
        ((True, threading.TIMEOUT_MAX + 1), OverflowError),
        ((True, float("inf")), OverflowError),
        ((True, "1"), TypeError),
    ],
)
def test_arguments_are_checked_as_threading_does(
    lock: Any, args: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        threading.Lock().acquire(*args)
    with pytest.raises(error):
        lock.acquire(*args)
    assert in_thread(lock.acquire, False) is True  # an error acquires nothing


def test_timeouts_that_mean_forever(lock: Any) -> None:
    for timeout in (None, -1, -1.0, threading.TIMEOUT_MAX):
        assert lock.acquire(timeout=timeout)
        lock.release()


def test_a_timeout_takes_its_time(lock: Any) -> None:
    lock.acquire()

    def timed(seconds: float) -> float:
        before = time.monotonic()
        assert lock.acquire(timeout=seconds) is False
        return time.monotonic() - before

    for seconds in (0.0, 0.05, 0.25):
        assert seconds <= in_thread(timed, seconds) < seconds + 2


def test_a_lock_is_not_recursive() -> None:
    lock = cy.Lock()
    lock.acquire()
    assert lock.acquire(False) is False
    assert lock.acquire(timeout=0.01) is False
    lock.release()


def test_locked_and_repr() -> None:
    lock = cy.Lock()
    where = f"courtyard.Lock object at {id(lock):#x}"
    assert (lock.locked(), repr(lock)) == (False, f"<unlocked {where}>")
    with lock:
        assert (lock.locked(), repr(lock)) == (True, f"<locked {where}>")
    assert not lock.locked()
    lock.close()
    assert repr(lock) == f"<closed {where}>"
    for call in (lock.acquire, lock.release, lock.locked, lock.__enter__, lock.__reduce__):
        with pytest.raises(cy.Closed):
            call()


def test_an_exception_releases(lock: Any) -> None:
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 // 0
    assert in_thread(lock.acquire, False) is True


def test_a_lock_has_versions_statistics_and_weak_references() -> None:
    lock = cy.Lock()
    seen = [lock.version]
    for change in ("acquire", "release", "acquire"):
        getattr(lock, change)()
        seen.append(lock.version)
    assert len(set(seen)) == 4
    assert cy.version(lock) == seen[-1]
    assert lock.statistics().type == "Lock"
    assert lock.name is None
    cy.check(lock)
    reference = weakref.ref(lock)
    assert reference() is lock
    del lock
    gc.collect()
    assert reference() is None


def test_any_thread_may_release_a_lock() -> None:
    lock = cy.Lock()
    lock.acquire()
    in_thread(lock.release)
    assert not lock.locked()


def release_it(lock: Any) -> None:
    lock.release()


def test_any_process_may_release_a_lock(ctx: BaseContext) -> None:
    lock = cy.Lock()
    lock.acquire()
    child = start(ctx, release_it, lock)
    assert lock.acquire(timeout=30)
    assert lock.recovered is False
    join(child)
    assert lock.locked()


def test_a_pickled_lock_is_the_same_lock() -> None:
    lock = cy.Lock()
    other = pickle.loads(pickle.dumps(lock))
    with lock:
        assert other.locked()
        assert other.acquire(False) is False
    assert other.acquire(False) is True


def add(lock: Any, value: Any, rounds: int) -> None:
    for _ in range(rounds):
        with lock:
            value.value += 1


def run_together(*calls: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    """Run the calls in threads at once, and see that none of them raised."""
    errors: list[BaseException] = []

    def run(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def test_threads_exclude_each_other() -> None:
    lock, value = cy.Lock(), cy.RawValue("q")
    run_together(*[(add, (lock, value, 2000))] * 4)
    assert value.value == 8000


def add_in_threads(lock: Any, value: Any, rounds: int) -> None:
    run_together(*[(add, (lock, value, rounds))] * 2)


def test_processes_and_their_threads_exclude_each_other(ctx: BaseContext) -> None:
    lock, value = cy.Lock(), cy.RawValue("q")
    children = [start(ctx, add_in_threads, lock, value, 1500) for _ in range(3)]
    add_in_threads(lock, value, 1500)
    join(*children)
    assert value.value == 4 * 2 * 1500
    assert not lock.locked()
    lock.check()


def hold(lock: Any, ready: Any) -> None:
    lock.acquire()
    ready.value = 1
    signal.pause()


@pytest.mark.parametrize("rounds", [3])
def test_the_death_of_a_holder_frees_its_lock(ctx: BaseContext, rounds: int) -> None:
    lock = cy.Lock()
    for _ in range(rounds):
        ready = cy.Value("i")
        child = start(ctx, hold, lock, ready)
        assert ready.wait_for(1, 30)
        assert lock.locked()
        assert lock.acquire(timeout=0.05) is False
        child.kill()
        before = time.monotonic()
        assert lock.acquire(timeout=20)
        assert time.monotonic() - before < 5
        assert lock.recovered is True
        assert lock.locked()
        lock.release()
        with lock:
            assert lock.recovered is False
        child.join(10)


def test_death_wakes_all_who_wait_one_after_the_other() -> None:
    """Several sleep on the lock when its holder dies: each gets it in turn."""
    context = multiprocessing.get_context("fork")
    lock, ready, recovered = cy.Lock(), cy.Value("i"), cy.Value("i")
    holder = start(context, hold, lock, ready)
    assert ready.wait_for(1, 30)

    def wait() -> None:
        with lock:
            recovered.increment(lock.recovered)
            ready.increment()

    waiters = [start(context, wait) for _ in range(3)]
    time.sleep(0.2)  # most of them sleep by now; if one does not, the test is but weaker
    holder.kill()
    join(*waiters)
    assert (ready.value, recovered.value) == (4, 1)
    holder.join(10)


def test_a_lock_held_at_exit_is_free_afterwards(ctx: BaseContext) -> None:
    lock = cy.Lock()
    join(start(ctx, lock_and_leave, lock))
    assert lock.acquire(timeout=20)
    assert lock.recovered is True


def lock_and_leave(lock: Any) -> None:
    lock.acquire()


def test_locked_is_false_after_the_holders_death() -> None:
    lock, ready = cy.Lock(), cy.Value("i")
    child = start(multiprocessing.get_context("fork"), hold, lock, ready)
    assert ready.wait_for(1, 30)
    child.kill()
    child.join(10)
    assert lock.wait_for(lambda lock: not lock.locked(), 10)


def test_a_stopped_holder_is_alive() -> None:
    lock, ready = cy.Lock(), cy.Value("i")
    child = start(multiprocessing.get_context("fork"), hold, lock, ready)
    assert ready.wait_for(1, 30) and child.pid
    os.kill(child.pid, signal.SIGSTOP)
    assert lock.acquire(timeout=0.5) is False
    os.kill(child.pid, signal.SIGCONT)
    assert lock.acquire(timeout=0.1) is False
    child.kill()
    assert lock.acquire(timeout=10)
    child.join(10)


def block(lock: Any, ready: Any, report: Any) -> None:
    try:
        ready.value = 1
        lock.acquire()
    except KeyboardInterrupt:
        report.value = time.monotonic()


def test_ctrl_c_ends_an_acquire(ctx: BaseContext, lock: Any) -> None:
    mine = cy.Lock() if isinstance(lock, cy.Lock) else cy.Value("i")
    ready, report = cy.Value("i"), cy.Value("d")
    mine.acquire()
    child = start(ctx, block, mine, ready, report)
    assert ready.wait_for(1, 30) and child.pid
    time.sleep(0.3)  # let it fall asleep
    before = time.monotonic()
    os.kill(child.pid, signal.SIGINT)
    join(child)
    assert 0 <= report.value - before < 1
    mine.release()


def test_a_signal_handler_runs_while_acquire_waits() -> None:
    lock = cy.Lock()
    lock.acquire()
    ran = []
    previous = signal.signal(signal.SIGALRM, lambda *_: ran.append(time.monotonic()))
    try:
        before = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert lock.acquire(timeout=0.6) is False
        after = time.monotonic()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(ran) == 1
    assert before + 0.1 <= ran[0] < after
    assert after - before >= 0.6  # the wait went on


def test_a_waiter_lets_other_threads_run() -> None:
    """It releases the GIL: the releasing thread is of the same process."""
    lock = cy.Lock()
    lock.acquire()
    thread = threading.Timer(0.1, lock.release)
    thread.start()
    assert lock.acquire(timeout=20)
    thread.join()


WAITING = """
import time
import courtyard as cy
lock = cy.Lock()
lock.acquire()
lock.acquire(timeout=0.2)
before = time.process_time()
assert lock.acquire(timeout=2) is False
used = time.process_time() - before
assert used < 0.01, used  # half a per cent of two seconds
"""


def test_waiting_uses_no_cpu() -> None:
    run_script(WAITING)  # other tests may have left threads in this process


def test_a_repr_says_how_often_another_thread_holds_it() -> None:
    """As threading's does."""
    lock, held, free = cy.RLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock, lock:
            held.set()
            free.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    assert "<locked " in repr(lock) and "count=2" in repr(lock)
    free.set()
    thread.join(20)
    assert "<unlocked " in repr(lock) and "count=0" in repr(lock)
