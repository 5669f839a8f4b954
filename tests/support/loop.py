"""Event loops for tests: asyncio's, uvloop's and trio's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

import anyio
import pytest

from courtyard import _native

_T = TypeVar("_T")

LIMIT = 60.0  # seconds
BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


_has_uvloop = find_spec("uvloop") is not None
HERE = [name for name in BACKENDS if name != "uvloop" or _has_uvloop]
_uvloop = pytest.param(
    "uvloop",
    marks=pytest.mark.skipif(not _has_uvloop, reason="uvloop has no release for this Python"),
)
ASYNCIO = ["asyncio", _uvloop]
KINDS = [*ASYNCIO, "trio"]


class Run(Protocol):
    """Runs a coroutine function in a new loop of one kind."""

    def __call__(self, main: Callable[..., Awaitable[_T]], *args: Any) -> _T: ...


def run(backend: str, main: Callable[..., Awaitable[_T]], *args: Any) -> _T:
    """Run ``main(*args)`` in a new loop; what takes too long is a TimeoutError."""

    async def limited() -> _T:
        with anyio.fail_after(LIMIT):
            return await main(*args)

    return anyio.run(limited, **BACKENDS[backend])


blocked = anyio.wait_all_tasks_blocked


class Tasks:
    """Tasks with numbers, started one after another, that may be cancelled one by one."""

    def __init__(self, group: Any) -> None:
        self.group = group
        self.scopes: list[anyio.CancelScope] = []
        # Numbers of those that ended, in that order, with what they returned or raised.
        self.results: dict[int, Any] = {}

    async def start(self, call: Callable[[], Awaitable[Any]]) -> int:
        """Start a task that makes a call, and let it go as far as it can."""
        number = len(self.scopes)
        scope = anyio.CancelScope()
        self.scopes.append(scope)

        async def task() -> None:
            with scope:
                try:
                    self.results[number] = await call()
                except Exception as error:
                    self.results[number] = error

        self.group.start_soon(task)
        await blocked()
        return number

    async def ended(self, count: int) -> None:
        """Wait until so many have ended by themselves."""
        while len(self.results) < count:
            await anyio.sleep(0.002)


@asynccontextmanager
async def tasks() -> AsyncIterator[Tasks]:
    """Have tasks beside the block, cancelled at its end."""
    async with anyio.create_task_group() as group:
        yield Tasks(group)
        group.cancel_scope.cancel()


def assert_no_waits(limit: float = 10) -> None:
    """See that no wait of this process is registered."""
    end = time.monotonic() + limit
    while _native.waits()[1] and time.monotonic() < end:
        time.sleep(0.01)
    assert _native.waits()[1] == 0
