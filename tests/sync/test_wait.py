"""wait_for: sleeps until it holds, woken by the change."""

import ctypes
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import join, run_script, start
from tests.sync.test_lock import run_together

Value: Any = cy.Value
RawValue: Any = cy.RawValue


def test_what_holds_already() -> None:
    value = Value("i", 3)
    assert value.wait_for(3) is True
    assert value.wait_for(3.0, 0) is True
    assert value.wait_for(lambda n: n > 2) is True
    assert value.wait_for(lambda n: f"{n} it is") == "3 it is"
    assert value.wait_for(lambda n: [n], timeout=-1) == [3]
    assert RawValue("i", 3).wait_for(3) is True
    assert cy.wait_for(value, 3) is True
    assert cy.wait_for(value, lambda n: n, timeout=0) == 3


@pytest.mark.parametrize("timeout", [0, -1, -math.inf, 0.01, 0.3])
def test_a_timeout_is_false(timeout: float) -> None:
    value = Value("i", 3)
    for condition in (4, "3", None, lambda n: n > 3, lambda n: None, lambda n: ""):
        before = time.monotonic()
        assert value.wait_for(condition, timeout) is False
        assert max(timeout, 0) <= time.monotonic() - before < 5


def test_bad_timeouts() -> None:
    value = Value("i")
    with pytest.raises(ValueError, match="NaN"):
        value.wait_for(1, math.nan)
    with pytest.raises(OverflowError):
        value.wait_for(1, 1e300)
    with pytest.raises(TypeError):
        value.wait_for(1, "1")
    assert value.wait_for(0, math.inf)


def test_an_exception_of_the_predicate_comes_through() -> None:
    def fail(value: int) -> bool:
        raise ZeroDivisionError

    class Unwilling:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    class Undecided:
        def __bool__(self) -> bool:
            raise ZeroDivisionError

    value = Value("i")
    for condition in (fail, Unwilling(), lambda n: Undecided()):
        with pytest.raises(ZeroDivisionError):
            value.wait_for(condition, 10)
    value.value = 1  # nothing is left behind
    assert value.wait_for(1, 10)


def change(value: Any, ready: Any, how: str, args: tuple[Any, ...]) -> None:
    assert ready.wait_for(1, 30)
    getattr(value, how)(*args)


