"""Peers stopped inside a lock of the engine's: calls end with their timeouts, or by Ctrl-C."""

import asyncio
import ctypes
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import pytest

import courtyard as cy
from tests.support import children
from tests.support.stopped import (
    DIRECTORY,
    DRAIN_LOCKS,
    DRAINING,
    GET_LOCK,
    SEQUENCE,
    SHARD,
    SLOTS,
    SOON,
    STATES,
    TURN,
    Interrupted,
    Stage,
    alarm,
    stopped_at_random,
)

LARGE = b"x" * 100_000


def wait_on(condition: cy.Condition, timeout: float | None) -> bool:
    with condition:
        return condition.wait(timeout)


# A call, the lock that is held, and what it comes to when its time is up.
Call = tuple[Callable[[Stage], Any], Callable[[Stage], int], Any]
WITH_TIMEOUT: dict[str, Call] = {
    "get": (lambda s: s.queue.get(timeout=0.2), lambda s: s.place(s.queue, GET_LOCK), queue.Empty),
    "get_many": (
        lambda s: s.queue.get_many(5, timeout=0.2),
        lambda s: s.place(s.queue, GET_LOCK),
        queue.Empty,
    ),
    "get_nowait": (
        lambda s: s.queue.get_nowait(),
        lambda s: s.place(s.queue, GET_LOCK),
        queue.Empty,
    ),
    "lease": (
        lambda s: s.queue.lease(timeout=0.2).__enter__(),
        lambda s: s.place(s.queue, GET_LOCK),
        queue.Empty,
    ),
    "put": (lambda s: s.queue.put(1, timeout=0.2), lambda s: s.place(s.queue), queue.Full),
    "put_many": (
        lambda s: s.queue.put_many([1], timeout=0.2),
        lambda s: s.place(s.queue),
        queue.Full,
    ),
    "put_nowait": (lambda s: s.queue.put_nowait(1), lambda s: s.place(s.queue), queue.Full),
    "put of much": (
        lambda s: s.queue.put(b"x" * 2_000_000, timeout=0.2),
        lambda s: s.place(s.queue),
        queue.Full,
    ),
    "get by order": (
        lambda s: s.least.get(timeout=0.2),
        lambda s: s.place(s.least, TURN),
        queue.Empty,
    ),
    "get_nowait by order": (
        lambda s: s.least.get_nowait(),
        lambda s: s.place(s.least, TURN),
        queue.Empty,
    ),
    "put by order": (
        lambda s: s.least.put(1, timeout=0.2),
        lambda s: s.place(s.least, TURN),
        queue.Full,
    ),
    "acquire": (lambda s: s.semaphore.acquire(timeout=0.2), lambda s: s.place(s.semaphore), False),
    "acquire(False)": (lambda s: s.semaphore.acquire(False), lambda s: s.place(s.semaphore), False),
    "wait on a condition": (
        lambda s: wait_on(s.condition, 0.2),
        lambda s: s.place(s.condition),
        False,
    ),
    "wait at a barrier": (
        lambda s: s.barrier.wait(0.2),
        lambda s: s.place(s.barrier),
        threading.BrokenBarrierError,
    ),
    "get_lock": (
        lambda s: s.dict.get_lock().acquire(timeout=0.2),
        lambda s: s.place(s.dict),
        False,
    ),
    "wait_for": (
        lambda s: s.array.wait_for([7] * 100, timeout=0.2),
        lambda s: s.place(s.array),
        False,
    ),
    "wait_for that reads": (
        lambda s: s.array.wait_for(lambda array: array[:] == [7] * 100, timeout=0.2),
        lambda s: s.place(s.array),
        False,
    ),
    "wait_for that writes": (
        lambda s: s.array.wait_for(lambda array: array.__setitem__(slice(2), [1, 1]), timeout=0.2),
        lambda s: s.place(s.array),
        False,
    ),
}


