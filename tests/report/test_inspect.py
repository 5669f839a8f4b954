"""What is seen of spaces from outside: objects, users, holders, waiters, contents, leftovers."""

import ctypes
import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from courtyard import _report
from tests.object.test_sharing import eventually
from tests.support.children import fork, kill, run_script


@pytest.fixture
def space() -> Iterator[cy.Space]:
    """Give a named space of this test's own."""
    space = cy.Space(f"inspected {os.getpid()} {time.monotonic_ns()}")
    yield space
    gc.collect()
    space.check()
    space.destroy(force=True)


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Pickled:
    def __init__(self) -> None:
        self.text = "x" * 100

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("it was unpickled")


def test_objects_of_every_type(space: cy.Space) -> None:
    made: list[Any] = [
        cy.Dict.named("dict", {n: n for n in range(7)}, space=space),
        cy.Array.named("array", "d", shape=(2, 3), space=space),
        cy.Queue.named("queue", 5, space=space),
        cy.Value.named("value", "i", 3, space=space),
        cy.Semaphore.named("semaphore", 4, space=space),
        cy.Event.named("event", space=space),
        space.Lock(),
    ]
    made[2].put_many([1, 2, 3])
    survey = _report.survey(space)
    by_name = {info.name: info for info in survey.objects}
    assert [info.name for info in survey.objects[-1:]] == [None], "those without a name come last"

    def shown(name: str) -> Any:
        info = by_name[name]
        return info.type, info.declared, info.entries, info.value

    assert shown("dict") == ("Dict", "", 7, None)
    assert shown("array") == ("Array", "d, (2, 3)", 6, None)
    assert shown("queue") == ("Queue", "5", 3, None)
    assert shown("value") == ("Value", "i", None, None)
    assert shown("semaphore") == ("Semaphore", "", None, 4)
    assert shown("event") == ("Event", "", None, 0)
    anonymous = by_name[None]
    assert (anonymous.type, anonymous.label) == ("Lock", f"#{anonymous.key[0]}")
    for info in survey.objects:
        assert info.participants == (os.getpid(),) and info.nbytes > 0 and info.blocks > 0
        assert info.references == (1 if info.name is None else 2)
        assert info.holder is None and info.waiters == ()
    assert by_name["dict"].nbytes > by_name["value"].nbytes
    assert [info.name for info in _report.survey(space, "d*").objects] == ["dict"]
    (process,) = survey.processes
    assert (process.pid, process.alive, process.is_self) == (os.getpid(), True, True)
    assert process.handles == len(made) and abs(process.started - time.time()) < 3600
    assert survey.find("queue").entries == 3
    with pytest.raises(cy.NotFound, match="no 'nothing'"):
        survey.find("nothing")


def hold(title: str, ready: Any) -> None:
    space = cy.Space(title)
    value = space.named("value", cy.Value, "i")
    lock = space.named("lock", cy.Lock)
    lock.acquire()
    space.named("rlock", cy.RLock).acquire()
    space.named("semaphore", cy.Semaphore, 4).acquire()
    space.named("semaphore", cy.Semaphore, 4).acquire()
    space.named("queue", cy.Queue).get()
    with value.get_lock():
        ready.set()
        time.sleep(60)


def test_holders_and_waiters(space: cy.Space) -> None:
    space.named("queue", cy.Queue).put(1)
    ready = cy.Event()
    child = fork(hold, space.name, ready)
    assert ready.wait(30)
    lock, value = space.named("lock", cy.Lock), space.named("value", cy.Value, "i")
    event, threads = space.named("event", cy.Event), []
    for wait in (lock.acquire, value.increment, event.wait, space["queue"].get):
        threads.append(threading.Thread(target=wait, daemon=True))
        threads[-1].start()

    def waiting() -> set[str]:
        survey = _report.survey(space)
        return {info.name for info in survey.objects if info.waiters and info.name is not None}

    assert eventually(lambda: waiting() == {"lock", "value", "event", "queue"})
    survey = _report.survey(space)
    found = survey.find("lock")
    assert found.holder is not None and (found.holder.pid, found.holder.alive) == (child, True)
    assert found.holder.thread is None
    assert found.holder.seconds is not None and 0.1 <= found.holder.seconds < 60
    assert found.waiters[0].pid == os.getpid() and found.waiters[0].seconds == found.holder.seconds
    holding = set()
    for name in ("rlock", "value"):
        holder = survey.find(name).holder
        assert holder is not None and holder.pid == child
        holding.add(holder.thread)
    assert len(holding) == 1 and holding != {None}, "one thread, whichever number it has"
    held = survey.find("semaphore").holdings
    assert sum(each.amount for each in held) == 2
    assert all((each.pid, each.what) == (child, "permits") for each in held)
    (taken,) = survey.find("queue").holdings
    assert (taken.pid, taken.what, taken.amount) == (child, "items taken", 1)
    mine = next(process for process in survey.processes if process.is_self)
    theirs = next(process for process in survey.processes if process.pid == child)
    assert sorted(each.object for each in mine.awaits) == ["event", "lock", "queue", "value"]
    locks = [each.object for each in theirs.holds if each.what == "lock"]
    assert sorted(locks) == ["lock", "rlock", "value"]
    assert survey.find("lock").participants == tuple(sorted((os.getpid(), child)))
    kill(child)
    event.set()
    space["queue"].put(2)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    after = _report.survey(space)
    assert all(info.waiters == () for info in after.objects)
    holder = after.find("lock").holder
    assert holder is not None and holder.pid == os.getpid() and holder.seconds is None


