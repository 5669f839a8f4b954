"""What queues raise in tasks: timeouts, items that cannot be loaded, shutdown."""

import gc
import time
from math import nan
from queue import Empty, Full
from typing import Any

import anyio
import pytest

import courtyard as cy
from tests.aio.test_queue import TAKES, taking
from tests.support.lease import Job, broken, state
from tests.support.loop import Run, tasks


@pytest.mark.parametrize("arguments", [(False,), (True, 0), (True, -1), (True, nan), (True, 0.02)])
@pytest.mark.parametrize("call", ["get", "put", "put_many", "get_many", "lease"])
@pytest.mark.parametrize("shut", [False, True])
def test_it_raises_what_the_queue_raises(
    run: Run, call: str, arguments: tuple[Any, ...], shut: bool
) -> None:
    async def raised(q: Any) -> tuple[type, str]:
        item = ([1],) if call == "put_many" else (1,) * call.startswith("put")
        if call == "get_many":
            arguments_here: Any = (3, *(arguments[1:] or (0,)))
        else:
            arguments_here = (*item, *arguments)
        try:
            result = getattr(q, call)(*arguments_here)
            if hasattr(result, "__aenter__"):
                await result.__aenter__()
            elif hasattr(result, "__enter__"):
                result.__enter__()
            else:
                await result
        except Exception as error:
            return type(error), str(error)
        raise AssertionError("nothing was raised")

    async def main() -> None:
        for q in (cy.Queue[Any](1), cy.Queue[Any](maxbytes=24)):
            if call.startswith("put"):
                q.put("a")
            if shut:
                q.shutdown()
            began = time.monotonic()
            assert await raised(q.aio) == await raised(q)
            assert time.monotonic() - began < 20

    run(main)


@pytest.mark.parametrize("call", ["get", "put", "put_bytes"])
def test_each_in_line_has_its_own_timeout_and_the_text_of_the_queue(run: Run, call: str) -> None:
    q: Any = cy.Queue[Any](1) if call == "put" else cy.Queue[Any](maxbytes=24)
    if call != "get":
        q.put(1)
    error = Empty if call == "get" else Full
    with pytest.raises(error) as expected:
        q.get(timeout=0.001) if call == "get" else q.put(2, timeout=0.001)

    async def main() -> None:
        async with tasks() as waiting:
            for timeout in (60, 0.2, 0.1):
                if call == "get":
                    await waiting.start(lambda t=timeout: q.aio.get(timeout=t))  # type: ignore[misc]
                else:
                    await waiting.start(lambda t=timeout: q.aio.put(2, timeout=t))  # type: ignore[misc]
            await waiting.ended(2)
            assert list(waiting.results) == [2, 1]
            for found in waiting.results.values():
                assert type(found) is error and str(found) == str(expected.value)

    run(main)


def test_an_item_that_can_never_be_put_raises_at_once(run: Run) -> None:
    q = cy.Queue[str](maxbytes=100)
    with pytest.raises(ValueError, match="it can never be put") as expected:
        q.put("x" * 200)

    async def main() -> None:
        with pytest.raises(ValueError) as error:
            await q.aio.put("x" * 200, timeout=50)
        assert str(error.value) == str(expected.value)

    run(main)


@taking
def test_an_item_that_cannot_be_loaded_stays(run: Run, take: str) -> None:
    q: Any = cy.Queue()

    async def main() -> None:
        async with tasks() as waiting:
            await waiting.start(lambda: TAKES[take](q))
            broken.add(3)
            q.put(Job(3))
            await waiting.ended(1)
            assert isinstance(waiting.results.pop(0), cy.LoadError)
            gc.collect()  # on a lease until the lease is gone
            assert state(q) == (1, 1)
            broken.discard(3)
            assert await TAKES[take](q) == Job(3)

    try:
        run(main)
    finally:
        broken.clear()


@pytest.mark.parametrize("immediate", [False, True])
@pytest.mark.parametrize("reopens", [False, True])
@pytest.mark.parametrize("call", [*TAKES, "put"])
def test_all_who_wait_are_told_that_it_was_shut_down(
    run: Run, call: str, reopens: bool, immediate: bool
) -> None:
    """Those who stand behind the first one too, though it may be open again."""
    q: Any = cy.Queue(1)
    if call == "put":
        q.put(1)
    calls: dict[str, Any] = {**TAKES, "put": lambda q: q.aio.put(2)}

    async def main() -> None:
        async with tasks() as waiting:
            for _ in range(3):
                await waiting.start(lambda: calls[call](q))
            q.shutdown(immediate)
            if reopens:
                q.reopen()
                if immediate and call == "put":
                    q.put(1)
            with anyio.move_on_after(10):
                await waiting.ended(3)
            found = waiting.results
            assert [type(found.get(number)) for number in range(3)] == [cy.ShutDown] * 3
            if reopens:
                assert all("while this call waited" in str(error) for error in found.values())

    run(main)