@pytest.mark.parametrize("name", WITH_TIMEOUT)
def test_a_timeout_holds_beside_a_held_lock(stage: Stage, name: str) -> None:
    call, lock, result = WITH_TIMEOUT[name]
    odd = stage.place(stage.array, SEQUENCE)
    sequence = stage.peer.read(odd)
    stage.peer.write(odd, sequence | 1)
    with stage.peer.holding(lock(stage)), alarm(SOON):
        if isinstance(result, type):
            with pytest.raises(result):
                call(stage)
        else:
            assert call(stage) is result
    stage.peer.write(odd, sequence)
    children.kill(stage.pid)  # nothing that was given up is in the way of anybody
    stage.pid = children.fork(stage.idle)
    assert stage.queue.get() == stage.full.get() == stage.least.get() == 1
    assert stage.semaphore.acquire() and stage.barrier.wait() == 0
    assert wait_on(stage.condition, 0.01) is False
    assert stage.condition._waiters == 0
    cy.check(stage.queue)


WITHOUT: dict[str, tuple[Callable[[Stage], Any], Callable[[Stage], int]]] = {
    "get": (lambda s: s.queue.get(), lambda s: s.place(s.queue, GET_LOCK)),
    "put": (lambda s: s.queue.put(1), lambda s: s.place(s.queue)),
    "get by order": (lambda s: s.least.get(), lambda s: s.place(s.least, TURN)),
    "task_done": (lambda s: s.queue.task_done(), lambda s: s.place(s.queue, GET_LOCK)),
    "acquire": (lambda s: s.semaphore.acquire(), lambda s: s.place(s.semaphore)),
    "release": (lambda s: s.semaphore.release(), lambda s: s.place(s.semaphore)),
    "wait": (lambda s: wait_on(s.condition, None), lambda s: s.place(s.condition)),
    "notify": (lambda s: notify(s.condition), lambda s: s.place(s.condition)),
    "at a barrier": (lambda s: s.barrier.wait(), lambda s: s.place(s.barrier)),
    "a slice": (lambda s: s.array[:], lambda s: s.place(s.array)),
    "a slice written": (
        lambda s: s.array.__setitem__(slice(3), [1] * 3),
        lambda s: s.place(s.array),
    ),
    "an object made": (lambda s: cy.Lock(), lambda s: DIRECTORY),
    "an object closed": (lambda s: s.array.close(), lambda s: DIRECTORY),
    "a check": (lambda s: cy.check(s.queue), lambda s: DIRECTORY),
}


def notify(condition: cy.Condition) -> None:
    with condition:
        condition.notify()


@pytest.mark.parametrize("name", WITHOUT)
def test_a_signal_ends_what_waits_beside_a_held_lock(stage: Stage, name: str) -> None:
    call, lock = WITHOUT[name]
    at = lock(stage)
    odd = stage.place(stage.array, SEQUENCE)
    sequence = stage.peer.read(odd)
    stage.peer.write(odd, sequence | 1)
    start = time.monotonic()
    with stage.peer.holding(at), pytest.raises(Interrupted), alarm(0.1):
        call(stage)
    assert time.monotonic() - start < SOON
    stage.peer.write(odd, sequence)
    cy.check(stage.queue)


