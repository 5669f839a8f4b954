"""200 threads in each call that waits: none is left behind, and nothing is lost."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import courtyard as cy
from tests.sides.member import Member, Unknown, classes, invite, members, nobody, use
from tests.sides.play import LIMIT

CROWD = 200
LARGE = b"x" * 20_000


def waiting() -> list[Member]:
    """Return each call that has a timeout, and so may wait."""
    return [
        member
        for cls in classes()
        for member in members(cls)
        if not member.with_guests
        and any(parameter.name == "timeout" for parameter in member.parameters())
    ]


def crowd(work: Callable[[int], object]) -> list[threading.Thread]:
    """Start as many threads, each with its number."""
    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(CROWD)]
    for thread in threads:
        thread.start()
    return threads


def gone(threads: list[threading.Thread], what: object) -> None:
    """See that all have come back."""
    end = time.monotonic() + LIMIT / 2
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    left = sum(thread.is_alive() for thread in threads)
    assert not left, f"{what}: {left} of {CROWD} threads wait for ever"


def with_timeouts(member: Member) -> None:
    """All make a call at once, on one object; each comes back with its timeout."""
    invite(nobody)
    specimen = member.specimen()
    back: list[int] = []

    def call(number: int) -> None:
        with suppress(Exception):
            use(member.begin(specimen))
        back.append(number)

    gone(crowd(call), member)
    assert len(back) == CROWD
    cy.check(specimen)


class Waiters:
    """All wait without a timeout until they are let through."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.back: list[Any] = []

    def through(self, wait: Callable[[int], object], let: Callable[[], object], what: str) -> None:
        """Have them wait, let them through, and see that each came back."""
        threads = crowd(lambda number: self.back.append(wait(number)))
        time.sleep(0.1)
        let()
        gone(threads, what)
        assert len(self.back) == CROWD, f"{what}: {CROWD - len(self.back)} raised"


def repeated(call: Callable[[], object], times: int = CROWD) -> Callable[[], object]:
    """Return what makes a call so many times."""
    return lambda: [call() for _ in range(times)]


def _held(kind: Any) -> None:
    lock = kind()
    lock.acquire()

    def wait(_number: int) -> None:
        lock.acquire()
        lock.release()

    Waiters().through(wait, lock.release, f"{kind.__name__}.acquire")
    assert lock.acquire(False)


def _event(kind: Any) -> None:
    event = kind()
    Waiters().through(lambda _: event.wait(), event.set, "Event.wait")


def _condition(kind: Any) -> None:
    condition, entered = kind(), []

    def wait(number: int) -> None:
        with condition:
            entered.append(number)
            condition.wait()

    def let() -> None:
        end = time.monotonic() + LIMIT / 2
        while len(entered) < CROWD and time.monotonic() < end:
            time.sleep(0.001)
        with condition:
            condition.notify_all()

    Waiters().through(wait, let, "Condition.wait")


def _barrier(kind: Any) -> None:
    barrier, waiters = kind(CROWD), Waiters()
    waiters.through(lambda _: barrier.wait(), nobody, "Barrier.wait")
    assert sorted(waiters.back) == list(range(CROWD))


def _queue(kind: Any) -> None:
    title = kind.__name__
    taken, queue = Waiters(), kind()
    put = iter(range(CROWD))
    taken.through(lambda _: queue.get(), repeated(lambda: queue.put(next(put))), f"{title}.get")
    assert sorted(taken.back) == list(range(CROWD)), f"{title}: items lost, or twice"
    if kind is cy.SimpleQueue:
        return
    full, got = kind(1), []
    full.put((-1, LARGE))

    def drain() -> None:
        for _ in range(CROWD + 1):
            number, item = full.get(timeout=LIMIT / 2)
            assert item == LARGE
            got.append(number)

    Waiters().through(lambda number: full.put((number, LARGE)), drain, f"{title}.put")
    assert sorted(got) == list(range(-1, CROWD)), f"{title}: items lost, or twice"
    if kind is cy.JoinableQueue:
        Waiters().through(
            lambda _: full.join(), repeated(full.task_done, CROWD + 1), f"{title}.join"
        )


def _value(kind: Any) -> None:
    value = kind("i", 1, lock=True)
    lock = value.get_lock()
    lock.acquire()

    def wait(_number: int) -> None:
        with value.get_lock():
            value.value += 1

    Waiters().through(wait, lock.release, f"{kind.__name__}.get_lock")
    assert value.value == CROWD + 1


# How all are let through at once, by the class; None: what waits there is told of by its timeout.
SCENARIOS: dict[str, Callable[[Any], None] | None] = {
    "Array": None,
    "Barrier": _barrier,
    "BoundedSemaphore": _held,
    "Condition": _condition,
    "Counter": None,
    "Deque": None,
    "Dict": None,
    "Event": _event,
    "JoinableQueue": _queue,
    "LifoQueue": _queue,
    "List": None,
    "Lock": _held,
    "Namespace": None,
    "NestedDict": None,
    "PriorityQueue": _queue,
    "Queue": _queue,
    "RLock": _held,
    "RawArray": None,
    "RawValue": None,
    "Semaphore": _held,
    "Set": None,
    "SimpleQueue": _queue,
    "Value": _value,
}


def without_timeouts(cls: str) -> None:
    """All wait until they are let through; what they carry comes through once."""
    if cls not in SCENARIOS:
        raise Unknown(f"tests/sides/crowd.py does not say how waiters of a {cls} are let through")
    if found := SCENARIOS[cls]:
        invite(nobody)
        found(getattr(cy, cls))
