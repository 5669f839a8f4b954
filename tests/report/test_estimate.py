"""What objects say that they take: counted if they are small, else estimated from some entries."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, kill

COUNTED = 4096  # entries of the largest object whose blocks are counted
MANY = 100_000


@pytest.fixture
def space() -> Iterator[cy.Space]:
    """Give a space of this test's own."""
    space = cy.Space()
    yield space
    space.check()


def numbered(texts: list[str]) -> dict[str, int]:
    return {f"{number} {text}": number for number, text in enumerate(texts)}


def requeue(queue: Any, texts: list[str]) -> None:
    queue.put_many(texts)
    for _ in texts:
        lease = queue.lease()
        with lease:
            lease.requeue(delay=1000)


Fill = Callable[[Any, list[str]], object]
KINDS: dict[str, tuple[type, Fill]] = {
    "Dict": (cy.Dict, lambda d, texts: d.update(enumerate(texts))),
    "Counter": (cy.Counter, lambda c, texts: c.update(numbered(texts))),
    "Set": (cy.Set, lambda s, texts: s.update(numbered(texts))),
    "List": (cy.List, lambda x, texts: x.extend(texts)),
    "Deque": (cy.Deque, lambda x, texts: x.extend(texts)),
    "Queue": (cy.Queue, lambda q, texts: q.put_many(texts)),
    "LifoQueue": (cy.LifoQueue, lambda q, texts: q.put_many(texts)),
    "PriorityQueue": (cy.PriorityQueue, lambda q, texts: q.put_many(texts)),
}


def mixed(count: int) -> list[str]:
    """Return texts of sizes that are stored in each way, in an order that is not by their sizes."""
    chosen = random.Random(7)
    sizes = (3, 40, 200, 800, 2000, 5000)
    return [f"{chosen.randrange(1000):03}" + "x" * (chosen.choice(sizes) - 3) for _ in range(count)]


def alternating(count: int) -> list[str]:
    return ["x" * (20 if number % 2 else 2000) for number in range(count)]


def equal(count: int) -> list[str]:
    return ["x" * 300] * count


def takes(space: cy.Space, kind: type, fill: Fill, texts: list[str]) -> tuple[Any, int, int]:
    """Return an object that was filled, and the bytes and blocks that the space says it takes."""
    obj: Any = space.named("object", kind)
    empty, before = obj.statistics(), space.statistics()
    fill(obj, texts)
    after = space.statistics()
    nbytes = empty.nbytes + after.used - before.used
    return obj, nbytes, empty.blocks + after.live_blocks - before.live_blocks


@pytest.mark.parametrize("kind", KINDS)
def test_small_objects_are_counted(space: cy.Space, kind: str) -> None:
    for texts in (mixed(COUNTED), equal(100), []):
        obj, nbytes, blocks = takes(space, *KINDS[kind], texts)
        found = obj.statistics()
        assert (found.entries, found.nbytes, found.blocks) == (len(texts), nbytes, blocks)
        del space["object"], obj


@pytest.mark.parametrize("kind", KINDS)
def test_large_objects_are_estimated(space: cy.Space, kind: str) -> None:
    # Four times the standard error, of the sizes here and of so many that are looked at.
    for texts, most in ((mixed(MANY), 0.12), (alternating(20_000), 0.09), (equal(20_000), 1e-6)):
        obj, nbytes, blocks = takes(space, *KINDS[kind], texts)
        found = obj.statistics()
        assert found.entries == len(texts)
        assert found.nbytes == pytest.approx(nbytes, rel=most)
        assert found.blocks == pytest.approx(blocks, rel=most)
        assert obj.statistics() == found  # the same entries are looked at each time
        del space["object"], obj


def test_the_parts_of_a_queue_are_estimated_each(space: cy.Space) -> None:
    def fill(queue: Any, texts: list[str]) -> None:
        requeue(queue, texts)
        queue.put_many(equal(10_000))  # in the ring
        queue.put_many(["x" * 6000] * 10_000)

    queue, nbytes, blocks = takes(space, cy.Queue, fill, mixed(10_000))
    found = queue.statistics()
    assert found.entries == 30_000
    assert found.nbytes == pytest.approx(nbytes, rel=0.12)
    assert found.blocks == pytest.approx(blocks, rel=0.12)


def test_of_what_is_left_after_removals(space: cy.Space) -> None:
    def fill(d: Any, texts: list[str]) -> None:
        d.update(enumerate(texts))
        for number in range(len(texts)):
            if number % 3:
                del d[number]

    d, nbytes, blocks = takes(space, cy.Dict, fill, mixed(30_000))
    found = d.statistics()
    assert found.entries == 10_000
    assert found.nbytes == pytest.approx(nbytes, rel=0.12)
    assert found.blocks == pytest.approx(blocks, rel=0.12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cost_does_not_grow_with_the_object(kind: str) -> None:
    """A hundred times as many entries: far less than half of that, wherever the memory is.

    Time of the CPU is compared, since others use the machine too.
    """
    make, fill = KINDS[kind]
    spaces = [cy.Space(), cy.Space()]
    objects: list[Any] = [space.named("object", make) for space in spaces]
    for obj, count in zip(objects, (10_000, 1_000_000), strict=True):
        fill(obj, ["a text"] * count)

    def least(obj: Any) -> float:
        times = []
        for _ in range(10):
            begin = time.process_time()
            obj.statistics()
            times.append(time.process_time() - begin)
        return min(times)

    ratios: list[float] = []
    while not ratios or (ratios[-1] > 20 and len(ratios) < 4):
        ratios.append(least(objects[1]) / least(objects[0]))
    assert min(ratios) < 20, ratios


@pytest.mark.parametrize("kind", KINDS)
def test_estimates_beside_others_who_change_the_object(space: cy.Space, kind: str) -> None:
    make, fill = KINDS[kind]
    obj, nbytes, _ = takes(space, make, fill, mixed(20_000))
    ready = space.Event()

    def change() -> None:
        texts = mixed(500)
        while True:
            ready.set()
            fill(obj, texts)
            for number, text in enumerate(texts):
                if isinstance(obj, cy.Counter):
                    del obj[f"{number} {text}"]
                elif isinstance(obj, cy.Dict):
                    obj.pop(number, None)
                elif isinstance(obj, cy.Set):
                    obj.discard(f"{number} {text}")
                elif isinstance(obj, cy.List | cy.Deque):
                    obj.pop()
                else:
                    obj.get()

    children = [fork(change), fork(change)]
    assert ready.wait(10)
    end, figures = time.monotonic() + 3, []
    while time.monotonic() < end:
        found = obj.statistics()
        figures.append(found.nbytes / nbytes)
    for child in children:
        kill(child)
    assert min(figures) > 0.5 and max(figures) < 2, figures
