"""``cy.wait``: the first of several things that are ready."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe, Process
from typing import Any

import anyio
import pytest

import courtyard as cy
import courtyard.aio
from tests.support import loop
from tests.support.children import fork
from tests.support.loop import assert_no_waits


def blocking(items: Any, timeout: float | None = None) -> list[Any]:
    return cy.wait(items, timeout)


def awaiting(backend: str) -> Callable[..., list[Any]]:
    def wait(items: Any, timeout: float | None = None) -> list[Any]:
        return loop.run(backend, courtyard.aio.wait, items, timeout)

    return wait


@pytest.fixture(params=["no loop", *loop.KINDS])
def wait(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    """Give the function, and its twin in each kind of loop."""
    return blocking if request.param == "no loop" else awaiting(request.param)


@contextmanager
def soon(call: Callable[[], object]) -> Iterator[None]:
    """Do something while the block waits."""
    timer = threading.Timer(0.05, call)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_each_type_is_ready_by_itself(wait: Callable[..., list[Any]]) -> None:
    queue, event, semaphore = cy.Queue(), cy.Event(), cy.Semaphore(0)
    lock, rlock, stack = cy.Lock(), cy.RLock(), cy.LifoQueue()
    lock.acquire()
    rlock.acquire()
    items = [queue, event, semaphore, lock, rlock, stack]
    assert wait(items, 0) == wait(items, 0.01) == wait(items, -1) == []
    for item, change in [
        (queue, lambda: queue.put(1)),
        (event, event.set),
        (semaphore, semaphore.release),
        (lock, lock.release),
        (stack, lambda: stack.put(1)),
    ]:
        with soon(change):
            assert wait([each for each in items if each is item or not ready(each)]) == [item]
        assert wait([item], 0) == [item]  # nothing was taken
    rlock.release()
    assert wait(items) == items  # in the order given
    assert wait(reversed(items)) == items[::-1]
    assert_no_waits()


def ready(item: Any) -> bool:
    return bool(cy.wait([item], 0))


def test_a_queue_that_is_shut_down_is_ready(wait: Callable[..., list[Any]]) -> None:
    queue = cy.Queue()
    with soon(queue.shutdown):
        assert wait([queue]) == [queue]


def test_an_item_put_back_for_later(wait: Callable[..., list[Any]]) -> None:
    queue = cy.Queue()
    queue.put(1)
    lease = queue.lease()
    with lease:
        lease.requeue(0.1)
    assert wait([queue], 0) == []
    assert wait([queue]) == [queue]
    assert queue.get_nowait() == 1


def test_pairs(wait: Callable[..., list[Any]]) -> None:
    value, d = cy.Value("i", 0), cy.Dict()
    pairs = [(value, lambda n: n > 1), (d, lambda d: "a" in d), (value, 5)]
    assert wait(pairs, 0.01) == []
    with soon(lambda: setattr(value, "value", 2)):
        assert wait(pairs) == [pairs[0]]
    d["a"] = 1
    assert wait(pairs) == pairs[:2]
    value.value = 5
    assert wait([cy.Queue(), *pairs]) == pairs
    with pytest.raises(ZeroDivisionError):
        wait([(value, lambda n: 1 / 0)])
    assert_no_waits()


def test_descriptors(wait: Callable[..., list[Any]]) -> None:
    queue = cy.Queue()
    reader, writer = Pipe(duplex=False)
    one, other = socket.socketpair()
    with reader, writer, one, other:
        items = [queue, reader, one, other.fileno()]
        assert wait(items, 0.01) == []
        with soon(lambda: writer.send("x")):
            assert wait(items) == [reader]
        with soon(lambda: one.send(b"x")):
            assert wait([queue, other.fileno()]) == [other.fileno()]
        with soon(lambda: queue.put(1)):
            assert wait([one, queue]) == [queue]
        assert wait(items) == [queue, reader, other.fileno()]
    assert_no_waits()


def test_the_sentinel_of_a_process(wait: Callable[..., list[Any]]) -> None:
    queue = cy.Queue()
    process = Process(target=time.sleep, args=(0.1,))
    process.start()
    assert wait([queue, process.sentinel]) == [process.sentinel]
    process.join()
    process.close()


def test_nothing_to_wait_for(wait: Callable[..., list[Any]]) -> None:
    begun = time.monotonic()
    assert wait([], 0.05) == []
    assert time.monotonic() - begun > 0.04


def test_what_cannot_be_waited_for(wait: Callable[..., list[Any]]) -> None:
    for item, message in [
        (cy.Dict(), r"a Dict is not ready or unready by itself: wait for a pair"),
        (cy.Barrier(2), "a Barrier is not ready"),
        ("text", r"expected an object, a pair \(object, condition\), .* found str"),
        ((1, 2), r"expected a pair \(object, condition\), found \(int"),
    ]:
        with pytest.raises(TypeError, match=message):
            wait([cy.Queue(), item], 1)
    with pytest.raises(ValueError, match="timeout is NaN"):
        wait([cy.Queue()], float("nan"))
    closed = cy.Queue()
    closed.close()
    with pytest.raises(cy.Closed):
        wait([closed], 1)
    assert_no_waits()


def test_many(wait: Callable[..., list[Any]]) -> None:
    queues = [cy.Queue() for _ in range(300)]
    for chosen in (0, 150, 299):
        with soon(partial(queues[chosen].put, 1)):
            assert wait(queues) == [queues[chosen]]
        queues[chosen].get_nowait()
    assert_no_waits()


def test_a_change_in_another_process(wait: Callable[..., list[Any]]) -> None:
    queue, event = cy.Queue(), cy.Event()

    def child() -> None:
        time.sleep(0.05)
        event.set()

    pid = fork(child)
    assert wait([queue, event]) == [event]
    os.waitpid(pid, 0)


def test_a_killed_holder(wait: Callable[..., list[Any]]) -> None:
    """Its lock is free, and its leased item is back."""
    queue, lock, go = cy.Queue(), cy.Lock(), cy.Event()
    queue.put(1)

    def child() -> None:
        with lock, queue.lease():
            go.set()
            signal.pause()

    pid = fork(child)
    go.wait(30)
    assert wait([queue], 0) == wait([lock], 0) == []
    with soon(lambda: os.kill(pid, signal.SIGKILL)):
        assert wait([lock]) == [lock]
    assert wait([queue]) == [queue]
    os.waitpid(pid, 0)


def test_an_interrupt_ends_it() -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), soon(interrupt):
        cy.wait([cy.Queue()], 60)
    assert_no_waits()


@pytest.mark.parametrize("backend", loop.KINDS)
def test_a_cancelled_wait_leaves_nothing(backend: str) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        with one, other, anyio.move_on_after(0.05) as scope:
            await courtyard.aio.wait([cy.Queue(), one])
        assert scope.cancelled_caught

    loop.run(backend, main)
    assert_no_waits()


@pytest.mark.parametrize("timeout", [1e9, float("inf")])
def test_a_timeout_longer_than_a_descriptor_can_be_waited_for(
    wait: Callable[..., list[Any]], timeout: float
) -> None:
    queue = cy.Queue()
    with soon(partial(queue.put, 1)):
        assert wait([queue], timeout) == [queue]
