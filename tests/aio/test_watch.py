"""``watch()``: changes as tasks follow them."""

import os
import queue
import signal
import time
from functools import partial
from multiprocessing.context import BaseContext
from typing import Any

import anyio
import pytest

import courtyard as cy
import courtyard.aio
from tests.support.children import fork, join, start
from tests.support.loop import Run, assert_no_waits, blocked, tasks

OBJECTS: dict[str, Any] = {
    "Dict": (cy.Dict, lambda d: d.update(a=1), ("a", 1)),
    "NestedDict": (cy.NestedDict, lambda d: d.update(a=1), ("a", 1)),
    "Counter": (cy.Counter, lambda c: c.update("a"), ("a", 1)),
    "Set": (cy.Set, lambda s: s.add("a"), ("a", True)),
    "Namespace": (cy.Namespace, lambda ns: setattr(ns, "a", 1), ("a", 1)),
    "List": (cy.List, lambda x: x.append("a"), ["a"]),
    "Value": (lambda: cy.Value("i"), lambda v: v.increment(), 1),
    "Value(object)": (lambda: cy.Value(object), lambda v: v.set("a"), "a"),
}
objects = pytest.mark.parametrize("name", list(OBJECTS))


@objects
def test_a_task_follows_an_object(run: Run, name: str) -> None:
    make, change, expected = OBJECTS[name]
    obj = make()
    empty: list[Any] = [0, None, [], {}, set()]

    async def main() -> None:
        async with courtyard.aio.of(obj).watch() as watch:
            assert watch.state in empty and isinstance(watch, cy.aio.Watch)
            with pytest.raises(queue.Empty):
                await watch.get(0)
            async with tasks() as waiting:
                await waiting.start(watch.get)
                assert not waiting.results
                change(obj)
                await waiting.ended(1)
                assert waiting.results == {0: expected}
        with pytest.raises(cy.Closed):
            await watch.get()

    run(main)
    assert_no_waits()


def test_how_long_get_waits(run: Run) -> None:
    d = cy.Dict()

    async def main() -> None:
        watch = d.aio.watch()
        for timeout in (0, -1, 0.05):
            began = time.monotonic()
            with pytest.raises(queue.Empty):
                await watch.get(timeout)
            assert time.monotonic() - began >= timeout
        with pytest.raises(ValueError, match="NaN"):
            await watch.get(float("nan"))
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.02):
                await watch.get()
        d["a"] = 1
        assert await watch.get(timeout=5) == ("a", 1)
        assert repr(watch) == f"<courtyard.Watch of {d!r}>.aio"

    run(main)
    assert_no_waits()


def test_iteration_ends_with_the_watch_or_the_handle(run: Run) -> None:
    d, v = cy.Dict(), cy.Value("i")

    async def collect(watch: Any, found: list[Any]) -> None:
        async for change in watch:
            found.append(change)

    async def main() -> None:
        keys, values = d.aio.watch(), v.aio.watch()
        found: dict[Any, list[Any]] = {keys: [], values: []}
        async with tasks() as waiting:
            for watch, changes in found.items():
                for _ in range(2):
                    await waiting.start(partial(collect, watch, changes))
            d["a"], v.value = 1, 3
            while not all(found.values()):
                await anyio.sleep(0.001)
            assert not waiting.results
            await keys.close()
            await waiting.ended(2)
            await v.aio.close()
            await waiting.ended(4)
        assert found == {keys: [("a", 1)], values: [3]}
        assert set(waiting.results.values()) == {None}

    run(main)
    assert_no_waits()


def test_a_cancelled_call_takes_no_change(run: Run) -> None:
    d = cy.Dict()

    async def main() -> None:
        watch = d.aio.watch()
        got: list[Any] = []
        for number in range(60):
            async with tasks() as waiting:
                await waiting.start(watch.get)
                await waiting.start(watch.get)
                if number % 2:
                    d[number] = number
                    if number % 3:
                        await anyio.sleep(0)
                for scope in waiting.scopes:
                    scope.cancel()
            got += waiting.results.values()
        while True:
            try:
                got.append(await watch.get(0))
            except queue.Empty:
                break
        assert got == [(number, number) for number in range(1, 60, 2)]

    run(main)
    assert_no_waits()


def write(d: Any, ns: Any, count: int) -> None:
    for number in range(count):
        d[number % 100] = number
        if number % 10 == 5:
            d.pop(number % 100 - 3, None)
    ns.done = True


def test_changes_of_another_process(run: Run, ctx: BaseContext) -> None:
    d, ns = cy.Dict(), cy.Namespace(done=False)
    child = start(ctx, write, d, ns, 3000)

    async def follow(known: dict[Any, Any], watch: Any) -> None:
        async for key, value in watch:
            if value is cy.DELETED:
                del known[key]
            else:
                known[key] = value

    async def main() -> None:
        every, some = d.aio.watch(), d.aio.watch(range(5))
        knowns = [dict(every.state), dict(some.state)]
        async with tasks() as waiting:
            await waiting.start(lambda: follow(knowns[0], every))
            await waiting.start(lambda: follow(knowns[1], some))
            async with courtyard.aio.of(ns).watch(["done"]) as done:
                if not done.state["done"]:
                    assert await done.get(60) == ("done", True)
            while knowns[0] != d.copy():
                await anyio.sleep(0.001)
            await blocked()
            assert knowns[1] == {key: value for key, value in d.items() if key < 5}
            await every.close()
            await some.close()
            await waiting.ended(2)

    run(main)
    join(child)
    assert_no_waits()


def watch_many(backend: str, d: Any, going: Any) -> None:
    from tests.support.loop import run

    async def follow() -> None:
        async for _ in d.aio.watch():
            pass

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(follow)
            await anyio.sleep(0.05)
            going.increment()

    run(backend, main)


def test_a_process_with_watchers_is_killed(backend: str) -> None:
    d, going = cy.Dict(), cy.Value("i")
    before = len(d.statistics().participants)
    child = fork(watch_many, backend, d, going)
    assert going.wait_for(1, 60)
    for number in range(20):
        d[number] = 0
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    watch = d.watch()
    d["a"] = 1
    assert watch.get(30) == ("a", 1)
    assert len(d.statistics().participants) == before
    d.check()


def test_wait_for_a_watch_or_another(run: Run) -> None:
    d, q = cy.Dict(), cy.Queue[int]()

    async def main() -> None:
        watch = d.watch(["a"])
        assert await cy.aio.wait([watch, q], 0.01) == []
        twin = d.aio.watch()
        d["b"] = 0
        assert await cy.aio.wait([watch, twin]) == [twin]
        async with tasks() as waiting:
            await waiting.start(lambda: cy.aio.wait([watch, q]))
            d["b"] = 1
            await blocked()
            assert not waiting.results
            d["a"] = 1
            await waiting.ended(1)
            assert waiting.results == {0: [watch]}

    run(main)
    assert_no_waits()
