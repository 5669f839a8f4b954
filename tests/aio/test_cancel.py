"""Tasks cancelled wherever they suspend, in several processes: nothing is lost or doubled."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter

import anyio
import pytest

import courtyard as cy
from tests.support import cancel
from tests.support.children import fork, join, start
from tests.support.loop import HERE, KINDS, assert_no_waits, blocked, run, tasks

SIZE = os.environ.get("COURTYARD_TORTURE_SIZE", "")
CANCELS = {"small": 40_000, "full": 1_000_000}.get(SIZE, 4000)  # in all of these tests together
KEPT = 0, 3  # a queue without a bound, and one that is full most of the time
PROCESSES = 4


@pytest.mark.limit(120 + CANCELS / 100)
@pytest.mark.parametrize("maxsize", KEPT)
@pytest.mark.parametrize("backend", [*KINDS, "all"])
def test_nothing_is_lost_by_cancels(
    backend: str, maxsize: int, capsys: pytest.CaptureFixture[str]
) -> None:
    world, began = cancel.World(maxsize), time.monotonic()
    context = multiprocessing.get_context("fork")
    names = [*HERE, *HERE][:PROCESSES] if backend == "all" else [backend] * PROCESSES
    each = CANCELS // (len(KEPT) * (len(KINDS) + 1) * PROCESSES)
    children = [
        start(context, cancel.work, world, number, name, each) for number, name in enumerate(names)
    ]
    join(*children, limit=100 + CANCELS / 100)
    reports = world.reports.get_many(len(names))
    world.settle(reports)
    if SIZE:
        cancels = sum((report.cancels for report in reports), Counter[tuple[str, int]]())
        if maxsize:  # else no put has to wait
            assert {(name, at) for name in cancel.CALLS for at in (0, 1)} <= set(cancels)
        with capsys.disabled():
            seconds = time.monotonic() - began
            print(f"\n{cancels.total():,} cancels at {len(cancels)} places in {seconds:.0f} s")


# -- each kind of call alone, where a lost wake would hang


@pytest.mark.parametrize("kind", ["get", "Semaphore", "Condition"])
def test_no_wake_is_lost_with_a_cancelled_waiter(backend: str, kind: str) -> None:
    """Another process gives turns to tasks that are cancelled all the time, and come again."""
    turns = 200
    q, permits, condition = cy.Queue[int](), cy.Semaphore(0), cy.Condition()
    tokens, waiting = cy.RawValue("i"), cy.RawValue("i")

    def give() -> None:
        for turn in range(turns):
            assert waiting.wait_for(1, 60)
            match kind:
                case "get":
                    q.put(turn)
                case "Semaphore":
                    permits.release()
                case _:
                    with condition:
                        tokens.value += 1
                        condition.notify()
            if turn % 7 == 0:
                time.sleep(0.002)

    async def take() -> None:
        match kind:
            case "get":
                await q.aio.get()
            case "Semaphore":
                await permits.aio.acquire()
            case _:
                async with condition.aio:
                    while not tokens.value:
                        await condition.aio.wait()
                    tokens.value -= 1

    async def main() -> None:
        chance, had = random.Random(1), 0

        async def stay() -> None:
            nonlocal had
            while had < turns:
                with anyio.CancelScope() as scope:
                    scopes.add(scope)
                    try:
                        await take()
                        had += 1
                    finally:
                        scopes.discard(scope)
                await anyio.sleep(0)

        scopes: set[anyio.CancelScope] = set()
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(stay)
            await blocked()
            waiting.value = 1
            while had < turns:
                await anyio.sleep(chance.choice([0, 0, 0.0005]))
                if scopes:
                    chance.choice(list(scopes)).cancel()
            group.cancel_scope.cancel()
        assert had == turns

    child = fork(give)
    try:
        run(backend, main)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        status = os.waitpid(child, 0)[1]
    assert status == 0
    assert q.qsize() == 0 and permits.get_value() == 0 and tokens.value == 0
    assert_no_waits()


@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("call", ["get", "lease", "acquire"])
def test_it_is_cancelled_some_steps_after_its_turn_has_come(
    backend: str, call: str, steps: int
) -> None:
    """The thread has told the loop, or not yet; the task is woken, or not yet, or goes on."""
    q, permits = cy.Queue[int](), cy.Semaphore(0)

    async def turn() -> str:
        match call:
            case "get":
                await q.aio.get()
            case "lease":
                async with q.aio.lease():
                    return "had"
            case _:
                await permits.aio.acquire()
        return "had"

    async def main() -> None:
        for round in range(60):
            async with tasks() as waiting:
                await waiting.start(turn)
                await waiting.start(turn)
                giver = threading.Thread(target=permits.release if call == "acquire" else put)
                giver.start()
                if round % 2:
                    await anyio.to_thread.run_sync(giver.join)
                for _ in range(steps):
                    await anyio.sleep(0)
                waiting.scopes[0].cancel()
                await waiting.ended(1)
                await anyio.to_thread.run_sync(giver.join)
                assert list(waiting.results.values()) == ["had"]
                assert q.qsize() == 0 and permits.get_value() == 0

    def put() -> None:
        q.put(1)

    run(backend, main)
    assert_no_waits()
