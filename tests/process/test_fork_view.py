"""Views of arrays in shared memory, in forked children: they stay as they are."""

import gc
import os
import signal
import time
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_sharing import in_fork
from tests.support.children import die_with_parent, fork, run_script
from tests.support.forking import ended

np = pytest.importorskip("numpy")

SIZE = 200_000


def array(number: int) -> Any:
    return np.full(SIZE, number, dtype=np.uint8)


def is_all(found: Any, number: int) -> bool:
    return found.shape == (SIZE,) and bool((found == number).all())


def used(obj: Any) -> int:
    """Bytes in use in the space of an object, with nothing left to tidy."""
    gc.collect()
    obj.check()
    return int(obj.space.statistics().used)


class From:
    """Where arrays come from, and how their memory is used anew once it is free."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.source: Any = {
            "Dict": cy.Dict,
            "NestedDict": cy.NestedDict,
            "Queue": cy.Queue,
            "LifoQueue": cy.LifoQueue,
            "SimpleQueue": cy.SimpleQueue,
        }[kind]()

    def get(self, number: int = 1) -> Any:
        if "Queue" in self.kind:
            self.source.put(array(number))
            return self.source.get(copy=False)
        self.source["a"] = array(number)
        return self.source.get("a", copy=False)

    def replace(self) -> None:
        """Let go of what was got, and use all memory that is free now."""
        if "Queue" not in self.kind:
            del self.source["a"]
        filler = [cy.Value(object, array(7)) for _ in range(12)]
        for value in filler:
            value.set(array(8))
        del filler


KINDS = ["Dict", "NestedDict", "Queue", "LifoQueue", "SimpleQueue"]


class Steps:
    """Who is to go on: a number that both wait for."""

    def __init__(self) -> None:
        self.value = cy.Value("i", 0)

    def go(self, step: int) -> None:
        self.value.value = step

    def wait(self, step: int) -> None:
        assert self.value.wait_for(lambda now: now >= step, 30)


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_keeps_its_arrays_when_the_parent_lets_go(kind: str) -> None:
    origin, steps = From(kind), Steps()
    before = used(steps.value)
    found = [origin.get()]

    def child() -> None:
        steps.wait(1)
        assert is_all(found[0], 1)

    pid = fork(child)
    found.clear()
    gc.collect()
    origin.replace()
    steps.go(1)
    assert ended(pid) == 0
    assert used(steps.value) <= before + SIZE // 2, "what the child kept is free again"


@pytest.mark.parametrize("kind", KINDS)
def test_a_parent_keeps_its_arrays_when_the_child_lets_go(kind: str) -> None:
    origin = From(kind)
    before = used(origin.source)
    found = [origin.get()]

    def child() -> None:
        assert is_all(found.pop(), 1)
        gc.collect()
        origin.replace()
        origin.source.check()

    for _ in range(3):
        if "Queue" not in kind:
            origin.source["a"] = array(1)
        assert in_fork(child) == 0
        assert is_all(found[0], 1)
    del found[:]
    assert used(origin.source) <= before + 2 * SIZE


@pytest.mark.parametrize("kind", KINDS)
def test_a_grandchild_keeps_them_when_all_others_are_gone(kind: str) -> None:
    """The child is killed, the parent lets go; and the grandchild has arrays of its own, too."""
    origin, steps = From(kind), Steps()
    before = used(steps.value)
    found = [origin.get()]

    def grandchild() -> None:
        signal.alarm(60)  # it outlives its parent, and must not outlive the test by much
        try:
            steps.go(1)
            steps.wait(2)
            own = origin.get(3)
            assert is_all(found[0], 1)
            assert is_all(found[1], 2)
            first = found.pop(0)
            origin.replace()
            assert is_all(first, 1)
            assert is_all(own, 3)
            del first
            gc.collect()
            assert is_all(found[0], 2)
            origin.source.check()
            steps.go(3)
        finally:
            os._exit(0)

    pid = os.fork()
    if pid == 0:
        die_with_parent()
        found.append(origin.get(2))
        if os.fork() == 0:
            grandchild()
        time.sleep(60)
    steps.wait(1)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    found.clear()
    gc.collect()
    steps.value.space.check()
    steps.go(2)
    steps.wait(3)
    end = time.monotonic() + 20
    while steps.value.space.statistics().participants > 1 and time.monotonic() < end:
        time.sleep(0.01)
        steps.value.space.check()
    if kind in ("Dict", "NestedDict"):
        origin.source.clear()
    assert used(steps.value) <= before + 2 * SIZE


def test_many_forks_with_arrays_leave_nothing() -> None:
    origin = {kind: From(kind) for kind in KINDS}
    found = [each.get() for each in origin.values() for _ in range(5)]
    before = 0
    for round_ in range(30):
        assert in_fork(lambda: [is_all(each, 1) for each in found].clear()) == 0
        if round_ == 5:
            before = used(origin["Dict"].source)
    assert used(origin["Dict"].source) <= before + SIZE
    assert all(is_all(each, 1) for each in found)


def test_an_array_made_by_another_hook_between_copy_and_fork() -> None:
    """Hooks that were there before courtyard's run after it, and may make and drop arrays."""
    script = """
import os
made = []
os.register_at_fork(before=lambda: hook())
import numpy as np
import courtyard as cy
table, queue = cy.Dict(), cy.Queue()
dropped = []

def hook():
    dropped.clear()
    table["a"] = np.full(200_000, 1, np.uint8)
    queue.put(np.full(200_000, 2, np.uint8))
    made[:] = [table.get("a", copy=False), queue.get(copy=False)]

table["b"] = np.full(200_000, 3, np.uint8)
dropped.append(table.get("b", copy=False))
ready, go = os.pipe()
child = os.fork()
if child == 0:
    os.read(ready, 1)
    ok = (made[0] == 1).all() and (made[1] == 2).all()
    made.clear()
    table.check()
    os._exit(0 if ok else 5)
import time
time.sleep(0.2)
made.clear()
del table["a"], table["b"]
fill = [cy.Value(object, np.full(200_000, 9, np.uint8)) for _ in range(12)]
os.write(go, b"x")
assert os.waitpid(child, 0)[1] == 0
table.check()
"""
    assert run_script(script).returncode == 0