def test_the_dead_are_told_of_and_left_alone(space: cy.Space) -> None:
    ready = cy.Event()
    space.named("queue", cy.Queue).put(1)
    child = fork(hold, space.name, ready)
    assert ready.wait(30)
    kill(child)
    survey = _report.survey(space)
    assert eventually(
        lambda: (
            not next(
                process for process in _report.survey(space).processes if process.pid == child
            ).alive
        )
    )
    survey = _report.survey(space)
    holder = survey.find("lock").holder
    assert holder is not None and (holder.pid, holder.alive) == (child, False)
    space.check()
    survey = _report.survey(space)
    assert survey.find("lock").holder is None
    assert [process.pid for process in survey.processes] == [os.getpid()]


def test_a_peek_unpickles_nothing(space: cy.Space) -> None:
    d = cy.Dict.named("d", {"a": 1, "b": [1, (2, "x")], (1, 2): b"z"}, space=space)
    d["p"] = Pickled()
    d[Pickled] = "by class"
    entries = _report.peek(space, "d", 10)
    assert entries[:3] == [("a", 1), ("b", [1, (2, "x")]), ((1, 2), b"z")]
    assert entries[3][0] == "p" and repr(entries[3][1]).startswith("<pickle, ")
    assert repr(entries[4][0]).startswith("<pickle, ") and entries[4][1] == "by class"
    d["lock"] = [space.Lock()]
    assert repr(_report.peek(space, "d")[5][1]).startswith("<pickle, "), "handles are pickles"
    assert _report.peek(space, "d", 2) == entries[:2]
    with pytest.raises(cy.LoadError, match="unpickled"):
        d["p"]
    cy.Set.named("s", "ab", space=space)
    assert _report.peek(space, "s") == ["a", "b"]
    cy.Value.named("v", "d", 1.5, space=space)
    assert _report.peek(space, "v") == [1.5]
    stored = cy.Value.named("o", object, space=space)
    stored.value = Pickled()
    assert repr(_report.peek(space, "o")).startswith("[<pickle, ")
    cy.Value.named("own", Pickled, space=space)
    assert repr(_report.peek(space, "own")).startswith("[<pickle, ")
    cy.Array.named("array", "i", range(100), space=space)
    assert _report.peek(space, "array", 3) == [0, 1, 2]
    cy.Lock.named("lock", space=space)
    assert _report.peek(space, "lock") == []
    with pytest.raises(cy.NotFound):
        _report.peek(space, "nothing")


def test_a_peek_into_queues(space: cy.Space) -> None:
    items = [
        ("page", 1),
        [2, {"k": b"v"}],
        Pickled(),
        "x" * 5000,
        space.Lock(),
        7,
        b"y" * (2 << 20),
    ]
    shown = [repr(item) for item in (items[0], items[1], items[3], 7)]
    for cls in (cy.Queue, cy.JoinableQueue, cy.SimpleQueue, cy.LifoQueue):
        queue: Any = space.named(cls.__name__, cls)
        queue.put_many(items)
        seen = [repr(item) for item in _report.peek(space, cls.__name__, 20)]
        if cls is cy.LifoQueue:
            seen.reverse()
        assert [seen[0], seen[1], seen[3], seen[5]] == shown
        assert all(seen[place].startswith("<pickle, ") for place in (2, 4))
        assert seen[6].startswith(f"<pickle, {2 << 20}"), "too long to be copied under a lock"
        first = _report.peek(space, cls.__name__, 1)
        assert [repr(item) for item in first] == [seen[-1] if cls is cy.LifoQueue else seen[0]]
        assert queue.qsize() == len(items) == queue.unfinished_tasks
    least = space.named("least", cy.PriorityQueue)
    least.put_many([5, 3, 8, 1, 9, 2])
    assert _report.peek(space, "least", 1) == [1]
    assert sorted(_report.peek(space, "least", 10)) == [1, 2, 3, 5, 8, 9]
    with least.lease() as item:
        assert item == 1 and _report.peek(space, "least", 1) == [2]
    assert _report.peek(space, "least", 0) == []


