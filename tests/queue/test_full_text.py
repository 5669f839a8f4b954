"""What `queue.Full` and `SpaceFull` say, and which of them a put raises."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import courtyard as cy

LIMIT = 4_000_000
PUTS: list[Callable[[Any, Any], Any]] = [
    lambda jobs, item: jobs.put_nowait(item),
    lambda jobs, item: jobs.put(item, timeout=0),
    lambda jobs, item: jobs.put(item, timeout=0.01),
    lambda jobs, item: jobs.put_many([item], timeout=0.01),
]
CLASSES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue]


@pytest.mark.parametrize("put", PUTS)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_full_space(cls: Any, put: Callable[[Any, Any], Any]) -> None:
    with cy.Space(size_limit=LIMIT) as space:
        jobs = cls.named("jobs", space=space)
        jobs.put(bytes(3_000_000))
        with pytest.raises(queue.Full, match=r"no item was taken in time.*the size_limit of"):
            put(jobs, bytes(2_000_000))
        space.destroy()


@pytest.mark.parametrize("put", PUTS)
@pytest.mark.parametrize("cls", CLASSES)
def test_maxbytes(cls: Any, put: Callable[[Any, Any], Any]) -> None:
    jobs = cls(maxbytes=1000)
    jobs.put(bytes(900))
    with pytest.raises(queue.Full, match=r"may count 1000 \(maxbytes\).*, of 9\d\d bytes"):
        put(jobs, bytes(900))


@pytest.mark.parametrize("put", PUTS)
@pytest.mark.parametrize("cls", CLASSES)
def test_maxsize(cls: Any, put: Callable[[Any, Any], Any]) -> None:
    jobs = cls(maxsize=2)
    jobs.put_many([1, 2])
    with pytest.raises(queue.Full, match=r"^there may be 2 items \(maxsize\), those on a lease"):
        put(jobs, 3)


@pytest.mark.parametrize("most", [{"maxsize": 1}, {"maxbytes": 100}])
def test_an_item_that_is_moved_to_a_full_queue(most: dict[str, int]) -> None:
    jobs, failed = cy.Queue[bytes](), cy.Queue[bytes](**most)
    jobs.put(bytes(60))
    failed.put(bytes(60))
    lease = jobs.lease()
    with lease, pytest.raises(queue.Full, match=rf"\({next(iter(most))}\).*there is room"):
        lease.move(failed)


@pytest.mark.parametrize("put", [lambda jobs, item: jobs.put(item), *PUTS])
@pytest.mark.parametrize("cls", CLASSES)
def test_an_item_that_never_fits(cls: Any, put: Callable[[Any, Any], Any]) -> None:
    """Whatever is in the queue: no get makes room for it, so it is not waited for."""
    with cy.Space(size_limit=LIMIT) as space:
        jobs = cls.named("jobs", space=space)
        jobs.put(b"x" * 10_000)
        begun = time.monotonic()
        with pytest.raises(cy.SpaceFull, match=r"size_limit of .* is 4000000"):
            put(jobs, bytes(LIMIT))
        assert time.monotonic() - begun < 10
        assert jobs.get() == b"x" * 10_000
        with pytest.raises(cy.SpaceFull):
            put(jobs, bytes(LIMIT))
        space.destroy()


def test_memory_that_another_call_has_is_no_reason_for_space_full() -> None:
    """One producer has the memory and has not put yet, or the consumer has taken and not freed."""
    with cy.Space(size_limit=LIMIT) as space:
        jobs: Any = cy.Queue.named("jobs", space=space)
        end, raised = time.monotonic() + 3, []

        def produce() -> None:
            while time.monotonic() < end:
                try:
                    jobs.put(bytes(3_000_000), timeout=0.02)
                except queue.Full:
                    pass
                except cy.SpaceFull as error:
                    raised.append(error)

        threads = [threading.Thread(target=produce) for _ in range(3)]
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            with suppress(queue.Empty):
                jobs.get(timeout=0.1)
        for thread in threads:
            thread.join()
        assert not raised
        space.destroy()


def test_a_queue_that_another_made_without_maxsize() -> None:
    with cy.Space() as space:
        first: Any = cy.Queue.named("jobs", space=space)
        with pytest.raises(cy.WrongType, match="open it without maxsize and set its maxsize to 5"):
            cy.Queue.named("jobs", 5, space=space)
        with pytest.raises(cy.WrongType) as caught:
            cy.Queue.named("jobs", 5, maxbytes=100, space=space)
        assert "set its" not in str(caught.value)
        first.maxsize = 5
        assert cy.Queue.named("jobs", 5, space=space).maxsize == 5
