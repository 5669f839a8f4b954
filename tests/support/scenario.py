"""Scenarios of a pool: who waits, notifies, passes a barrier, holds a permit or a lease.

What each scenario promises stands in its ``close``.
"""

import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import courtyard as cy
from tests.support.campaign import LIMIT
from tests.support.pool import Pool, Report, Send, held

RawValue: Any = cy.RawValue


class Permits:
    """Some hold permits, one or two; others give permits that others take, as signals."""

    places = at_once = 6
    permits = 2

    def __init__(self, kind: Any) -> None:
        self.held, self.signal = kind(self.permits), cy.Semaphore(0)

    def act(self, place: int, report: Send, chance: random.Random, last: Report | None) -> None:
        while True:
            if place < 4:
                self.hold(report, chance)
            elif place == 4:
                number = chance.choice((1, 1, 3))
                report("g", number)
                self.signal.release(number)
                report("G", number)
                # As many as are taken, about: who takes is to wait now and then.
                while self.signal.get_value() > 5:
                    time.sleep(0)
            else:
                report("t", 1)
                if self.signal.acquire(timeout=chance.choice((None, None, 0.001))):
                    report("T", 1)
                else:
                    report("-", 0)

    def hold(self, report: Send, chance: random.Random) -> None:
        report("?")
        held(self.held)
        report("+", 1)
        number = 1
        if chance.random() < 0.3 and self.held.acquire(timeout=chance.choice((0, 0.002))):
            report("+", 1)
            number = 2
        report("-", number)
        if number == 2 and chance.random() < 0.5:
            self.held.release(2)
        else:
            for _ in range(number):
                self.held.release()
        report(".")

    def close(self, pool: Pool) -> None:
        """See that at no time more permits are held than there are, and that all come back."""
        pool.kill(sorted(pool.workers))
        changes: list[tuple[int, int]] = []
        for worker in pool.dead:
            mine = [
                (told.when, told.number if told.what == "+" else -told.number)
                for told in worker.told
                if told.what in "+-"
            ]
            changes += [*mine, (worker.killed, -sum(change for _, change in mine))]
        now = 0
        for _, change in sorted(changes):  # at the same time: first what is given back
            now += change
            assert now <= self.permits, "a permit was invented"
        assert now == 0
        self.held.check()
        assert self.held.get_value() == self.permits, "a permit was lost or invented"
        for _ in range(self.permits):
            assert self.held.acquire(False)
        assert not self.held.acquire(False)
        self.held.release(self.permits)
        # Of calls that never returned nobody knows whether they took or gave.
        unknown = sum(worker.last.what == "t" for worker in pool.dead if worker.last)
        taken = pool.sum("T")
        least, most = pool.sum("G") - taken - unknown, pool.sum("g") - taken
        assert least <= self.signal.get_value() <= most, "a signal was lost or invented"


class Line:
    """Some wait for a condition, others notify so many that some are always left in line."""

    places = 8
    notifiers = (6, 7)
    at_once = 2
    left = at_once + 1  # and one that takes its notification while it is counted

    def __init__(self, kind: Any) -> None:
        self.lock = kind()
        self.line = cy.Condition(self.lock)

    def act(self, place: int, report: Send, chance: random.Random, last: Report | None) -> None:
        while True:
            self.hold(report)
            if place in self.notifiers:
                number = min(chance.choice((1, 1, 2, 9)), self.line._waiters - self.left)
                if number > 0:
                    report("n", number)
                    self.line.notify(number)
                    report("N", number)
            else:
                report("w")
                woken = self.line.wait(chance.choice((None, None, None, 0.005)))
                self.mind(report)
                report("W" if woken else "-", int(woken))
            self.lock.release()

    def hold(self, report: Send) -> None:
        report("?")
        held(self.lock)
        self.mind(report)

    def mind(self, report: Send) -> None:
        """Send of one who died with the lock, perhaps between its notification and its telling."""
        if self.lock.recovered:
            report("r", 1)

    def close(self, pool: Pool) -> None:
        """See that each notification wakes one of those in line, exactly one, whoever dies."""
        pool.kill(self.notifiers)
        # The last one is still in somebody's hands; the others have their lock again.
        promised, begun = pool.sum("N"), pool.sum("n")

        def all_taken() -> bool:
            return pool.sum("W") + pool.sum("r") >= promised

        pool.until(all_taken, "wake up when notified")
        time.sleep(0.05)  # for one too many
        places = sorted(pool.workers)
        pool.kill(places)
        held(self.lock)
        lost_with_the_last = int(self.lock.recovered)
        self.lock.release()
        assert pool.sum("W") <= begun, "somebody woke whom nobody had notified"
        assert pool.sum("W") + pool.sum("r") + lost_with_the_last >= promised
        self.line.check()
        assert self.line._waiters == 0


