"""How loops end: with waits outstanding, by signals, with the interpreter."""

import time

import pytest

from tests.aio.program import script
from tests.support import loop


@pytest.mark.parametrize("how", ["returns", "raises"])
def test_a_run_ends_with_waits_outstanding(backend: str, how: str) -> None:
    """Tasks that the program forgot are cancelled; nobody hangs, warns or stays registered."""
    script(
        backend,
        f"""
q, lock, flag, permits, condition = (
    cy.Queue(1), cy.Lock(), cy.Event(), cy.Semaphore(0), cy.Condition())
async def wait_for_it():
    async with condition.aio:
        await condition.aio.wait()
async def lease():
    async with q.aio.lease():
        raise AssertionError
class Done(Exception):
    pass
async def main():
    await lock.aio.acquire()
    calls = (q.aio.get, q.aio.get, lock.aio.acquire, lock.aio.acquire, flag.aio.wait,
             permits.aio.acquire, wait_for_it, wait_for_it, lease)
    if backend == "trio":
        import trio
        for call in calls:
            trio.lowlevel.spawn_system_task(call)
    else:
        import asyncio
        global kept
        kept = [asyncio.ensure_future(call()) for call in calls]
    await anyio.sleep(0.05)
    assert _native.waits()[1] >= 5, _native.waits()
    if {how == "raises"}:
        raise Done
try:
    run(backend, main)
except Done:
    pass
assert_no_waits(5)
assert condition._waiters == 0 and not condition.locked()
lock.release()
# A later loop goes on.
async def later():
    async with tasks() as waiting:
        await waiting.start(q.aio.get)
        q.put(1)
        await waiting.ended(1)
        assert waiting.results == {{0: 1}}
run(backend, later)
from courtyard.aio import _wait
assert not _wait.lines
""",
    )


@pytest.mark.parametrize("kind", loop.ASYNCIO)
def test_a_loop_is_closed_without_more_ado(kind: str) -> None:
    """Its tasks are never resumed; what they waited for is let go with them."""
    script(
        kind,
        """
import asyncio, uvloop, weakref
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # "Task was destroyed but it is pending!"
q = cy.Queue()
def play():
    loop = uvloop.new_event_loop() if backend == "uvloop" else asyncio.new_event_loop()
    async def get():
        await q.aio.get()
    tasks = [loop.create_task(get()) for _ in range(3)]
    loop.run_until_complete(asyncio.sleep(0.02))
    assert _native.waits()[1] == 1
    loop.close()
    return weakref.ref(loop)
files = []
for _ in range(5):
    loop = play()
    gc.collect()
    q.put(1)  # wakes nobody, and no harm is done
    time.sleep(0.05)
    assert q.get() == 1
    gc.collect()
    assert loop() is None, gc.get_referrers(loop())
    assert_no_waits(5)
    files.append(descriptors())
assert files == files[:1] * 5, files
""",
    )


def test_an_interpreter_ends_while_the_thread_sleeps(backend: str) -> None:
    began = time.monotonic()
    script(
        backend,
        """
q, space = cy.Queue(), cy.Space()
other = space.Queue()
async def main():
    async with tasks() as waiting:
        await waiting.start(q.aio.get)
        await waiting.start(other.aio.get)
run(backend, main)
assert _native.waits()[0] == 1
""",
    )
    assert time.monotonic() - began < 30


def test_an_interpreter_ends_in_the_middle_of_a_wait(backend: str) -> None:
    """By sys.exit() in another task, with tasks in the loop and one loop in a daemon thread."""
    script(
        backend,
        """
q = cy.Queue()
async def forever():
    await q.aio.get()
thread = threading.Thread(target=lambda: run(backend, forever), daemon=True)
thread.start()
while _native.waits()[1] < 1:
    time.sleep(0.001)
print("ends")
sys.exit(3)
""",
        code=3,
    )


@pytest.mark.parametrize("library", loop.KINDS)
def test_ctrl_c(library: str) -> None:
    script(
        library,
        """
q, lock = cy.Queue(), cy.Lock()
caught = []
async def wait(call):
    await call()
async def main():
    await lock.aio.acquire()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    if backend == "trio":
        import trio
        async with trio.open_nursery() as nursery:
            nursery.start_soon(q.aio.get)
            nursery.start_soon(lock.aio.acquire)
            await q.aio.get()
    else:
        import asyncio
        async with asyncio.TaskGroup() as group:
            group.create_task(q.aio.get())
            group.create_task(lock.aio.acquire())
            await q.aio.get()
try:
    if backend == "trio":
        import trio
        trio.run(main)
    elif backend == "asyncio":
        import asyncio
        asyncio.run(main())
    else:
        import uvloop
        uvloop.run(main())
except BaseExceptionGroup as error:
    assert error.split(KeyboardInterrupt)[1] is None, error
    caught.append(error)
except KeyboardInterrupt as error:
    caught.append(error)
assert caught
assert_no_waits(5)
lock.release()
q.put(1)
assert q.get() == 1
""",
    )
