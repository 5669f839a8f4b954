"""Cancelled waits on other queues: ``python -m tests.torture.contrast_cancel [ITEMS]``.

A process puts items, one every 0.3 ms. Another has a dozen tasks of asyncio that wait for them,
each for at most 10 ms, as long as items come: then the wait is cancelled, and the task waits anew.
Items that were put, that no task got and that are not in the queue any more are *lost*. Nothing is
asserted: it shows what courtyard is there for.

Beside ``q.aio.get()`` there are the ways that are in use: ``run_in_executor(None, q.get)``, with
courtyard's queue and with multiprocessing's, and BLPOP of a Redis server. That row is left out
where redis-py or a server is missing; the extra ``peers`` has both.
"""

import asyncio
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import courtyard as cy
from tests.support.children import fork, running

TASKS = 12
MOST = 0.01  # seconds until a wait is cancelled
QUIET = 1.0  # seconds without an item after which no more are to come

Get = Callable[[], Awaitable[int]]


class Way(NamedTuple):
    """How items are put by one process and waited for by another; each makes its own."""

    title: str
    put: Callable[[], Callable[[int], Any]]
    get: Callable[[], Get]
    left: Callable[[], int]


def in_a_thread(q: Any) -> Callable[[], Get]:
    def make() -> Get:
        loop = asyncio.get_running_loop()
        return lambda: loop.run_in_executor(None, q.get)

    return make


def of_a_queue(title: str, q: Any, get: Callable[[], Get]) -> Way:
    return Way(title, lambda: q.put, get, q.qsize)


def of_redis(title: str, path: str) -> Way:
    import redis

    def put() -> Callable[[int], Any]:
        client = redis.Redis(unix_socket_path=path)
        return lambda item: client.rpush("jobs", item)

    def get() -> Get:
        client = redis.asyncio.Redis(unix_socket_path=path, socket_timeout=None)

        async def blpop() -> int:
            return int((await client.blpop(["jobs"]))[1])

        return blpop

    return Way(title, put, get, lambda: int(redis.Redis(unix_socket_path=path).llen("jobs")))


@contextmanager
def server() -> Iterator[str]:
    """Have a Redis server of our own behind a socket in a folder."""
    import redis

    from benchmarks.peer.redis import QUIET, program

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "socket")
        with running([program(), "--unixsocket", path, *QUIET]):
            for _ in range(500):
                with suppress(redis.exceptions.RedisError):
                    if redis.Redis(unix_socket_path=path).ping():
                        break
                time.sleep(0.02)
            yield path


async def consume(get: Get) -> dict[str, int]:
    """Wait for items in many tasks until none comes any more."""
    got: list[int] = []
    cancels, last, chance = 0, time.monotonic() + 5, random.Random(1)

    async def task() -> None:
        nonlocal cancels, last
        while time.monotonic() < last + QUIET:
            try:
                async with asyncio.timeout(chance.random() * MOST):
                    got.append(await get())
                last = max(last, time.monotonic())
            except TimeoutError:
                cancels += 1

    await asyncio.gather(*(task() for _ in range(TASKS)))
    return {"cancels": cancels, "got": len(got), "doubled": len(got) - len(set(got))}


def produce(way: Way, items: int) -> None:
    put = way.put()
    for item in range(items):
        put(item)
        time.sleep(0.0003)
    time.sleep(QUIET)  # a queue of multiprocessing's has a thread that still writes


def take(way: Way, pipe: int) -> None:
    async def main() -> None:
        found = await consume(way.get())
        os.write(pipe, json.dumps(found | {"left": way.left()}).encode())
        os._exit(0)  # what still waits in threads is not waited for

    asyncio.run(main())


def count(way: Way, items: int) -> dict[str, int]:
    """Put so many items; what came of them."""
    pipe, theirs = os.pipe()
    consumer = fork(take, way, theirs)
    os.close(theirs)
    producer = fork(produce, way, items)
    with open(pipe, "rb") as file:
        found: dict[str, int] = json.loads(file.read())
    for child in (producer, consumer):
        assert os.waitpid(child, 0)[1] == 0
    return found | {"lost": items - (found["got"] - found["doubled"]) - found["left"]}


def main(items: int) -> None:
    columns = "cancels", "got", "left", "lost", "doubled"
    print(f"{'':52}" + "".join(f"{name:>9}" for name in columns))
    ours, q = cy.Queue[int](), cy.Queue[int]()
    theirs = multiprocessing.get_context("fork").Queue()

    def tell(way: Way) -> None:
        found = count(way, items)
        print(f"{way.title:52}" + "".join(f"{found[name]:9}" for name in columns), flush=True)

    tell(of_a_queue("courtyard: q.aio.get()", ours, lambda: ours.aio.get))
    tell(of_a_queue("courtyard: run_in_executor(None, q.get)", q, in_a_thread(q)))
    tell(of_a_queue("multiprocessing: run_in_executor(None, q.get)", theirs, in_a_thread(theirs)))
    try:
        with server() as path:
            tell(of_redis("Redis: redis.asyncio, BLPOP", path))
    except Exception as error:
        print(f"Redis: left out: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 2000)
