"""get_lock(): several operations of one thread on a Value with no write in between."""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import join, start
from tests.sync.test_lock import in_thread, run_together

Value: Any = cy.Value


def test_get_lock_is_recursive() -> None:
    value = Value("i")
    lock = value.get_lock()
    for depth in range(50):
        assert lock.acquire() is True
        assert value.get_lock().acquire(False) is True
        assert value.acquire(timeout=0) is True
        value.value += 1
        assert value.value == depth + 1
    for _ in range(149):
        lock.release()
        assert in_thread(lock.acquire, False) is False
    value.release()
    assert in_thread(take_and_release, value) is True
    with pytest.raises(RuntimeError):
        lock.release()


def take_and_release(value: Any) -> bool:
    if not value.acquire(False):
        return False
    value.release()
    return True


def test_with_a_value_is_with_its_lock() -> None:
    value = Value("i")
    with value as entered:
        assert entered is True
        with value.get_lock(), value:
            value.increment()
        assert in_thread(take_and_release, value) is False
    assert in_thread(take_and_release, value) is True


def test_only_the_holder_may_release() -> None:
    value = Value("i")
    value.acquire()
    for release in (value.release, value.get_lock().release):
        with pytest.raises(RuntimeError):
            in_thread(release)
    assert in_thread(take_and_release, value) is False
    value.release()


def try_to_release(value: Any) -> None:
    with pytest.raises(RuntimeError):
        value.release()
    assert value.acquire(False) is False


def test_no_other_process_may_release(ctx: BaseContext) -> None:
    """Not even a forked child, though it is a copy of the holder."""
    value = Value("i")
    with value:
        join(start(ctx, try_to_release, value))
    assert take_and_release(value)


@pytest.mark.parametrize(
    ("type_", "first", "second"),
    [("i", 1, 2), (int, 1, 2), (object, [1], [2]), (object, 1, 2)],
    ids=str,
)
@pytest.mark.parametrize(
    "operation", ["set", "increment", "exchange", "compare_exchange", "mutate"]
)
def test_writes_wait_while_another_holds_it(
    type_: Any, first: Any, second: Any, operation: str
) -> None:
    value = Value(type_, first)
    args = {
        "set": (second,),
        "increment": (first,),
        "exchange": (second,),
        "compare_exchange": (first, second),
        "mutate": (lambda now: now + first,),
    }[operation]
    done = threading.Event()

    def write() -> None:
        getattr(value, operation)(*args)
        done.set()

    with value:
        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.15)
        assert value.value == first  # a read never waits, in this thread
        assert in_thread(value.get) == first  # or another
        value.value = first  # the holder's own writes neither
    assert done.wait(30)
    thread.join()
    assert value.value != first


def test_a_comparison_that_fails_needs_no_lock() -> None:
    """compare_exchange that finds another value is a read."""
    value = Value("i", 1)
    with value:
        assert in_thread(value.compare_exchange, 2, 3) is False


@pytest.mark.parametrize("length", [5, 4000])
def test_writes_in_place_wait_too(length: int) -> None:
    import ctypes

    value = Value(ctypes.c_char * length)
    done = threading.Event()

    def write() -> None:
        value[0] = b"x"
        value.raw = b"y" * length
        value.value = b"z" * length
        done.set()

    with value:
        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.15)
        assert value.raw == b"\0" * length
        value.value = b"mine"
        assert value.value == b"mine"
    assert done.wait(30)
    thread.join()
    assert value.value == b"z" * length


def add_under_lock(value: Any, rounds: int) -> None:
    for _ in range(rounds):
        with value.get_lock():
            value.value += 1


def increment(value: Any, rounds: int) -> None:
    for _ in range(rounds):
        value.increment()


def exchange_until(value: Any, rounds: int) -> None:
    for _ in range(rounds):
        while True:
            before = value.value
            if value.compare_exchange(before, before + 1):
                break


WAYS = [add_under_lock, increment, exchange_until]


@pytest.mark.parametrize("type_", ["i", int, "d", object], ids=str)
def test_all_ways_to_count_are_exact_together(ctx: BaseContext, type_: Any) -> None:
    value = Value(type_, 0)
    rounds = 1000
    children = [start(ctx, way, value, rounds) for way in WAYS]
    for way in WAYS:
        way(value, rounds)
    join(*children)
    assert value.value == 2 * len(WAYS) * rounds
    value.check()


@pytest.mark.parametrize("type_", ["b", "q", object], ids=str)
def test_threads_and_processes_count_together(type_: Any) -> None:
    value, rounds = Value(type_, 0), 1000
    context = multiprocessing.get_context("fork")
    children = [start(context, way, value, rounds) for way in WAYS]
    run_together(*[(way, (value, rounds)) for way in WAYS])
    join(*children)
    expected = 2 * len(WAYS) * rounds
    assert value.value == (expected + 128) % 256 - 128 if type_ == "b" else expected


def hold(value: Any, ready: Any, depth: int) -> None:
    for _ in range(depth):
        value.acquire()
    value.value = 5
    ready.value = 1
    signal.pause()


@pytest.mark.parametrize("depth", [1, 3])
def test_the_death_of_a_holder(ctx: BaseContext, depth: int) -> None:
    value = Value("i")
    lock = value.get_lock()
    for _ in range(2):
        ready = Value("i")
        child = start(ctx, hold, value, ready, depth)
        assert ready.wait_for(1, 30)
        assert lock.acquire(timeout=0.05) is False
        child.kill()
        before = time.monotonic()
        assert lock.acquire(timeout=20)
        assert time.monotonic() - before < 5
        assert value.get_lock().recovered is True
        assert value.increment() == 6
        lock.release()
        with pytest.raises(RuntimeError):
            lock.release()  # the dead one's depth is not ours
        with lock:
            assert lock.recovered is False
        child.join(10)


def test_a_write_over_a_dead_holder_leaves_its_news_to_the_next_holder() -> None:
    value, ready = Value("i"), Value("i")
    child = start(multiprocessing.get_context("fork"), hold, value, ready, 1)
    assert ready.wait_for(1, 30)
    child.kill()
    child.join(10)
    assert value.increment() == 6
    with value.get_lock() as _:
        assert value.get_lock().recovered is True
    with value.get_lock() as _:
        assert value.get_lock().recovered is False


def test_a_thread_that_ends_while_it_holds() -> None:
    """Its process lives, so the lock stays held: as with threading.RLock."""
    value = Value("i")
    in_thread(value.acquire)
    assert value.acquire(timeout=0.05) is False
    reused = in_thread(value.acquire, False)  # perhaps the same thread id of the kernel's
    assert reused is False


def test_the_locks_of_two_values_are_two() -> None:
    one, other = Value("i"), Value("i")
    with one.get_lock():
        assert in_thread(take_and_release, other) is True
        other.value = 1
    assert other.value == 1


def test_reads_never_wait(ctx: BaseContext) -> None:
    """Not for a holder in another process, not even for one that is stopped."""
    value, ready = Value(object, [1]), Value("i")
    child = start(ctx, hold, value, ready, 1)
    assert ready.wait_for(1, 30) and child.pid
    os.kill(child.pid, signal.SIGSTOP)
    before = time.monotonic()
    assert value.value == 5
    assert time.monotonic() - before < 1
    child.kill()
    child.join(10)