class Buffer:
    """A buffer of one item, with a lock and two conditions, as textbooks have it.

    With room for one, a single notification that is lost stops everybody in the end.
    """

    places = at_once = 5
    room = 1

    def __init__(self, kind: Any) -> None:
        self.lock, self.items = kind(), RawValue("q")
        self.filled, self.emptied = cy.Condition(self.lock), cy.Condition(self.lock)

    def mend(self) -> bool:
        """Send all: the last holder may have died before it told."""
        if self.lock.recovered:
            self.filled.notify_all()
            self.emptied.notify_all()
        return True

    def wait(self, condition: Any, holds: Callable[[], bool], chance: random.Random) -> None:
        """Wait in one of all ways; the lock is held before and after."""
        self.mend()
        while not holds():
            way = chance.randrange(8)
            if way == 0:
                condition.wait(timeout=0.003)
            elif way == 1:
                condition.wait_for(lambda: self.mend() and holds(), timeout=0.003)
            elif way == 2:
                condition.wait_for(lambda: self.mend() and holds())
            else:
                condition.wait()
            self.mend()

    def act(self, place: int, report: Send, chance: random.Random, last: Report | None) -> None:
        while True:
            report("?")
            held(self.lock)
            if place < 2:
                self.wait(self.emptied, lambda: self.items.value < self.room, chance)
                report("p", 1)
                self.items.increment()
                self.filled.notify()
                report("P", 1)
            else:
                self.wait(self.filled, lambda: self.items.value > 0, chance)
                report("c", 1)
                self.items.increment(-1)
                self.emptied.notify(chance.choice((1, 1, 2)))
                report("C", 1)
            self.lock.release()

    def close(self, pool: Pool) -> None:
        """See that each item put is taken once."""
        pool.kill(sorted(pool.workers))
        least, most = pool.sum("P") - pool.sum("c"), pool.sum("p") - pool.sum("C")
        assert least <= self.items.value <= most
        assert 0 <= self.items.value <= self.room
        assert pool.sum("C") > 0
        self.filled.check()
        assert (self.filled._waiters, self.emptied._waiters) == (0, 0)


class Parties:
    """Parties pass a barrier whose action counts; now and then one breaks or resets it."""

    places = parties = at_once = 3

    def __init__(self, _: Any = None) -> None:
        self.rounds = RawValue("q")
        self.barrier = cy.Barrier(self.parties, action=self.count)

    report: Send

    def count(self) -> None:
        # Nobody else runs an action meanwhile: there is no need for an atomic operation.
        number = self.rounds.value + 1
        self.report("a", number)
        self.rounds.value = number

    def act(self, place: int, report: Send, chance: random.Random, last: Report | None) -> None:
        Parties.report = staticmethod(report)  # the forked child's own
        while True:
            report("b")
            try:
                index = self.barrier.wait(chance.choice((None, None, None, 0.002)))
            except threading.BrokenBarrierError:
                report("x")
                if self.barrier.broken:
                    self.barrier.reset()
            else:
                report("i", index << 40 | self.rounds.value)
            if chance.random() < 0.02:
                chance.choice((self.barrier.abort, self.barrier.reset))()

    def close(self, pool: Pool) -> None:
        """See that the action runs once, when all are inside, and that each has its own index."""
        # On a busy machine few have passed until now.
        pool.until(lambda: self.rounds.value >= 20, "pass the barrier")
        pool.kill(sorted(pool.workers))
        waits: list[tuple[int, int]] = []
        actions: list[tuple[int, int, int]] = []
        passed: dict[int, list[int]] = {}
        dying = set()
        for worker in pool.dead:
            entered = 0
            for told in worker.told:
                if told.what == "b":
                    entered = told.when
                elif told.what == "a":
                    actions.append((told.number, entered, told.when))
                elif told.what in "ix":
                    waits.append((entered, told.when))
                    entered = 0
                if told.what == "i":
                    index, number = told.number >> 40, told.number & (1 << 40) - 1
                    passed.setdefault(number, []).append(index)
            if entered:
                waits.append((entered, worker.ended))
                dying.add(entered)
        assert len(passed) > 10
        for number, indexes in passed.items():
            assert len(set(indexes)) == len(indexes), "two have the same index"
            assert set(indexes) <= set(range(self.parties))
            assert number in {action[0] for action in actions}
        survived = {came for came, _ in waits} - dying
        twice = Counter(number for number, came, _ in actions if came in survived)
        assert set(twice.values()) <= {1}, "two ran the action at once"
        for _, came, ran in actions:
            inside = sum(entered <= ran and left >= came for entered, left in waits)
            assert inside >= self.parties, "the action ran before all were there"
        self.barrier.check()
        self.barrier.reset()
        assert self.barrier.n_waiting == 0 and not self.barrier.broken