class Stopper:
    """Has the peer seem to be stopped inside a lock, and the alarm ring, when it is pickled."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.until = ExitStack()

    def __reduce__(self) -> tuple[Any, ...]:
        self.until.enter_context(self.stage.peer.holding(DIRECTORY))
        self.until.enter_context(alarm(0.1))
        return int, ()


@pytest.mark.parametrize("loops", [False, True])
def test_a_tree_whose_storing_a_signal_ends_is_given_up_at_once(stage: Stage, loops: bool) -> None:
    tree = stage.array._beside(cy.NestedDict)
    stopper = Stopper(stage)
    value: dict[str, Any] = {"inner": {"n": [1]}, "stop": stopper}
    if loops:
        value["inner"]["outer"] = value["inner"]
    objects = stage.queue.space.statistics().objects
    start = time.monotonic()
    with stopper.until, pytest.raises(Interrupted):
        tree["a"] = value
    assert time.monotonic() - start < SOON
    assert len(tree) == 0
    if not loops:  # a cycle that cannot be emptied at once stays
        assert stage.queue.space.statistics().objects == objects
    cy.check(stage.queue)


def test_what_is_there_is_found_although_a_lock_is_held_for_a_while(stage: Stage) -> None:
    lock = stage.place(stage.queue, GET_LOCK)
    with stage.peer.holding(lock):
        timer = threading.Timer(0.15, lambda: stage.peer.write(lock, 0))
        timer.start()
        assert stage.queue.get_nowait() == 1
        timer.join()


def test_handles_are_dropped_at_once_beside_a_held_directory(stage: Stage) -> None:
    def held() -> tuple[int, int, int]:
        found = stage.queue.space.statistics()
        return found.objects, found.live_blocks, found.used

    def made() -> list[Any]:
        return [cy.Lock() for _ in range(50)] + [cy.Value(object, LARGE) for _ in range(50)]

    stage.queue.put(stage.queue.get())  # has its row from here on
    made()  # and tables have their segments
    before = held()
    kept = made()
    views = [value.value for value in kept[50:]]
    with stage.peer.holding(DIRECTORY), alarm(SOON):
        start = time.monotonic()
        kept.clear()
        views.clear()
        assert time.monotonic() - start < 2
        assert stage.queue.get() == 1  # a block or a row of ours is no matter of the directory's
    stage.queue.put(1)
    cy.Lock()  # comes by, and does what was put off
    objects, blocks, used = held()
    assert (objects, blocks) == before[:2] and used < before[2] + 1_000_000


def test_a_fork_beside_a_held_directory_does_not_wait(stage: Stage) -> None:
    """The child copies what it holds itself, and its parent gives nothing back before that."""
    kept = [cy.Value(object, [number, LARGE]) for number in range(20)]
    ours, theirs = os.pipe()
    start = time.monotonic()

    def child() -> None:
        assert time.monotonic() - start < 2
        with pytest.raises(Interrupted), alarm(0.2):
            _ = kept[0].value  # waits for the lock, and can be ended
        os.write(theirs, b"x")
        for number, value in enumerate(kept):
            assert value.value == [number, LARGE]
        kept.clear()
        cy.Value("i", 1).increment()
        cy.check(stage.queue)

    before = stage.queue.space.statistics().objects - len(kept)
    with stage.peer.holding(DIRECTORY), alarm(SOON):
        pid = children.fork(child)
        assert time.monotonic() - start < 2
        kept.clear()
        assert time.monotonic() - start < 2
        assert os.read(ours, 1) == b"x"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    cy.Lock().close()  # what was held back goes with the next that goes
    cy.check(stage.queue)
    assert stage.queue.space.statistics().objects == before
    os.close(ours)
    os.close(theirs)


def test_forks_beside_peers_that_are_stopped_anywhere() -> None:
    value, longest = cy.Value("i", 0), 0.0

    def work() -> None:
        cy.Value(object, LARGE).close()

    for _ in stopped_at_random(work, 40):
        with alarm(SOON):
            start = time.monotonic()
            pid = children.fork(lambda: None)
            longest = max(longest, time.monotonic() - start)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert longest < 2
    cy.check(value)


def test_timeouts_hold_beside_peers_that_are_stopped_anywhere() -> None:
    items, least, array = cy.Queue(), cy.PriorityQueue(), cy.Array("q", 2000)

    def work() -> None:
        items.put(b"x" * 100)
        items.get()
        least.put(1)
        least.get()
        array[:] = [1] * 2000

    def attempt(call: Callable[[], object]) -> None:
        with suppress(queue.Empty, queue.Full):
            call()

    longest = 0.0
    for _ in stopped_at_random(work, 60):
        with alarm(SOON):
            start = time.monotonic()
            attempt(lambda: items.put(b"y", timeout=0.01))
            attempt(lambda: items.get(timeout=0.01))
            attempt(lambda: least.put(2, timeout=0.01))
            attempt(lambda: least.get(timeout=0.01))
            array.wait_for([2] * 2000, timeout=0.01)
            longest = max(longest, time.monotonic() - start)
    assert longest < SOON / 2
    cy.check(items)


@contextmanager
def no_slot_free(stage: Stage) -> Iterator[None]:
    """All slots are taken: by the living, or by the dead whom nobody can drain."""
    peer, before = stage.peer, {}
    for slot in range(SLOTS - 1):
        state = peer.read(STATES + 8 * slot)
        if state & 3 == 0:
            before[slot] = state
            peer.write(STATES + 8 * slot, max(state >> 32, 1) << 32 | DRAINING)
    with peer.holding(*(DRAIN_LOCKS + 8 * slot for slot in before)):
        yield
        for slot, state in before.items():
            peer.write(STATES + 8 * slot, state)


def fork_from_c() -> int:
    """Fork without Python's hooks, as a library in C may."""
    child: int = ctypes.PyDLL(None).fork()
    return child


