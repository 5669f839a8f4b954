"""Forks of all sorts: bare, within hooks, beside busy threads, from C; and programs started."""

import gc
import os
import pickle
import subprocess
import threading
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_sharing import (
    Value,
    assert_used,
    count_objects,
    eventually,
    in_fork,
    one_of_each,
    use,
)
from tests.support.children import die_with_parent, join, run_script, start


def test_a_bare_fork() -> None:
    objects = one_of_each()
    assert in_fork(lambda: use(objects)) == 0
    assert_used(objects)


def test_a_fork_of_a_fork() -> None:
    value = Value("i")

    def child() -> None:
        value.increment()
        assert in_fork(grandchild) == 0

    def grandchild() -> None:
        value.increment()
        assert in_fork(value.increment) == 0

    assert in_fork(child) == 0
    assert value.value == 3
    value.check()


def test_a_child_uses_what_only_it_holds() -> None:
    """The parent closes its handle at once; the grandchild is forked after that."""
    value, go = Value(object, "text"), Value("i")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            die_with_parent()
            assert go.wait_for(1, 30)
            assert value.value == "text"
            value.value = ["changed"] * 1000
            assert in_fork(lambda: value.exchange("by the grandchild")) == 0
            assert value.value == "by the grandchild"
            code = 0
        finally:
            os._exit(code)
    value.close()
    filler = [Value(object, "filler") for _ in range(20)]
    go.value = 1
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert all(other.value == "filler" for other in filler)


def test_the_handles_of_a_child_are_its_own() -> None:
    value = Value("i", 3)

    def close() -> None:
        value.close()
        with pytest.raises(cy.Closed):
            value.increment()

    assert in_fork(close) == 0
    assert value.increment() == 4


@pytest.mark.limit(90)
def test_forks_of_a_process_with_busy_threads(ctx: BaseContext) -> None:
    """Threads are anywhere in the engine at the moment of the fork."""
    counter, stored, lock = Value("q"), Value(object, 0), cy.Lock()
    stop, errors = threading.Event(), []

    def busy(number: int) -> None:
        try:
            while not stop.is_set():
                counter.increment()
                stored.value = (number,) * (number * 100)
                _ = stored.value
                with lock:
                    own = Value(object, "x" * 1000)
                    own.value = b"y" * 10_000
                pickle.loads(pickle.dumps(own)).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    try:
        rounds = 15 if ctx.get_start_method() == "fork" else 4
        for _ in range(rounds):
            join(start(ctx, use_while_busy, counter, stored, lock))
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)
    counter.check()


def use_while_busy(counter: Any, stored: Any, lock: Any) -> None:
    before = counter.value
    for _ in range(20):
        counter.increment()
        stored.value = "from a child"
        value = stored.value
        assert value == "from a child" or len(set(value)) == 1
        with lock:
            own = Value(object, "z" * 1000)
        assert own.value == "z" * 1000
    assert counter.value >= before + 20


def test_bare_forks_of_a_process_with_busy_threads() -> None:
    counter, stored, lock = Value("q"), Value(object, (0,)), cy.Lock()
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            counter.increment()
            with lock:
                stored.value = ("x",) * 500
            Value("i").close()

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(25):
            assert in_fork(lambda: use_while_busy(counter, stored, lock)) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


FORK_HOOKS = """
import logging  # has fork hooks written in Python: the GIL may change hands in them
import os, sys, threading
import courtyard as cy
sys.setswitchinterval(1e-5)
keep = cy.Value("i")
def busy():
    while True:
        cy.Value("i").close()
for _ in range(3):
    threading.Thread(target=busy, daemon=True).start()
for _ in range(200):
    child = os.fork()
    if child == 0:
        os._exit(keep.increment() < 1)
    assert os.waitpid(child, 0)[1] == 0
assert keep.value == 200
os._exit(0)
"""


def test_forks_with_python_code_in_hooks() -> None:
    run_script(FORK_HOOKS, limit=12)


# A child that Python knows nothing of, from libc's fork(): called with the GIL held.
FORK_FROM_C = """
import ctypes, os, sys
from tests.support.children import die_with_parent
from tests.object.test_sharing import one_of_each, use, assert_used
import courtyard as cy

objects = one_of_each()
closed = cy.Value("i")
child = ctypes.PyDLL(None).fork()
if child == 0:
    code = 99
    try:
        die_with_parent()
        use(objects)
        own = cy.Value(object, "x" * 5000)
        assert own.value == "x" * 5000
        closed.close()
        grandchild = ctypes.PyDLL(None).fork()
        if grandchild == 0:
            assert objects["word"].value == 5
            assert own.value == "x" * 5000
            os._exit(0)
        assert os.waitpid(grandchild, 0)[1] == 0
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)
assert os.waitpid(child, 0)[1] == 0
assert_used(objects)
closed.value = 1
"""


