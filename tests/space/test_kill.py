"""Spaces and names beside kills: no name half born, no named object lost, nothing left over."""

import os
import random
import signal
import time
from contextlib import suppress
from typing import Any

import pytest

import courtyard as cy
from courtyard import _report
from tests.support.children import fork, run_script

SECONDS = {"small": 20, "full": 600}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 5)
NAMES = [f"n{number}" for number in range(6)]


def work(kept: str, fleeting: list[str], seed: int) -> None:
    """Open, make, grow, delete and destroy, at random, until killed."""
    chance = random.Random(seed)
    while True:
        title = chance.choice([kept, *fleeting])
        space = cy.Space(title, size_limit=32 << 20)
        name = chance.choice(NAMES)
        # Born with both halves: whoever finds it sees both.
        d = space.named(name, cy.Dict, {"a": 0, "b": 0})
        a, b = d["a"], d["b"]
        assert isinstance(a, int) and isinstance(b, int), (a, b)
        count = space.named(f"count {os.getpid()}", cy.Value, "q", lock=False)
        count.increment()
        with d.get_lock():
            d.update(a=d["a"] + 1, b=d["b"] + 1)
        if chance.random() < 0.3:
            d["grown"] = os.urandom(chance.randrange(1 << 20))
        if title != kept:
            if chance.random() < 0.2:
                with suppress(cy.NotFound):
                    del space[chance.choice([*space.names(), "none"])]
            elif chance.random() < 0.2:
                with suppress(cy.CourtyardError):
                    space.destroy()
        anonymous = cy.Dict(x=1)
        assert anonymous["x"] == 1


@pytest.mark.limit(SECONDS + 90)
def test_spaces_beside_kills() -> None:
    there = {info.path for info in _report.spaces()}  # others' private ones may stay for a minute
    mark = f"torture {os.getpid()} {time.monotonic_ns()}"
    kept, fleeting = f"{mark} kept", [f"{mark} {number}" for number in range(2)]
    counted: dict[int, int] = {}
    end, seed = time.monotonic() + SECONDS, 0
    children: list[int] = []
    chance = random.Random(mark)
    failed: Any = None
    while time.monotonic() < end and failed is None:
        while len(children) < 4:
            seed += 1
            children.append(fork(work, kept, fleeting, seed))
        time.sleep(chance.uniform(0, 0.1))  # some moment in their work
        child = children.pop(chance.randrange(len(children)))
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        failed = None if code == -signal.SIGKILL else code
        if seed % 8 == 0:
            space = cy.Space(kept)
            space.check()
            for name in space.names("count *"):
                pid, value = int(name.split()[1]), space[name].value
                assert value >= counted.get(pid, 0), "an increment was lost"
                counted[pid] = value
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert failed is None, f"a child ended by itself: {failed}"
    space = cy.Space(kept, create=False)
    space.check()
    assert set(counted) <= {int(name.split()[1]) for name in space.names("count *")}
    for name in space.names("n*"):
        d = space[name]
        assert d["a"] == d["b"] >= 0
        if "grown" in d:
            assert isinstance(d["grown"], bytes)
    statistics = space.statistics()
    assert (statistics.objects, statistics.tickets) == (statistics.names, 0)
    # What the killed left goes: private spaces and drafts with the next program, others by name.
    run_script("import courtyard")
    _report.remove_orphans()
    new = [info for info in _report.spaces() if info.path not in there]
    left = {info.name for info in new if info.kind != "private" or not info.in_use}
    ours = {name for name in left if name is not None and name.startswith(mark)}
    assert {name for name in left if name is None} == set()
    space.destroy()
    for name in ours - {kept}:
        assert _report.remove(name)
    assert not [info for info in _report.spaces() if info.name and info.name.startswith(mark)]


def test_killed_between_a_name_and_its_object() -> None:
    title = f"torture {os.getpid()} {time.monotonic_ns()} found"
    space = cy.Space(title)
    condition = space.named("condition", cy.Condition)

    def killed() -> None:
        cy.Condition._load = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore
        cy.Space(title)["condition"]

    child = fork(killed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    space.check()
    assert space.statistics().tickets == 0
    assert condition.acquire(timeout=5)
    condition.release()
    space.destroy()
