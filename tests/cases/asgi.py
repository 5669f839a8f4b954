"""An ASGI application whose workers share what they know; ``test_asgi.py`` serves it."""

import json
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

import courtyard as cy

space = cy.Space("asgi")
seen = cy.Dict.named(
    "seen", space=space
)  # number of a request -> PID of the worker that counted it
counts = cy.Counter.named("counts", space=space)
lock = cy.Lock.named("lock", space=space)
jobs = cy.Queue.named("jobs", space=space)
lost = cy.Set.named("lost", space=space)  # jobs whose worker died with them in hand
done = cy.Dict.named("done", space=space)  # number of a job -> PID of the worker that did it
workers = cy.Set.named("workers", space=space)
ME = os.getpid()


def die() -> None:
    os.kill(ME, signal.SIGKILL)


async def count(number: int, dies: bool = False) -> None:
    """Count a request once, however often its client sends it."""
    async with lock.aio:
        if lock.aio.recovered:  # its holder died below: perhaps between the two changes
            await counts.aio.setitem("all", len(seen))
        if number not in seen:
            await seen.aio.setitem(number, ME)
            await anyio.sleep(0)  # other requests run meanwhile
            if dies:
                die()
            await counts.aio.setitem("all", counts["all"] + 1)  # exact under the lock only
    await counts.aio.increment("served")


async def work(number: int, is_lost: bool = False) -> None:
    """Have any of the workers do a job, and wait until one has."""
    await jobs.aio.put((number, is_lost))
    assert await done.aio.wait_for(lambda done: number in done, timeout=50), "nobody did the job"


async def consume() -> None:
    """Do jobs; one that dies with its worker is done by another one."""
    while True:
        async with jobs.aio.lease() as (number, is_lost):
            if is_lost and number not in lost:
                await lost.aio.add(number)
                die()
            await done.aio.setitem(number, ME)


async def answer(verb: str, number: int) -> str:
    match verb:
        case "count" | "die":
            await count(number, verb == "die")
        case "work" | "lose":
            await work(number, verb == "lose")
        case "workers":  # answered when so many have come
            assert await workers.aio.wait_for(lambda workers: len(workers) >= number, timeout=50)
        case "state":
            await jobs.aio.join()  # one that a client asked for twice may be there still
            return json.dumps(
                dict(counts)
                | {"seen": sorted(seen), "done": sorted(done), "workers": sorted(workers)}
                | {"jobs": jobs.unfinished_tasks, "lost": len(lost)}
            )
        case _:
            raise ValueError(verb)
    return str(ME)


async def follow(receive: Any, send: Callable[[str], Awaitable[None]]) -> None:
    """Send all jobs that were done, then each as it is done, until the client has gone."""
    async with anyio.create_task_group() as group, done.aio.watch() as changes:

        async def end_with_client() -> None:
            while not (await receive())["type"].endswith(".disconnect"):
                pass
            group.cancel_scope.cancel()

        group.start_soon(end_with_client)
        await send(json.dumps(changes.state))
        async for number, worker in changes:
            await send(json.dumps({number: worker}))


async def events(receive: Any, send: Any) -> None:
    async def send_event(text: str) -> None:
        event = f"data: {text}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})

    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await follow(receive, send_event)


async def websocket(receive: Any, send: Any) -> None:
    async def send_text(text: str) -> None:
        await send({"type": "websocket.send", "text": text})

    await receive()
    await send({"type": "websocket.accept"})
    await follow(receive, send_text)


async def lifespan(receive: Any, send: Any) -> None:
    async with anyio.create_task_group() as group:
        await receive()
        await workers.aio.add(ME)
        group.start_soon(consume)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        group.cancel_scope.cancel()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer ``/count/N`` and the like, as ``answer`` does, in the loop of any server.

    ``/events`` and websockets follow the jobs that are done.
    """
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    if scope["path"] == "/events":
        return await events(receive, send)
    _, verb, number = scope["path"].split("/")
    body = (await answer(verb, int(number))).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
