"""Processes killed while they make, grow and remove spaces, and while they start children."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_sharing import eventually
from tests.process.test_kill import SIZE, belongings
from tests.support.campaign import LIMIT
from tests.support.children import die_with_parent, fork, run_script, start

Value: Any = cy.Value
KILLS = {"small": 300, "full": 3000}.get(SIZE, 100)

STEPS = ["make", "grow", "shrink", "remove"]


def live_once(pipe: int) -> None:
    """Make this process's space, grow it, give all back, and remove it; tell of each step."""
    os.write(pipe, b"m")
    values = [Value(object, "first")]
    os.write(pipe, b"g")
    values += [Value(object, bytes(300_000 * n)) for n in range(1, 5)]
    os.write(pipe, b"s")
    while values:
        values.pop().close()
    os.write(pipe, b"r")
    cy._native.leave()


def bystand(go: int) -> None:
    """Have a space of one's own all the while."""
    value = Value("i", 5)
    os.read(go, 1)
    assert value.increment() == 6


def nursery(kills: int) -> None:
    """Kill children of a process that has no space itself; run in a fresh interpreter."""
    folder, chance = os.environ["COURTYARD_DIR"], random.Random(kills)
    died: Counter[str] = Counter()
    go, tell = os.pipe()
    bystander = fork(bystand, go)
    assert eventually(lambda: len(os.listdir(folder)) == 1)
    (kept,) = os.listdir(folder)
    descriptors = len(os.listdir("/proc/self/fd"))
    longest = 0.002
    while died.total() < kills:
        ours, theirs = os.pipe()
        child = fork(live_once, theirs)
        os.close(theirs)
        steps = b""
        for _ in range(chance.randint(1, len(STEPS))):
            steps += os.read(ours, 1)
        time.sleep(chance.choice((0, chance.random() * longest)))
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        steps += os.read(ours, 100)
        os.close(ours)
        assert code in (0, -signal.SIGKILL), f"exit code {code}: it ended by itself"
        if code:
            died[STEPS[len(steps) - 1]] += 1
        longest *= 1.05 if code else 0.9  # most die on their way
        if died.total() % 10 == 0:
            cy._native.clean()
            assert os.listdir(folder) == [kept], "something is left of the killed"
    cy._native.clean()
    assert os.listdir(folder) == [kept]
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert min(died["make"], died["grow"], died["remove"]) > kills // 20, died
    os.write(tell, b"!")
    assert os.waitpid(bystander, 0)[1] == 0
    cy._native.clean()
    assert os.listdir(folder) == []


def run_apart(call: str, limit: float) -> None:
    """Run a function of this module in a fresh interpreter, with a folder of its own.

    Pickles that the killed had under way keep their objects, and these their space, for a minute.
    """
    folder = Path(os.environ["COURTYARD_DIR"], "birth")
    folder.mkdir(mode=0o700)
    try:
        script = f"from tests.space import test_birth; test_birth.{call}"
        run_script(script, env={"COURTYARD_DIR": str(folder)}, limit=limit)
    finally:
        shutil.rmtree(folder)


@pytest.mark.limit(60 + KILLS / 10)
def test_killed_while_a_space_comes_and_goes() -> None:
    """What is half made is gone after the next cleaning; a bystander's space is not."""
    run_apart(f"nursery({KILLS})", 50 + KILLS / 10)


def use(value: Any, own: Any) -> None:
    """Be a child that may be killed at any time, or left without a parent."""
    with value.get_lock():
        value.value += 1
    own.value = "by the child"


def start_children(method: str, value: Any, step: Any) -> None:
    """Start children with values of the parent's parent and of one's own, and wait for them."""
    die_with_parent()
    os.setpgid(0, 0)
    context = multiprocessing.get_context(method)
    while True:
        own = [Value(object, "x" * 10_000), cy.Lock()]
        children = [start(context, use, value, own[0]) for _ in range(2)]
        del own
        step.increment()
        for child in children:
            if step.value & 1:
                child.kill()
            child.join()


def fork_children(method: str, value: Any, step: Any) -> None:
    """As above, by bare forks that follow each other at once."""
    die_with_parent()
    os.setpgid(0, 0)
    while True:
        own = Value(object, "x" * 10_000)
        child = fork(use, value, own)
        step.increment()
        own.close()
        if child & 1:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


PARENTS = {"bare": fork_children, "fork": start_children, "spawn": start_children}
PARENTS["forkserver"] = start_children


def start_parent(method: str, value: Any, step: Any) -> Any:
    """Start one that may have children, which start() does not allow."""
    # A forkserver, and what spawn keeps for it, must be the parent's own, not ours.
    context: Any = multiprocessing.get_context("fork" if method in ("bare", "fork") else "spawn")
    process = context.Process(target=PARENTS[method], args=(method, value, step))
    process.start()
    return process


@pytest.mark.parametrize("method", PARENTS)
@pytest.mark.limit(60 + KILLS / 5)
def test_a_parent_killed_while_it_starts_children(method: str) -> None:
    """Neither a place made for a child, nor what it was to inherit, is left over."""
    run_apart(f"kill_parents({method!r})", 50 + KILLS / 5)


def are_alive(groups: set[int]) -> bool:
    """Say whether there is a process of these groups, but for zombies."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _, group, *_ = path.read_text().rpartition(")")[2].split()
            if int(group) in groups and state != "Z":
                return True
    return False


def kill_parents(method: str) -> None:
    chance, value, step = random.Random(method), Value("q"), Value("q")
    rounds = KILLS // 4 if method in ("bare", "fork") else max(4, KILLS // 50)
    resource_tracker.ensure_running()  # multiprocessing's own: a descriptor, once
    before, groups = belongings(value), set[int]()
    for number in range(rounds):
        word = (None, step, step, value)[number % 4]  # who is awaited, before the kill
        seen = 0 if word is None else word.value
        parent = start_parent(method, value, step)
        if word is not None:
            assert word.wait_for(lambda n, seen=seen: n > seen, 30)
        time.sleep(chance.random() * (0.01 if method in ("bare", "fork") else 0.2))
        # All at once, or the parent alone: its children then die with it.
        kill = os.killpg if number % 4 and chance.random() < 0.5 else os.kill
        kill(parent.pid, signal.SIGKILL)
        groups.add(parent.pid)
        parent.join(30)
        assert parent.exitcode == -signal.SIGKILL
        parent.close()
        assert value.acquire(timeout=LIMIT)
        value.release()
        if number % 10 == 0 or number == rounds - 1:
            # A child that was just being started joins before it finds out that its parent is gone.
            assert eventually(lambda: not are_alive(groups), 30)
            assert eventually(lambda: value.statistics().space.participants == 1, 30)
            space = value.statistics().space
            assert space.objects - space.tickets <= before["objects"]
            value.check()
    assert value.value > 0
    after = belongings(value)
    if value.statistics().space.tickets == 0:
        assert after == before, (after, before)
    else:  # pickles for children that never were
        assert method in ("spawn", "forkserver")
        names = ("participants", "descriptors", "files")
        assert [after[name] for name in names] == [before[name] for name in names], (after, before)
