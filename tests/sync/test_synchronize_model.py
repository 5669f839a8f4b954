"""Locks and their kin beside threading's: the same calls have the same outcome."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import courtyard as cy

# What is made with which arguments, and the calls that never wait for long.
LOCK: list[tuple[str, tuple[Any, ...]]] = [
    ("acquire", (False,)),
    ("acquire", (True, 0.001)),
    ("acquire", (False, 1)),
    ("acquire", (True, -5)),
    ("release", ()),
]
KINDS: dict[str, tuple[tuple[Any, ...], list[tuple[str, tuple[Any, ...]]]]] = {
    "Lock": ((), [*LOCK, ("locked", ())]),
    "RLock": ((), LOCK),
    "Semaphore": ((2,), [*LOCK, ("release", (2,)), ("release", (0,))]),
    "BoundedSemaphore": ((2,), [*LOCK, ("release", (2,)), ("release", (0,))]),
    "Condition": (
        (),
        [*LOCK[:2], ("release", ()), ("notify", ()), ("notify_all", ()), ("wait", (0.001,))],
    ),
    "Event": ((), [("set", ()), ("clear", ()), ("is_set", ()), ("wait", (0.001,))]),
    "Barrier": ((1,), [("wait", ()), ("abort", ()), ("reset", ())]),
}
ATTRIBUTES = {"Barrier": ("parties", "n_waiting", "broken")}


def outcome(obj: Any, name: str, args: tuple[Any, ...]) -> Any:
    try:
        return getattr(obj, name)(*args)
    except (RuntimeError, ValueError) as error:
        return error


def same(ours: Any, theirs: Any) -> bool:
    """Whether who expects what threading does is satisfied with ours."""
    if isinstance(theirs, Exception):
        return isinstance(ours, type(theirs))
    return bool(ours == theirs)


class Beside(RuleBasedStateMachine):
    """Two handles of ours and one object of threading's, used by two threads in turn."""

    @initialize(kind=st.sampled_from(sorted(KINDS)))
    def make(self, kind: str) -> None:
        args, self.calls = KINDS[kind]
        self.theirs: Any = getattr(threading, kind)(*args)
        self.handles: list[Any] = [getattr(cy, kind)(*args)]
        # A Condition's or an RLock's owner is one for all handles, as they are one object.
        self.handles.append(pickle.loads(pickle.dumps(self.handles[0])))
        self.attributes = ATTRIBUTES.get(kind, ())
        self.threads = [ThreadPoolExecutor(1), ThreadPoolExecutor(1)]

    @rule(data=st.data(), which=st.integers(0, 1), thread=st.integers(0, 1))
    def call(self, data: st.DataObject, which: int, thread: int) -> None:
        name, args = data.draw(st.sampled_from(self.calls))
        ours, theirs = (
            self.threads[thread].submit(outcome, obj, name, args).result(20)
            for obj in (self.handles[which], self.theirs)
        )
        assert same(ours, theirs), (name, args, ours, theirs)
        for attribute in self.attributes:
            assert getattr(self.handles[which], attribute) == getattr(self.theirs, attribute)

    def teardown(self) -> None:
        for thread in getattr(self, "threads", []):
            thread.shutdown()
        for handle in getattr(self, "handles", []):
            handle.check()


Beside.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
test_they_are_as_threadings = Beside.TestCase
