"""Values, containers and barriers as tasks use them."""

import threading
import time
from functools import partial
from typing import Any

import anyio
import pytest

import courtyard as cy
import courtyard.aio
from tests.support.loop import Run, assert_no_waits, tasks

MAKES: dict[str, Any] = {
    "Value": lambda: cy.Value("i", 1),
    "Array": lambda: cy.Array("i", [1, 2]),
    "Dict": lambda: cy.Dict({"a": 1}),
    "NestedDict": lambda: cy.NestedDict({"a": {}}),
    "Counter": lambda: cy.Counter(a=1),
    "Namespace": lambda: cy.Namespace(a=1),
    "List": lambda: cy.List([1, 2]),
    "Deque": lambda: cy.Deque([1, 2]),
    "Set": lambda: cy.Set([1, 2]),
    "Queue": cy.Queue,
    "LifoQueue": cy.LifoQueue,
    "PriorityQueue": cy.PriorityQueue,
    "JoinableQueue": cy.JoinableQueue,
    "SimpleQueue": cy.SimpleQueue,
    "Lock": cy.Lock,
    "RLock": cy.RLock,
    "Semaphore": lambda: cy.Semaphore(1),
    "BoundedSemaphore": lambda: cy.BoundedSemaphore(1),
    "Event": cy.Event,
    "Condition": cy.Condition,
    "Barrier": lambda: cy.Barrier(2),
}
# What a twin has in another form, or not at all: it is asked of the object.
ELSEWHERE = {"named", "get_obj", "fromkeys"}


@pytest.mark.parametrize("name", MAKES)
def test_a_twin_has_every_method(name: str) -> None:
    sync = MAKES[name]()
    twin = courtyard.aio.of(sync)
    assert isinstance(twin, courtyard.aio.Object) and twin.sync is sync
    assert twin == courtyard.aio.of(sync) and hash(twin) == hash(courtyard.aio.of(sync))
    assert twin != courtyard.aio.of(MAKES[name]()) and twin != sync
    assert repr(twin) == f"{sync!r}.aio"
    own = {each for each in dir(type(sync)) if not each.startswith("_")}
    methods = {each for each in own if callable(getattr(type(sync), each))} - ELSEWHERE
    if name in ("Value", "Array"):
        methods -= {"acquire", "release"}  # those of its lock, which get_lock() gives
    if name in ("JoinableQueue", "Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"):
        methods -= {"join_thread", "cancel_join_thread"}
    lacking = {each for each in methods if not callable(getattr(twin, each, None))}
    assert lacking <= {"aio"}, lacking


def test_of_something_else() -> None:
    with pytest.raises(TypeError, match="expected a courtyard object, found list"):
        courtyard.aio.of([])


def test_methods_are_awaited(run: Run) -> None:
    async def main() -> None:
        value, d = cy.Value("i", 1), cy.Dict({"a": 1})
        assert await value.aio.increment(4) == 5
        await value.aio.set(7)
        assert (await value.aio.get(), value.value) == (7, 7)
        assert await value.aio.compare_exchange(7, 8) and await value.aio.exchange(9) == 8
        assert await value.aio.mutate(lambda n: n + 1) == 10
        await d.aio.update({"b": 2})
        await d.aio.setitem("c", 3)
        await d.aio.delitem("a")
        assert await d.aio["b"] == 2 and await d.aio.get("a") is None
        assert [key async for key in d.aio] == ["b", "c"]
        assert dict(await d.aio.items()) == {"b": 2, "c": 3}
        with pytest.raises(KeyError):
            await d.aio["a"]
        with pytest.raises(KeyError):
            await d.aio.delitem("a")
        names = cy.Namespace(done=0)
        assert await courtyard.aio.of(names).increment("done") == 1
        items = cy.List([3, 1])
        await items.aio.append(2)
        await items.aio.sort()
        assert await items.aio.copy() == [1, 2, 3]
        assert await cy.Set([1]).aio.union([2]) == {1, 2}
        with pytest.raises(cy.Closed):
            await items.aio.close()
            await items.aio.append(1)

    run(main)
    assert_no_waits()


def hold(lock: Any, held: threading.Event, go: threading.Event) -> None:
    with lock:
        held.set()
        go.wait(60)