def trade(queue: Any, end: float) -> None:
    while time.monotonic() < end:
        queue.put(("item", b"z" * 600))
        queue.put("large" * 1000)
        queue.get()
        queue.get()


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue, cy.PriorityQueue])
def test_a_peek_beside_those_who_put_and_get(space: cy.Space, cls: Any) -> None:
    queue = space.named("busy", cls)
    if cls is not cy.PriorityQueue:
        queue.put_many(["first", ("second", 2)])
    whole = {repr(("item", b"z" * 600)), repr("large" * 1000), "'first'", "('second', 2)"}
    end = time.monotonic() + 1.5
    child = fork(trade, queue if cls is not cy.PriorityQueue else Texts(queue), end)
    looks, seen = 0, set()
    while time.monotonic() < end:
        seen |= {repr(item) for item in _report.peek(space, "busy", 10)}
        looks += 1
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert looks > 20 and seen and seen <= whole


class Texts:
    """A queue of what can be compared."""

    def __init__(self, queue: Any) -> None:
        self.get = queue.get
        self.put = lambda item: queue.put(item) if isinstance(item, str) else queue.put("first")


def test_a_peek_imports_nothing(space: cy.Space) -> None:
    script = f"""
import ctypes, courtyard as cy
class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))
class Own: pass
space = cy.Space({space.name!r})
cy.Value.named("p", Point, 3, 4.0, space=space)
cy.Array.named("a", Point, 2, space=space)
cy.Value.named("o", Own, space=space)
"""
    run_script(script)
    assert _report.peek(space, "p") == [bytes(Point(3, 4.0))]
    assert _report.peek(space, "a") == [bytes(32)]
    assert repr(_report.peek(space, "o")).startswith("[<pickle, ")
    assert _report.survey(space).find("a").entries == 2


def test_spaces_and_their_removal(space: cy.Space) -> None:
    space.named("x", cy.Lock)
    mine = cy.Space()
    script = """
import courtyard as cy, os, signal
made = cy.Lock()
print(cy.space(made)._here.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    left = Path(run_script(script, check=False).stdout.strip())
    listed = {info.path: info for info in _report.spaces()}
    info = listed[space._here.path]
    assert (info.kind, info.name, info.in_use, info.orphaned) == ("named", space.name, True, False)
    assert (info.names, info.objects) == (1, 1) and info.nbytes > 100_000
    assert (listed[mine._here.path].kind, listed[mine._here.path].in_use) == ("private", True)
    assert listed[left].orphaned and not listed[left].in_use
    assert left in {info.path for info in _report.remove_orphans(dry_run=True)}
    assert left.exists()
    assert left in {info.path for info in _report.remove_orphans()}
    assert not left.exists()
    assert _report.enter(listed[mine._here.path]) == mine
    assert _report.enter(info) == space
    with pytest.raises(cy.NotFound):
        _report.remove("no such space")


def test_remove_asks_who_uses_it(tmp_path: Path) -> None:
    file = (tmp_path / "space.cy").as_uri()
    for url in ("removed", file):
        script = "import courtyard as cy, sys; cy.Space(sys.argv[1]).named('x', cy.Lock)"
        run_script(script, url)
        space = cy.Space(url)
        assert not _report.remove(url), "we use it ourselves"
        assert _report.remove(url, force=True) and not space._here.path.exists()
        run_script(script, url)
        path = _report.space_path(url)
        assert path.exists() and _report.remove(url) and not path.exists()


def test_a_draft_and_a_foreign_file_are_told_apart() -> None:
    folder = _report.folder()
    draft, foreign = folder / ("0" * 32 + ".new"), folder / "foreign.cy1"
    draft.write_bytes(b"half")
    foreign.write_bytes(b"COURTYRD" + b"\xff" * 5000)
    try:
        listed = {info.path: info for info in _report.spaces()}
        assert (listed[draft].kind, listed[draft].orphaned) == ("draft", True)
        assert (listed[foreign].kind, listed[foreign].orphaned) == ("unknown", False)
        with pytest.raises(cy.CourtyardError, match="can enter"):
            _report.enter(listed[foreign])
        assert draft in {info.path for info in _report.remove_orphans()}
        assert foreign.exists() and not draft.exists()
    finally:
        foreign.unlink()
