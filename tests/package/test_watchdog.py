"""The watchdog ends a run that hangs, with all of its processes, and leaves nothing behind."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.children import run_command

TESTS = Path(__file__).parents[1]
SUPPORT = ("__init__", "children", "watchdog")

HANGS = """
import multiprocessing, os, pathlib, time
import pytest
from tests.support.children import start

def sleep():
    time.sleep(1000)

@pytest.mark.limit(1)
def test_hangs():
    child = start(multiprocessing.get_context(METHOD), sleep)
    orphan = os.fork()
    if orphan == 0:
        time.sleep(1000)
    time.sleep(0.5)
    pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid} {orphan}")
    pathlib.Path("folder").write_text(os.environ["COURTYARD_DIR"])
    time.sleep(1000)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def bare(folder: Path) -> Path:
    """Make a folder of tests in which there is none yet, with a watchdog over it."""
    tests = folder / "tests"
    (tests / "support").mkdir(parents=True)
    for name in ("__init__.py", "conftest.py", *(f"support/{one}.py" for one in SUPPORT)):
        shutil.copy(TESTS / name, tests / name)
    return tests


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_hanging_run_is_ended(tmp_path: Path, method: str) -> None:
    tests = bare(tmp_path)
    (tests / "test_hangs.py").write_text(HANGS.replace("METHOD", repr(method)))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests"]
    # Waits for the end of the output, hence for the watchdog too, which holds the same pipe.
    run = run_command(command, cwd=tmp_path, check=False)
    assert run.returncode < 0
    assert "test_hangs took longer than 1 s" in run.stderr
    assert "test_hangs.py" in run.stderr.partition("Fatal Python error: Aborted")[2]
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert [pid for pid in pids if is_alive(pid)] == []
    assert not os.path.exists((tmp_path / "folder").read_text())


def test_who_starts_a_run_outlives_it(tmp_path: Path) -> None:
    """A shell born in the same tick as the run, in a process group with it, is not its orphan."""
    tests = bare(tmp_path)
    (tests / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    pytest_quietly = f"{sys.executable} -m pytest -p no:cacheprovider -q tests >/dev/null"
    for _ in range(2):
        # The watchdog is done when it closes the output that it holds too.
        run_command(
            ["sh", "-c", f"{pytest_quietly}; {sys.executable} -c 'import time; time.sleep(0.2)'"],
            cwd=tmp_path,
        )