@pytest.mark.parametrize("name", ["Value", "Array", "Dict", "List", "Counter", "Set"])
def test_a_write_waits_for_the_lock_and_the_loop_does_not(run: Run, name: str) -> None:
    sync = MAKES[name]()
    writes: dict[str, Any] = {
        "Value": lambda: sync.aio.set(5),
        "Array": lambda: sync.aio.setitem(0, 5),
        "Dict": lambda: sync.aio.update({"a": 5}),
        "List": lambda: sync.aio.append(5),
        "Counter": lambda: sync.aio.increment("a"),
        "Set": lambda: sync.aio.add(5),
    }
    held, go = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold, args=(sync.get_lock(), held, go))
    thread.start()
    assert held.wait(60)

    async def main() -> None:
        async with tasks() as those:
            await those.start(writes[name])
            version = sync.version
            with anyio.move_on_after(0.2) as scope:
                await writes[name]()
            assert scope.cancelled_caught and not those.results and sync.version == version
            await sync.aio.check()  # reads do not wait
            go.set()
            await those.ended(1)
            assert sync.version != version

    try:
        run(main)
    finally:
        go.set()
        thread.join()
    assert_no_waits()


def test_the_owner_of_get_lock_is_the_task(run: Run) -> None:
    count = cy.Value("i", 0)

    async def work() -> None:
        for _ in range(10):
            async with count.aio.get_lock(), count.aio.get_lock():
                before = count.value
                await anyio.sleep(0)
                await count.aio.set(before + 1)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(work)
        with pytest.raises(RuntimeError):
            await count.aio.get_lock().release()

    run(main)
    assert count.value == 60
    assert_no_waits()


def test_an_edit_is_one_change(run: Run) -> None:
    d: Any = cy.Dict({"cart": []})

    async def add(item: int) -> None:
        async with d.aio.edit("cart") as cart:
            cart.append(item)
            await anyio.sleep(0)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for item in range(20):
                group.start_soon(add, item)
        with pytest.raises(ZeroDivisionError):
            async with d.aio.edit("cart") as cart:
                cart.append("lost")
                raise ZeroDivisionError
        with anyio.move_on_after(0.05):
            async with d.aio.edit("cart") as cart:
                cart.append("cancelled")
                await anyio.sleep(60)
        with pytest.raises(KeyError):
            async with d.aio.edit("nothing"):
                pass

    run(main)
    assert sorted(d["cart"]) == list(range(20))
    with d.get_lock():  # nobody has it
        pass


def test_waiting_for_a_condition(run: Run) -> None:
    value, d = cy.Value("i", 0), cy.Dict()

    async def main() -> None:
        assert await value.aio.wait_for(1, timeout=0.01) is False
        async with tasks() as those:
            await those.start(lambda: value.aio.wait_for(lambda n: n > 2))
            await those.start(lambda: d.aio.wait_for(lambda d: d.get("x")))
            value.value = 1
            d["y"] = 1
            await anyio.sleep(0.02)
            assert not those.results
            value.value = 3
            d["x"] = "there"
            await those.ended(2)
            assert those.results == {0: True, 1: "there"}

    run(main)
    assert_no_waits()


def test_barriers(run: Run) -> None:
    acts = []
    barrier = cy.Barrier(3, action=lambda: acts.append("act"))

    async def main() -> None:
        for _ in range(5):
            async with tasks() as those:
                for _ in range(3):
                    await those.start(barrier.aio.wait)
                await those.ended(3)
                assert sorted(those.results.values()) == [0, 1, 2]
        assert acts == ["act"] * 5
        async with tasks() as those:
            await those.start(barrier.aio.wait)
            await those.start(barrier.aio.wait)
            assert barrier.n_waiting == 2
            those.scopes[0].cancel()
            while barrier.n_waiting != 1:
                await anyio.sleep(0.002)
            assert not barrier.broken
            with pytest.raises(threading.BrokenBarrierError, match="timeout"):
                await barrier.aio.wait(timeout=0.05)
            await those.ended(1)
            assert isinstance(those.results[1], threading.BrokenBarrierError)
        await barrier.aio.reset()
        assert not barrier.aio.broken and barrier.aio.n_waiting == 0

    run(main)
    assert_no_waits()


def test_a_block_begins_at_a_barrier(run: Run) -> None:
    barrier, numbers = cy.Barrier(3), set()

    async def party() -> None:
        async with barrier.aio as number:
            numbers.add(number)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(party)
        with pytest.raises(ZeroDivisionError):
            async with cy.Barrier(1).aio:
                _ = 1 / 0

    run(main)
    assert numbers == {0, 1, 2} and not barrier.broken and barrier.n_waiting == 0


