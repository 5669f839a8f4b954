"""``watch()`` beside other processes: their changes, in order, and what a death leaves."""

import os
import signal
import threading
import time
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_watch import drained, follow
from tests.support.children import fork, join, start


def count_up(d: Any, ack: Any, rounds: int, keys: int) -> None:
    for number in range(1, rounds + 1):
        for key in range(keys):
            d[key] = number
        assert ack.wait_for(number, 60)


def test_changes_come_in_their_order(ctx: BaseContext) -> None:
    """A writer goes round the keys, once at a time: no key is seen ahead of the one before it."""
    d, ack = cy.Dict(dict.fromkeys(range(12), 0)), cy.Value("i")
    watch = d.watch()
    child = start(ctx, count_up, d, ack, 50, 12)
    known = dict(watch.state)
    while known[11] < 50:
        key, value = watch.get(60)
        known[key] = value
        for before, after in zip(range(11), range(1, 12), strict=True):
            assert known[before] >= known[after], (key, value, known)
        if key == 11:
            ack.value = value
    join(child)
    assert drained(watch) == []


def write(d: Any, number: int, times: int) -> None:
    for turn in range(times):
        d[number, turn % 50] = turn
        if turn % 7 == 3:
            d.pop((number, turn % 49), None)
        if turn % 100 == 50:
            d.update({(number, key): -turn for key in range(0, 50, 3)})
    d[number, "last"] = times


def test_a_slow_watcher_misses_no_last_value(ctx: BaseContext) -> None:
    d = cy.Dict()
    watch, some = d.watch(), d.watch([(0, "last"), (1, 3)])
    children = [start(ctx, write, d, number, 1000) for number in range(3)]
    known: dict[Any, Any] = {}
    lasts = 0
    while lasts < 3:
        change = watch.get(60)
        follow(known, [change])
        lasts += change[0][1] == "last"
    join(*children)
    follow(known, drained(watch))
    assert known == d.copy()
    assert follow({}, drained(some)).items() <= known.items()


def test_writers_and_watchers_are_killed() -> None:
    d, going = cy.Dict(), cy.RawValue("i")
    watch, known = d.watch(), dict[Any, Any]()

    def write_on(number: int) -> None:
        for turn in range(10**9):
            write(d, number, 100 + turn % 3)

    def watch_on() -> None:
        mine = d.watch()
        going.increment()
        for _ in mine:
            pass

    spectators = [fork(watch_on) for _ in range(3)]
    assert going.wait_for(3, 60)
    for turn in range(40):
        child = fork(write_on, turn % 3)
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            follow(known, drained(watch))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if turn < 3:
            os.kill(spectators[turn], signal.SIGKILL)
            os.waitpid(spectators[turn], 0)
        d["mine"] = turn  # takes over a lock that the child had
        follow(known, drained(watch))
        assert known == d.copy()
    d.check()
    before = d.statistics().blocks
    d.clear()
    assert d.statistics().blocks <= before
    assert follow(known, drained(watch)) == {}


def test_a_watch_of_the_parents() -> None:
    d = cy.Dict()
    watch = d.watch()

    inside = threading.Thread(target=watch.get)
    inside.start()
    time.sleep(0.05)

    def child() -> None:
        with pytest.raises(RuntimeError, match="of the parent process; begin one"):
            watch.get()
        with d.watch() as mine:
            d["a"] = 1
            assert mine.get(30) == ("a", 1)

    _, status = os.waitpid(fork(child), 0)
    inside.join(30)
    assert status == 0 and not inside.is_alive()


def test_its_memory_is_free_with_the_object() -> None:
    space = cy.Space()
    space.named("first", cy.Dict).watch()
    taken = []
    for turn in range(12):
        name = f"d{turn}"
        d = space.named(name, cy.Dict)
        for _ in range(5):
            d.watch()
        d["a"] = 1
        d.close()
        del space[name]
        taken.append(space.statistics().used)
    assert taken[-1] == taken[3]
    space.check()
    space.close()