@pytest.mark.parametrize("make", [Value, RawValue])
@pytest.mark.parametrize(
    ("type_", "how", "args", "expected"),
    [
        ("i", "set", (5,), 5),
        ("i", "increment", (), 1),
        ("d", "increment", (0.5,), 0.5),
        ("b", "exchange", (5,), 5),
        (int, "compare_exchange", (0, 7), 7),
        (object, "set", ("text",), "text"),
        (object, "set", ("x" * 100_000,), "x" * 100_000),
        (object, "compare_exchange", (None, [1]), [1]),
        (ctypes.c_char * 10, "set", (b"my_data",), b"my_data"),
        (ctypes.c_char * 5000, "exchange", (b"y" * 5000,), b"y" * 5000),
        (ctypes.c_int * 3, "__setitem__", (1, 4), lambda array: array[1] == 4),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
def test_every_change_wakes(make: Any, type_: Any, how: str, args: Any, expected: Any) -> None:
    value, ready = make(type_), Value("i")
    child = start(multiprocessing.get_context("fork"), change, value, ready, how, args)
    ready.value = 1
    assert value.wait_for(expected, 30) is True
    join(child)


def answer(ball: Any, rounds: int, mine: int) -> None:
    for turn in range(mine, 2 * rounds, 2):
        assert ball.wait_for(turn, 30)
        assert ball.increment() == turn + 1


def test_two_processes_play(ctx: BaseContext) -> None:
    """Every hit is a wake-up that must not be lost."""
    ball = Value("i")
    child = start(ctx, answer, ball, 300, 1)
    before = time.monotonic()
    answer(ball, 300, 0)
    join(child)
    assert ball.value == 600
    # A lost wake-up costs a tenth of a second or more; all of them would cost a minute.
    assert time.monotonic() - before < 20


def stamp(value: Any, ready: Any, woken: Any) -> None:
    ready.increment()
    value.wait_for(1, 30)
    woken.value = time.monotonic()


def test_a_sleeper_is_woken_at_once(ctx: BaseContext) -> None:
    """By the change, not by looking again, which takes a tenth of a second or more."""
    delays = []
    value, ready, woken = Value("i"), Value("i"), Value("d")
    for _ in range(3):
        value.value = ready.value = woken.value = 0
        child = start(ctx, stamp, value, ready, woken)
        assert ready.wait_for(1, 30)
        time.sleep(0.4)  # past its first look after the dead
        before = time.monotonic()
        value.value = 1
        join(child)
        delays.append(woken.value - before)
    assert 0 <= min(delays) < 0.05, delays


def test_one_change_wakes_all() -> None:
    value, ready = Value("i"), Value("i")
    context = multiprocessing.get_context("fork")

    def wait() -> None:
        ready.increment()
        assert value.wait_for(1, 30)
        ready.increment()

    children = [start(context, wait) for _ in range(5)]
    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert ready.wait_for(10, 30)
    time.sleep(0.2)
    value.value = 1
    assert ready.wait_for(20, 30)
    for thread in threads:
        thread.join()
    join(*children)


def test_threads_wait_for_each_other() -> None:
    ball = Value("i")
    run_together((answer, (ball, 200, 0)), (answer, (ball, 200, 1)))
    assert ball.value == 400


def test_wait_for_a_lock() -> None:
    lock = cy.Lock()
    assert lock.wait_for(lambda lock: not lock.locked(), 0) is True
    assert lock.wait_for(lambda lock: lock.locked(), 0.01) is False
    assert lock.wait_for(lock, 0) is True  # equal to itself
    assert lock.wait_for("something else", 0.01) is False
    context = multiprocessing.get_context("fork")
    lock.acquire()
    woken = Value("d")

    def wait() -> None:
        assert lock.wait_for(lambda lock: not lock.locked(), 30)
        woken.value = time.monotonic()

    child = start(context, wait)
    time.sleep(0.4)
    before = time.monotonic()
    lock.release()
    join(child)
    assert woken.value - before < 0.1


WAITING = """
import time
import courtyard as cy
value = cy.Value("i")
value.wait_for(1, 0.3)
before = time.process_time()
assert value.wait_for(1, 2) is False
used = time.process_time() - before
assert used < 0.01, used  # half a per cent of two seconds
"""


def test_waiting_uses_no_cpu() -> None:
    run_script(WAITING)  # other tests may have left threads in this process


def test_waiting_for_one_value_does_not_wake_for_another() -> None:
    value, other, calls = Value("i"), Value("i"), []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            other.increment()
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    value.wait_for(lambda n: calls.append(n), 0.5)
    stop.set()
    thread.join()
    assert other.value > 50
    assert len(calls) < 20


def interruptible(value: Any, ready: Any, report: Any) -> None:
    try:
        ready.value = 1
        value.wait_for(1)
    except KeyboardInterrupt:
        report.value = time.monotonic()


def test_ctrl_c_ends_a_wait(ctx: BaseContext) -> None:
    value, ready, report = Value("i"), Value("i"), Value("d")
    child = start(ctx, interruptible, value, ready, report)
    assert ready.wait_for(1, 30) and child.pid
    time.sleep(0.4)  # asleep, past its first look
    before = time.monotonic()
    os.kill(child.pid, signal.SIGINT)
    join(child)
    assert 0 <= report.value - before < 0.5


def test_ctrl_c_ends_a_program() -> None:
    program = """
import courtyard, os, signal, threading
value = courtyard.Value("i")
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
value.wait_for(1)
"""
    result = run_script(program, check=False)
    assert result.returncode == -signal.SIGINT
    assert result.stderr.rstrip().endswith("KeyboardInterrupt")


def write_forever(value: Any, kind: str) -> None:
    sizes = {"small": 1, "large": 3000}
    turn = 0
    while True:
        turn += 1
        value.value = (turn,) * sizes[kind] if kind in sizes else turn


@pytest.mark.parametrize("kind", ["word", "small", "large"])
def test_a_killed_writer_strands_nobody(kind: str) -> None:
    """Whatever it was doing when it died, the last change it made is seen at once."""
    context = multiprocessing.get_context("fork")
    value = Value("q") if kind == "word" else Value(object, 0)
    for _ in range(8):
        value.value = 0
        child = start(context, write_forever, value, kind)
        seen = value.wait_for(lambda new: new, 30)
        assert seen
        turns: list[Any] = []

        def is_later(new: Any, turns: list[Any] = turns) -> bool:
            turns.append(new)
            return len(turns) > 30

        assert value.wait_for(is_later, 30)
        child.kill()
        child.join(10)
        # A change that it had committed but not yet made comes with its recovery.
        value.check()
        final = value.value
        before = time.monotonic()
        assert value.wait_for(final, 10)
        assert value.wait_for(lambda new, final=final: new != final, 0.05) is False
        value.set(0)
        assert value.wait_for(0, 10)
        assert time.monotonic() - before < 5


def test_a_waiter_sees_the_last_word_of_a_writer_that_is_killed() -> None:
    """The waiter sleeps when the writer sets and dies, over and over."""
    context = multiprocessing.get_context("fork")
    value, done = Value("i"), Value("i")
    rounds = 15

    def wait() -> None:
        for turn in range(1, rounds + 1):
            assert value.wait_for(turn, 30)
            done.value = turn

    def set_and_die(turn: int) -> None:
        value.value = turn
        os.kill(os.getpid(), signal.SIGKILL)

    waiter = start(context, wait)
    for turn in range(1, rounds + 1):
        writer = start(context, set_and_die, turn)
        assert done.wait_for(turn, 10)
        writer.join(10)
    join(waiter)


def test_killed_waiters_leave_nothing_behind() -> None:
    context = multiprocessing.get_context("fork")
    value, ready = Value("i"), Value("i")

    def wait() -> None:
        ready.increment()
        value.wait_for(-1)

    for turn in range(1, 6):
        child = start(context, wait)
        assert ready.wait_for(turn, 30)
        child.kill()
        child.join(10)
        assert value.increment() == turn
    assert value.wait_for(5, 1)
    value.check()


def test_wait_for_the_value_within_the_lock() -> None:
    """A holder that waits does not let go of its lock: readers see, writers wait."""
    value = Value("i")
    with value:
        assert value.wait_for(1, 0.05) is False
        value.value = 1
        assert value.wait_for(1, 1) is True


def test_a_predicate_may_use_the_value() -> None:
    value = Value("i")
    assert value.wait_for(lambda n: value.increment() >= 5, 10) is True
    assert value.value == 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError])
def test_what_a_predicate_raises_when_a_call_in_it_took_too_long(error: Any) -> None:
    value, other = Value("i"), Value("i")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with other:
            held.set()
            done.wait(20)

    def predicate(_: int) -> bool:
        try:
            other.set(1)  # waits for its lock, but no longer than the wait_for
        except BaseException:
            raise error from None
        return False

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(20)
        with pytest.raises(error):
            value.wait_for(predicate, 0.1)
        assert value.wait_for(lambda _: other.set(1), 0.1) is False
    finally:
        done.set()
        thread.join()


def test_a_signal_handler_may_make_the_condition_true() -> None:
    value = Value("i")
    handler: Callable[..., Any] = lambda *_: value.set(1)  # noqa: E731
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert value.wait_for(1, 20)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