def test_another_number_to_each_where_one_was_cancelled(run: Run) -> None:
    barrier = cy.Barrier(3)

    async def main() -> None:
        async with tasks() as parties:
            await parties.start(barrier.aio.wait)
            await parties.start(barrier.aio.wait)
            parties.scopes[0].cancel()
            await parties.start(barrier.aio.wait)
            await parties.start(barrier.aio.wait)
            await parties.ended(3)
            assert sorted(parties.results.values()) == [0, 1, 2]

    run(main)


def test_an_action_that_raises_breaks_the_barrier(run: Run) -> None:
    barrier = cy.Barrier(2, action=lambda: 1 / 0)

    async def main() -> None:
        async with tasks() as those:
            await those.start(barrier.aio.wait)
            with pytest.raises(ZeroDivisionError):
                await barrier.aio.wait()
            await those.ended(1)
            assert "the action raised" in str(those.results[0])

    run(main)


def test_tasks_and_threads_meet_at_a_barrier(run: Run) -> None:
    barrier = cy.Barrier(2)
    thread = threading.Thread(target=barrier.wait)
    thread.start()

    async def main() -> None:
        with anyio.fail_after(30):
            await barrier.aio.wait()

    run(main)
    thread.join()


def test_a_woken_task_is_not_late(run: Run) -> None:
    """A generous bound: the wake comes by the descriptor, not by the look at the dead."""
    value = cy.Value("i", 0)

    async def main() -> None:
        slowest = 0.0
        for n in range(1, 20):
            async with tasks() as those:
                await those.start(partial(value.aio.wait_for, n))
                begun = time.monotonic()
                value.value = n
                await those.ended(1)
                slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 5

    run(main)


def test_a_change_that_would_wait_for_its_own_loop(run: Run) -> None:
    """The thread's own change would wait for a task that cannot run meanwhile."""
    d, value, lock = cy.Dict({"a": 1}), cy.Value("i", 1), cy.RLock()
    changes: list[tuple[Any, Any]] = [
        (d, lambda: d.update({"a": 2})),
        (d, lambda: d.pop("a")),
        (d, d.get_lock().acquire),
        (value, lambda: value.set(2)),
        (value, value.increment),
    ]

    async def main() -> None:
        for obj, change in changes:
            async with obj.aio.get_lock():
                with pytest.raises(cy.CourtyardError, match=r"await the method of `\.aio` instead"):
                    change()
        async with lock.aio:
            with pytest.raises(cy.CourtyardError, match=r"a task of this event loop"):
                lock.acquire()
            # A thread may wait for it.
            thread = threading.Thread(target=lock.acquire)
            thread.start()
            await anyio.sleep(0.05)
        while thread.is_alive():
            await anyio.sleep(0.01)

    run(main)
    assert d == {"a": 1} and value.value == 1


def test_a_closed_handle_ends_its_waits(run: Run) -> None:
    queue, event, value = cy.Queue(), cy.Event(), cy.Value("i", 0)

    async def main() -> None:
        async with tasks() as those:
            await those.start(queue.aio.get)
            await those.start(event.aio.wait)
            await those.start(lambda: value.aio.wait_for(1))
            queue.close()
            await event.aio.close()
            value.close()
            await those.ended(3)
            assert {type(each) for each in those.results.values()} == {cy.Closed}

    run(main)
    assert_no_waits()


def test_what_a_set_has_no_item_of() -> None:
    for obj in (cy.Set(), cy.Namespace(), cy.Value("i")):
        assert not hasattr(courtyard.aio.of(obj), "setitem")


def test_a_lock_that_a_task_of_another_loop_holds(run: Run) -> None:
    """That loop runs on, so a change here waits for it."""
    d: Any = cy.Dict()
    held = threading.Event()

    async def hold_for_a_while() -> None:
        async with d.aio.get_lock():
            held.set()
            await anyio.sleep(0.1)
            await d.aio.setitem("by", "the task")

    async def change() -> None:
        d.update(by="the thread")

    thread = threading.Thread(target=run, args=(hold_for_a_while,))
    thread.start()
    assert held.wait(60)
    run(change)
    thread.join()
    assert d == {"by": "the thread"}


def test_the_last_party_breaks_the_barrier_whatever_ends_its_wait(run: Run) -> None:
    """All others wait for it by then."""
    barrier: Any = cy.Barrier(2)

    class Visit:
        failed = 0

        def is_seen(self) -> bool:
            raise KeyboardInterrupt

        def fail(self) -> None:
            self.failed += 1

    visit = Visit()

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            await barrier.aio._act(visit, None)

    run(main)
    assert visit.failed == 1