def test_a_fork_from_c() -> None:
    run_script(FORK_FROM_C)


# The parent drops what the child, unknown to it, still has a handle of.
FORK_FROM_C_AND_DROP = """
import ctypes, os, sys
import courtyard as cy
value, kept = cy.Value("i", 5), cy.Value("i", 6)
ours, theirs = os.pipe()  # the child takes what it inherits with its first use of any object
child = ctypes.PyDLL(None).fork()
if child == 0:
    code = 99
    try:
        assert os.read(ours, 1)
        try:
            value.value
        except cy.NotFound as error:
            assert "fork" in str(error)
            code = 0
        assert kept.increment() == 7
        assert value.__class__ is cy.Value
        del value
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 99
    finally:
        os._exit(code)
value.close()
others = [cy.Value("i", 99) for _ in range(5)]
os.write(theirs, b"x")
assert os.waitpid(child, 0)[1] == 0
assert kept.value == 7
assert [other.value for other in others] == [99] * 5
kept.check()
"""


def test_what_the_parent_dropped_after_a_fork_from_c() -> None:
    """An error, never another object's memory."""
    run_script(FORK_FROM_C_AND_DROP)


# A fork from C, in a thread without the GIL, by a library: here os.posix_spawn and vfork.
def test_programs_started_while_values_are_held() -> None:
    value = Value("i")
    with value:
        for _ in range(3):
            run_script("print(1)")
            pid = os.posix_spawn("/bin/true", ["true"], os.environ)
            assert os.waitpid(pid, 0)[1] == 0
            assert subprocess.run(["true"], close_fds=False, timeout=30).returncode == 0
            value.increment()
    assert value.value == 3
    value.check()


def test_exec_after_fork_gives_everything_back() -> None:
    """A child that becomes another program holds nothing any more."""
    value, probe = Value(object, "x" * 1000), Value("i")
    objects = count_objects(probe)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_parent()
        os.dup2(ours, 0)
        os.close(theirs)
        os.execvp("cat", ["cat"])
    os.close(ours)
    del value
    gc.collect()
    try:
        assert eventually(lambda: count_objects(probe) <= objects - 1)
    finally:
        os.close(theirs)
        os.waitpid(child, 0)


def test_a_lock_dies_with_the_program_not_with_the_process() -> None:
    """The holder execs: it lives, but nobody there can release."""
    lock, ready = cy.Lock(), Value("i")
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_parent()
        lock.acquire()
        ready.value = 1
        os.dup2(ours, 0)
        os.close(theirs)
        os.execvp("cat", ["cat"])
    os.close(ours)
    try:
        assert ready.wait_for(1, 30)
        assert lock.acquire(timeout=10)
        assert lock.recovered
    finally:
        os.close(theirs)
        os.waitpid(child, 0)


CLOSERANGE = """
import os
import courtyard as cy
from tests.object.test_sharing import one_of_each, use, assert_used, in_fork
value, lock = cy.Value("i"), cy.Lock()
lock.acquire()
os.closerange(3, 1000)
assert value.increment() == 1
assert in_fork(lambda: (value.increment(), lock.acquire(timeout=0.3) and 1 / 0)) == 0
assert value.value == 2
objects = one_of_each()
assert in_fork(lambda: use(objects)) == 0
assert_used(objects)
"""


def test_closerange_takes_nothing_away() -> None:
    """Daemons close all descriptors: they still live, and so does what they hold."""
    run_script(CLOSERANGE)


DAEMON = """
import os, sys
import courtyard as cy
value, done = cy.Value("i", 5), cy.Value("i")
lock = cy.Lock()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 1000)
        lock.acquire()
        value.increment()
        done.value = 1
        done.wait_for(2, 20)
        os._exit(0)
    os._exit(0)
os.wait()
assert done.wait_for(1, 20)
assert value.value == 6
assert lock.acquire(timeout=0.3) is False
done.value = 2
assert lock.acquire(timeout=10) and lock.recovered
"""


def test_a_daemon() -> None:
    run_script(DAEMON)
