"""A folder of its own for the shared memory of a test run, and a watchdog over it."""

import atexit
import gc
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import hypothesis  # noqa: F401  # sets up trio, which it cannot do once the garbage is frozen
import pytest

from tests.support.children import die_with_parent

SHARED_MEMORY = "/dev/shm"
LIMIT = 120.0  # seconds: what hangs is ended, and what a busy machine holds up is not


def _make_folder() -> str:
    parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="courtyard-test-", dir=parent)  # mode 0700
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child may run this too
            shutil.rmtree(folder, ignore_errors=True)

    # Courtyard's own comes after it, and finds nothing left to remove.
    atexit.register(remove)
    return folder


# Before anything imports courtyard; the processes that the tests start inherit both.
os.environ["COURTYARD_DIR"] = _make_folder()
os.environ["PYTHONFAULTHANDLER"] = "1"
# With it, print() writes a line and its end one after the other: between them comes what another
# process prints into the same pipe.
os.environ.pop("PYTHONUNBUFFERED", None)
# Options for this run are none for the runs of pytest that tests start.
os.environ.pop("PYTEST_ADDOPTS", None)
# The watchdog ends what hangs with SIGABRT: for its stacks, not for a core of all shared memory.
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
# A shell starts what runs in the background with SIGINT ignored, and every child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:
    # The watchdog of a worker that is done kills what is left in its process group: other workers
    # may still be at work. Ctrl-C no longer reaches this group; the end of the main process does.
    os.setpgid(0, 0)
    die_with_parent()

# A child from the fork server has what the modules of tests import, but for courtyard itself.
multiprocessing.set_forkserver_preload(["hypothesis", "numpy", "pytest"])

# Many minutes long, and run by `make torture` alone.
collect_ignore = [] if "COURTYARD_TORTURE_SIZE" in os.environ else ["torture"]


class Watch:
    """Tells the watchdog what is going on."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).parent / "support" / "watchdog.py")]
        theirs, self.pipe = os.pipe()
        self.process = subprocess.Popen(
            [*command, str(os.getpid()), os.environ["COURTYARD_DIR"]],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # out of reach of Ctrl-C, and of what it kills itself
        )
        os.close(theirs)

    def _tell(self, line: str) -> None:
        os.write(self.pipe, f"{line}\n".encode())

    def start(self, name: str, limit: float = LIMIT) -> None:
        self._tell(f"start {limit} {name}")

    def end(self) -> None:
        self._tell("end")

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        # Each process of pytest-xdist collects all of them, at one time.
        self.start("the collection of tests", 3 * LIMIT)
        result = yield
        # Thousands of tests are millions of objects: no later collection of garbage visits them.
        gc.collect()
        gc.freeze()
        self.end()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        marker = item.get_closest_marker("limit")
        self.start(item.nodeid, marker.args[0] if marker else LIMIT)
        result = yield
        self.end()
        return result

    def pytest_unconfigure(self) -> None:
        # A process of pytest-xdist waits until all are done, and is killed when the main one ends.
        if not IS_WORKER:
            self.start("the exit of the test process")
        self.process.returncode = 0  # it outlives this process, and nobody waits for it


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("usepdb"):  # a person may take their time
        config.pluginmanager.register(Watch(), "watchdog")


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def ctx(request: pytest.FixtureRequest) -> BaseContext:
    """Each of multiprocessing's start methods in turn."""
    context: BaseContext = multiprocessing.get_context(request.param)
    return context


def new_home() -> Iterator[None]:
    """Have this process make its objects in a new private space, and be in it from now on.

    For tests that compare what is in it: pickles that other tests left end after a minute, and what
    they lead to goes with them.
    """
    import courtyard as cy  # the folder is to be known before
    from courtyard import _native

    gc.collect()
    _native.leave_home()
    kept = cy.RawValue("b")
    # Its tables have grown: what a test makes needs no more of them.
    pickle.loads(pickle.dumps([cy.RawValue("b") for _ in range(160)]))
    yield
    kept.close()


own_home = pytest.fixture(new_home, name="own_home")
module_home = pytest.fixture(new_home, name="module_home", scope="module")


@pytest.fixture
def title() -> Iterator[str]:
    """Give the name of a space of this test's own, destroyed after it."""
    import courtyard as cy  # the folder is to be known before

    title = f"test {os.getpid()} {time.monotonic_ns()}"
    yield title
    gc.collect()
    try:
        space = cy.Space(title, create=False)
    except cy.NotFound:
        return
    space.check()
    space.destroy(force=True)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a file of this test's own."""
    return (tmp_path / "space.cy").as_uri()