FORKS: dict[str, tuple[Callable[[], int], Callable[[Stage], AbstractContextManager[None]]]] = {
    "by Python": (os.fork, lambda stage: stage.peer.holding(DIRECTORY)),
    "from C": (fork_from_c, lambda stage: stage.peer.holding(DIRECTORY)),
    "without a slot": (os.fork, no_slot_free),
    "from C without a slot": (fork_from_c, no_slot_free),
}


@pytest.mark.parametrize("how", FORKS)
def test_the_first_use_in_a_child_keeps_its_timeout(stage: Stage, how: str) -> None:
    """What the child takes over waits for the lock; the call that waits for it ends."""
    fork, holding = FORKS[how]
    items, permits, dropped = cy.Queue(), cy.Semaphore(3), [cy.Lock() for _ in range(5)]
    timeouts: list[tuple[Callable[[], object], object]] = [
        (lambda: items.get(timeout=0.2), queue.Empty),
        (lambda: stage.full.put(1, timeout=0.2), queue.Full),
        (lambda: permits.acquire(timeout=0.2), False),
        (lambda: stage.array.wait_for([7] * 100, timeout=0.2), False),
        (lambda: stage.dict.get_lock().acquire(timeout=0.2), False),
        (lambda: cy.Event.wait(event, 0.2), False),
    ]
    event = cy.Event()
    objects = stage.queue.space.statistics().objects
    start = time.monotonic()

    def child() -> None:
        assert time.monotonic() - start < 2
        for call, result in timeouts:
            begun = time.monotonic()
            if isinstance(result, type):
                with pytest.raises(result):
                    call()
            else:
                assert call() is result
            assert time.monotonic() - begun < 2
        begun = time.monotonic()
        dropped.clear()
        assert time.monotonic() - begun < 2
        with pytest.raises(Interrupted), alarm(0.2):
            stage.dict["a"] = 2
        os.write(theirs, b"x")
        assert stage.dict["a"] == 1 and permits.acquire(timeout=20)
        items.put("mine")
        assert items.get(timeout=20) == "mine"
        cy.check(items)

    ours, theirs = os.pipe()
    with holding(stage), alarm(SOON * 3):
        pid = fork()
        if pid == 0:
            children.die_with_parent()
            code = 1
            try:
                child()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        assert time.monotonic() - start < 2
        os.close(theirs)
        assert os.read(ours, 1) == b"x"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(ours)
    dropped.clear()
    cy.check(items)
    assert stage.queue.space.statistics().objects == objects - 5


def test_a_task_waits_for_a_change_that_began_before_it_had_the_lock(stage: Stage) -> None:
    """It holds `get_lock()` by then, and does not take itself for the one that it waits for."""
    shard = stage.place(stage.dict, SHARD)
    ended = threading.Event()

    def hold() -> None:
        with stage.peer.holding(shard):
            held.set()
            ended.wait(0.2)

    async def main() -> None:
        async with stage.dict.aio.get_lock():
            await stage.dict.aio.setitem("a", 2)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    asyncio.run(main())
    assert stage.dict["a"] == 2
    thread.join()