class Relay:
    """Events, each set by one and waited for by all others, one after another."""

    places = at_once = 4
    length = 32

    def __init__(self, _: Any = None) -> None:
        self.events = [cy.Event() for _ in range(self.length)]

    def act(self, place: int, report: Send, chance: random.Random, last: Report | None) -> None:
        number = last.number if last else 0
        while True:
            event = self.events[number % self.length]
            if number % self.places == place:
                # Nobody is as far behind or ahead as half of them: each has its turn.
                self.events[(number + self.length // 2) % self.length].clear()
                report("s", number)
                event.set()
                report("S", number)
            else:
                report("w", number)
                if chance.random() < 0.2:
                    while not event.wait(0.002):
                        pass
                else:
                    assert event.wait()
                report("W", number)
            number += 1

    def close(self, pool: Pool) -> None:
        """See that nobody goes on before the event is set; that all do then is their progress."""
        pool.kill(sorted(pool.workers))
        setting: dict[int, int] = {}
        for told in pool.told("s"):
            setting[told.number] = min(told.when, setting.get(told.number, told.when))
        for told in pool.told("W"):
            assert told.when > setting[told.number], "an event that nobody had set"
        assert len(setting) > 10
        self.events[0].check()


class Items:
    """Items are put where there is little room, and taken for good or on a lease; some join."""

    places = at_once = 5
    joiner = 4

    def __init__(self, kind: Any) -> None:
        self.queue = kind(3)

    def act(self, place: int, report: Send, chance: random.Random, last: Report | None) -> None:
        number = last.number + 1 if last else place << 40
        while True:
            if place == self.joiner:
                report("j")
                self.queue.join()
                report("J")
            elif place < 2:
                report("p", number)
                self.queue.put((number, b"x" * chance.choice((0, 100, 6000))))
                report("P", number)
                number += 1
            elif chance.random() < 0.5:
                report("g")
                taken = self.queue.get()[0]
                report("G", taken)
                self.queue.task_done()
                report("d", taken)
            else:
                report("l")
                with self.queue.lease() as item:
                    report("L", item[0])
                report("D", item[0])

    def close(self, pool: Pool) -> None:
        """See that each item is got once, but for those that a consumer was just getting."""
        pool.kill([place for place in pool.workers if place != self.joiner])
        worker = pool.workers[self.joiner]
        ends = worker.listen()
        drained: list[int] = []
        deadline = time.monotonic() + LIMIT
        while self.queue.unfinished_tasks:
            assert time.monotonic() < deadline, "what the dead had taken is never done with"
            with suppress(queue.Empty):  # what was taken by the dead ones is not there
                drained.append(self.queue.get(timeout=0.2)[0])
                self.queue.task_done()
        pool.until(lambda: len(worker.told) > ends + 1, "join what is done with")
        pool.kill([self.joiner])
        got = Counter([*drained, *(told.number for told in pool.told("G", "D"))])
        assert set(got.values()) <= {1}, "an item came twice"
        put = {told.number for told in pool.told("P")}
        begun = {told.number for told in pool.told("p")}
        assert set(got) <= begun
        leased = {told.number for told in pool.told("L")}
        lost = put - set(got) - leased
        getting = sum(worker.last.what == "g" for worker in pool.dead if worker.last)
        assert len(lost) <= getting, f"lost {sorted(lost)[:5]}"
        # On a lease that its holder did not live to report the end of.
        ending = sum(worker.last.what == "L" for worker in pool.dead if worker.last)
        assert len(leased - set(got)) <= ending
        self.queue.check()


SCENARIOS: dict[str, Callable[[], Any]] = {
    "semaphore": lambda: Permits(cy.Semaphore),
    "bounded semaphore": lambda: Permits(cy.BoundedSemaphore),
    "line, lock": lambda: Line(cy.Lock),
    "line, rlock": lambda: Line(cy.RLock),
    "buffer, lock": lambda: Buffer(cy.Lock),
    "buffer, rlock": lambda: Buffer(cy.RLock),
    "barrier": Parties,
    "event": Relay,
    "queue": lambda: Items(cy.JoinableQueue),
    "stack": lambda: Items(cy.LifoQueue),
    "priority queue": lambda: Items(cy.PriorityQueue),
}
