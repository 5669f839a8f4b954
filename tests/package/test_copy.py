"""Two copies of the native module in one process, as a vendored package would make them.

Each is a participant of its own: to the other it is like another process.
"""

import importlib
import importlib.util
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import courtyard as cy
from tests.support.campaign import LIMIT, Campaign, Kind, held
from tests.support.children import fork, kill, run_script

Value: Any = cy.Value


def modules() -> dict[str, ModuleType]:
    return {
        name: module
        for name, module in sys.modules.items()
        if name == "courtyard" or name.startswith("courtyard.")
    }


@contextmanager
def instead(copy: dict[str, ModuleType]) -> Iterator[None]:
    """Have another copy be ``courtyard`` for what imports and pickles."""
    own = modules()
    for name in own:
        del sys.modules[name]
    sys.modules.update(copy)
    try:
        yield
    finally:
        for name in modules():
            del sys.modules[name]
        sys.modules.update(own)


def load_copy() -> dict[str, ModuleType]:
    """Load the package once more, its native module from another file."""
    with tempfile.TemporaryDirectory() as folder, instead({}):
        shutil.copytree(Path(cy.__file__).parent, Path(folder, "courtyard"))
        sys.path.insert(0, folder)
        try:
            importlib.import_module("courtyard")
            return modules()
        finally:
            sys.path.remove(folder)


def handed_over(obj: Any, copy: dict[str, ModuleType]) -> Any:
    """Return the same object as the other copy has it."""
    data = pickle.dumps(obj)
    with instead(copy):
        return pickle.loads(data)


def contend() -> None:
    copy = load_copy()
    assert copy["courtyard._native"] is not cy._native
    lock, value = cy.Lock(), Value("q")
    their_lock, their_value = handed_over(lock, copy), handed_over(value, copy)
    assert not isinstance(their_lock, cy.Lock)
    assert value.statistics().space.participants == 2
    for mine, theirs in ((lock, their_lock), (their_lock, lock), (value, their_value)):
        assert mine.acquire(timeout=LIMIT)
        assert theirs.acquire(timeout=0.05) is False
        mine.release()
        assert theirs.acquire(timeout=LIMIT)
        theirs.release()

    raw = cy.RawValue("q")

    def count(lock: Any, value: Any) -> None:
        for _ in range(2000):
            with lock:
                raw.value += 1
            value.increment()
            with value.get_lock():
                value.value += 1

    pairs = [(lock, value), (their_lock, their_value)] * 2
    threads = [threading.Thread(target=count, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (raw.value, value.value, their_value.value) == (8000, 16_000, 16_000)

    def hold(*locks: Any) -> None:
        for each in locks:
            assert each.acquire(timeout=LIMIT)
        ready.value = 1
        signal.pause()

    # A child dies that held the one object by the one copy, the other by the other.
    all_four = [lock, their_lock, value, their_value]
    for mine, theirs in (([lock, their_value], [their_lock, value]), ([their_lock, value], [lock])):
        ready = Value("i")
        child = fork(hold, *mine)
        assert ready.wait_for(1, 30)
        assert value.statistics().space.participants == 4
        assert not any(each.acquire(timeout=0.02) for each in all_four)
        kill(child)
        for each in theirs:
            assert each.acquire(timeout=LIMIT)
            assert (each.get_lock() if each is value else each).recovered
            each.release()
    assert value.statistics().space.participants == 2
    value.check()
    their_value.check()


class Both:
    """A value and a lock, as the two copies of the module have them."""

    def __init__(self, copy: dict[str, ModuleType]) -> None:
        self.lock, self.raw, self.value = cy.Lock(), cy.RawValue("q"), Value(int)
        self.their_lock = handed_over(self.lock, copy)
        self.their_value = handed_over(self.value, copy)


def add_by_ours(both: Both, step: int) -> None:
    with held(both.lock):
        both.raw.value += step
        with held(both.value.get_lock()):
            both.value.value += step


def add_by_theirs(both: Both, step: int) -> None:
    with held(both.their_lock):
        both.raw.value += step
        with held(both.their_value.get_lock()):
            both.their_value.value += step


def kill_users() -> None:
    """Kill processes whose threads use both copies, with the oracle."""
    copy = load_copy()
    kind = Kind(lambda: Both(copy), [add_by_ours, add_by_theirs], lambda both: int(both.raw.value))
    campaign = Campaign({"both": kind})
    try:
        while campaign.kills < 100:
            campaign.turn()
        campaign.prove_progress()
        campaign.end()
    finally:
        campaign.abandon()
    both = campaign.objects[0][1]
    assert both.value.statistics().space.participants == 2
    both.value.check()


def import_in_an_interpreter() -> None:
    """See a subinterpreter refused, and all else go on: its first wait would never end."""
    interpreters: Any = importlib.import_module("_xxsubinterpreters")
    value = Value("i", 7)
    interpreter = interpreters.create()
    interpreters.run_string(interpreter, f"import sys; sys.path[:] = {sys.path!r}")
    with pytest.raises(interpreters.RunFailedError, match=r"ImportError.*subinterpreter"):
        interpreters.run_string(interpreter, "import courtyard")
    interpreters.destroy(interpreter)
    child = fork(value.increment)
    assert os.waitpid(child, 0)[1] == 0
    assert value.increment() == 9
    value.check()


has_interpreters = importlib.util.find_spec("_xxsubinterpreters") is not None
needs_interpreters = pytest.mark.skipif(
    not has_interpreters, reason="this Python has no module _xxsubinterpreters"
)


@pytest.mark.parametrize(
    "test",
    [contend, kill_users, pytest.param(import_in_an_interpreter, marks=needs_interpreters)],
)
def test_two_copies_of_the_module(test: Any) -> None:
    folder = Path(os.environ["COURTYARD_DIR"], "copy")
    folder.mkdir(mode=0o700)
    env = {"COURTYARD_DIR": str(folder)}
    try:
        run_script(
            f"from tests.package.test_copy import {test.__name__} as t; t()", env=env, limit=50
        )
        # Each copy leaves the space to the other, so the next to come removes it.
        run_script("import courtyard", env=env)
        assert os.listdir(folder) == []
    finally:
        shutil.rmtree(folder)
