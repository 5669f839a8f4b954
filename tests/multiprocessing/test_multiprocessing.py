"""The drop-in: multiprocessing's names, contexts and manners, with courtyard's shared types."""

import importlib
import multiprocessing as standard
import pickle
import pkgutil
import queue
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from ctypes import Structure, c_double, c_int
from logging import DEBUG, Handler, LogRecord, getLogger
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
import courtyard.multiprocessing as multiprocessing
from courtyard.multiprocessing import connection, sharedctypes
from tests.support.children import die_with_parent, join, run_script, start

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    """Each of the drop-in's contexts in turn."""
    return multiprocessing.get_context(request.param)


def test_all_names_are_there() -> None:
    assert set(multiprocessing.__all__) == set(standard.__all__)
    for name in standard.__all__:
        ours, theirs = getattr(multiprocessing, name), getattr(standard, name)
        if isinstance(theirs, type) or name == "reducer":
            assert ours is theirs, name
        else:
            assert callable(ours), name
    assert multiprocessing.SUBDEBUG == 5
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = multiprocessing.no_such_name


SUBMODULES = {module.name for module in pkgutil.iter_modules(standard.__path__)}


@pytest.mark.parametrize("name", sorted(SUBMODULES - {"popen_spawn_win32"}))  # Windows' own
def test_all_submodules_are_there(name: str) -> None:
    ours = importlib.import_module(f"courtyard.multiprocessing.{name}")
    theirs = importlib.import_module(f"multiprocessing.{name}")
    assert getattr(multiprocessing, name) is ours
    for public in getattr(theirs, "__all__", ()):
        assert hasattr(ours, public)
        assert public in ours.__all__
    if name not in ("context", "queues", "sharedctypes", "synchronize"):
        assert ours is theirs


def test_a_fresh_import_of_each_form() -> None:
    run_script("""
import courtyard.multiprocessing as multiprocessing
assert multiprocessing.pool.ThreadPool
from courtyard.multiprocessing.shared_memory import SharedMemory
from courtyard.multiprocessing import connection, util
import courtyard.multiprocessing.dummy.connection
import multiprocessing.dummy.connection as theirs
assert courtyard.multiprocessing.dummy.connection is theirs
assert multiprocessing.dummy.connection is theirs
from courtyard.multiprocessing import *
assert isinstance(Lock(), courtyard.Lock) and Process
""")


def test_an_import_does_not_import_all() -> None:
    run_script("""
import sys, courtyard.multiprocessing
late = {"ctypes", "multiprocessing.queues", "multiprocessing.managers", "multiprocessing.pool"}
assert not late & set(sys.modules), late & set(sys.modules)
""")


def test_contexts() -> None:
    assert isinstance(multiprocessing.get_context(), multiprocessing.context.BaseContext)
    for method in METHODS:
        context = multiprocessing.get_context(method)
        assert context.get_start_method() == method
        assert context.get_context() is context
        assert context.get_context("spawn") is multiprocessing.get_context("spawn")
        theirs: Any = standard.get_context(method)
        assert isinstance(context, type(theirs))
        assert context.Process is theirs.Process
        assert isinstance(context.Lock(), cy.Lock)
        with pytest.raises(ValueError):
            context.set_start_method("spawn")
    with pytest.raises(ValueError, match="cannot find context for 'no such'"):
        multiprocessing.get_context("no such")
    assert multiprocessing.get_all_start_methods() == standard.get_all_start_methods()


def test_the_start_method_is_one_for_both() -> None:
    run_script("""
import multiprocessing as standard
import courtyard.multiprocessing as multiprocessing
assert multiprocessing.get_start_method(allow_none=True) is None
multiprocessing.set_start_method("forkserver")
assert standard.get_start_method() == multiprocessing.get_start_method() == "forkserver"
assert multiprocessing.get_context() is multiprocessing.get_context("forkserver")
try:
    multiprocessing.set_start_method("spawn")
except RuntimeError:
    standard.set_start_method("spawn", force=True)
assert multiprocessing.get_context() is multiprocessing.get_context("spawn")
""")


def test_what_is_made_is_courtyards_and_stays_so_through_pickle() -> None:
    synchronize, queues = multiprocessing.synchronize, multiprocessing.queues
    made = [
        (multiprocessing.Lock(), cy.Lock, synchronize.Lock),
        (multiprocessing.RLock(), cy.RLock, synchronize.RLock),
        (multiprocessing.Semaphore(2), cy.Semaphore, synchronize.Semaphore),
        (multiprocessing.BoundedSemaphore(2), cy.BoundedSemaphore, synchronize.BoundedSemaphore),
        (multiprocessing.BoundedSemaphore(2), cy.BoundedSemaphore, synchronize.Semaphore),
        (multiprocessing.Condition(), cy.Condition, synchronize.Condition),
        (multiprocessing.Event(), cy.Event, synchronize.Event),
        (multiprocessing.Barrier(2), cy.Barrier, synchronize.Barrier),
        (multiprocessing.Queue(2), cy.Queue, queues.Queue),
        (multiprocessing.JoinableQueue(2), cy.JoinableQueue, queues.JoinableQueue),
        (multiprocessing.JoinableQueue(2), cy.JoinableQueue, queues.Queue),
        (multiprocessing.SimpleQueue(), cy.SimpleQueue, queues.SimpleQueue),
        (multiprocessing.Value("i", 3), cy.Value, sharedctypes.Value),
        (multiprocessing.Array("i", 3), cy.Array, sharedctypes.Array),
        (multiprocessing.Value("i", 3, lock=multiprocessing.Lock()), cy.Value, sharedctypes.Value),
        (multiprocessing.RawValue("i", 3), cy.RawValue, sharedctypes.RawValue),
        (multiprocessing.RawArray("i", 3), cy.RawArray, sharedctypes.RawArray),
        (multiprocessing.Value("i", 3, lock=False), cy.RawValue, sharedctypes.RawValue),
    ]
    for obj, base, cls in made:
        assert isinstance(obj, base) and isinstance(obj, cls)
        assert type(pickle.loads(pickle.dumps(obj))) is type(obj)
        cy.check(obj)


def test_classes_are_made_as_multiprocessings() -> None:
    context: Any = multiprocessing.get_context("spawn")
    synchronize: Any = multiprocessing.synchronize
    queues: Any = multiprocessing.queues
    classes: Any = sharedctypes
    assert isinstance(synchronize.Lock(ctx=context), cy.Lock)
    assert synchronize.Semaphore(3, ctx=context).get_value() == 3
    assert queues.Queue(3, ctx=context).maxsize == 3
    assert classes.Value("i", 3, ctx=context).value == 3
    lock = synchronize.Lock(ctx=context)
    with synchronize.Condition(lock, ctx=context):
        assert lock.locked()


def test_values_and_arrays_are_of_the_standard_modules_classes() -> None:
    classes: Any = sharedctypes
    value, text = multiprocessing.Value("i"), multiprocessing.Array("c", 3)
    array, point = multiprocessing.Array("i", 3), multiprocessing.Value(Point)
    for obj in (value, text, array, point):
        assert isinstance(obj, classes.SynchronizedBase)
    assert isinstance(value, classes.Synchronized) and isinstance(array, classes.SynchronizedArray)
    assert isinstance(text, classes.SynchronizedString)
    assert not isinstance(multiprocessing.RawValue("i"), classes.SynchronizedBase)


class Small(multiprocessing.queues.Queue[Any]):
    def __init__(self, name: str, *, ctx: Any) -> None:
        super().__init__(1, ctx=ctx)
        self.name_of_mine = name


def test_a_queue_can_be_subclassed_as_multiprocessings() -> None:
    small = Small("s", ctx=multiprocessing.get_context())
    small.put(1)
    with pytest.raises(queue.Full):
        small.put_nowait(2)
    assert (small.maxsize, small.name_of_mine) == (1, "s")


def test_what_standard_code_looks_at() -> None:
    """Executors ask so whether their queue is full."""
    for semaphore in (multiprocessing.Semaphore(1), multiprocessing.BoundedSemaphore(1)):
        looked_at: Any = semaphore
        assert looked_at._semlock._is_zero() is False
        semaphore.acquire()
        assert looked_at._semlock._is_zero() is True
        assert looked_at._semlock._get_value() == 0


class Point(Structure):
    _fields_ = (("x", c_int), ("y", c_double))


def locks() -> list[Any]:
    value = multiprocessing.Value("i")
    point = multiprocessing.Value(Point)
    array = multiprocessing.Array("i", 1)
    condition = multiprocessing.Condition()
    made = [value, value.get_lock(), point, point.get_lock(), array, array.get_lock(), condition]
    names = ("Lock", "RLock", "Semaphore", "BoundedSemaphore")
    return [*made, *(getattr(multiprocessing, name)() for name in names)]


def test_arguments_are_checked_as_multiprocessing_does() -> None:
    for lock in [standard.Lock(), *locks()]:
        refused: list[Any] = []

        def refuse(lock: Any = lock, refused: list[Any] = refused) -> None:
            for args in [(False,), (False, 1), (False, None), (True, -1), (True, -5.5), (True, 0)]:
                refused.append(lock.acquire(*args))

        assert lock.acquire(True, None) is True
        thread = threading.Thread(target=refuse)  # by another: two of them are recursive
        before = time.monotonic()
        thread.start()
        thread.join(30)
        assert refused == [False] * 6
        assert time.monotonic() - before < 5
        lock.release()
        for args in [(False, 1), (True, -1), (True, 1e9)]:
            assert lock.acquire(*args) is True
            lock.release()
        assert lock.acquire(block=True, timeout=1) is True
        lock.release()


def test_both_names_of_the_first_argument() -> None:
    for lock in locks():
        for name in ("block", "blocking"):
            assert lock.acquire(**{name: False}) is True
            lock.release()


def test_courtyards_own_classes_follow_threading() -> None:
    locks: list[Any] = [cy.Lock(), cy.Value("i"), cy.Value("i").get_lock()]
    for lock in locks:
        for args in [(False, 1), (True, -5)]:
            with pytest.raises(ValueError):
                lock.acquire(*args)


def test_a_wrong_release_raises_what_either_module_does() -> None:
    with pytest.raises(RuntimeError) as raised:
        multiprocessing.Lock().release()
    assert isinstance(raised.value, ValueError)
    with pytest.raises(RuntimeError) as raised:
        multiprocessing.Value("i").release()
    assert isinstance(raised.value, AssertionError)


def test_raw_values_have_no_lock() -> None:
    for raw in (multiprocessing.RawValue("i", 5), multiprocessing.Value("i", 5, lock=False)):
        assert not hasattr(raw, "get_lock")
        assert not hasattr(raw, "get_obj")
        assert raw.value == 5
    raw = multiprocessing.RawValue(Point, 1, 2.5)
    raw.x += 1
    assert (raw.x, raw.y) == (2, 2.5)


def test_values_with_a_lock_of_the_callers() -> None:
    lock = multiprocessing.Lock()
    for make in (multiprocessing.Value, multiprocessing.get_context("spawn").Value):
        value = make("i", 5, lock=lock)
        assert value.get_lock() is lock
        assert (value.value, value.increment(), value.get_obj().value) == (5, 6, 6)
        with value:
            assert lock.acquire(False, 1) is False
    with pytest.raises(AttributeError, match="no lock"):
        multiprocessing.Value("i", 5, lock="no lock")


def add(value: Any, array: Any, rounds: int) -> None:
    for _ in range(rounds):
        with value.get_lock():
            value.get_obj().value += 1  # the lock need not be recursive
        with array:
            array.get_obj()[2] += 1


def test_processes_share_values(context: Any) -> None:
    for lock in (True, context.Lock()):
        value, array = context.Value("i", lock=lock), context.Array("d", 3, lock=lock)
        children = [start(context, add, value, array, 200) for _ in range(2)]
        join(*children)
        assert (value.value, list(array)) == (400, [0, 0, 400])


def test_copies_of_ctypes_objects() -> None:
    point = Point(1, 2.5)
    for original in (point, sharedctypes.copy(point)):
        copy = sharedctypes.copy(original)
        assert isinstance(copy, cy.RawValue)
        copy.x = 7
        assert (original.x, copy.x, copy.y) == (1, 7, 2.5)


def test_synchronized() -> None:
    lock = multiprocessing.Lock()
    value = sharedctypes.synchronized(multiprocessing.RawValue("i", 3), lock)
    assert value.get_lock() is lock
    assert value.value == 3


LOCK: Any = None
COUNT: Any = None


def initialize(lock: Any, count: Any) -> None:
    global LOCK, COUNT
    die_with_parent()
    LOCK, COUNT = lock, count


def count_one(_: int) -> bool:
    with LOCK:
        COUNT.value += 1
    return isinstance(LOCK, cy.Lock)


def test_pool(context: Any) -> None:
    lock, count = context.Lock(), context.RawValue("i")
    with context.Pool(2, initialize, (lock, count)) as pool:
        assert pool.map(count_one, range(100)) == [True] * 100
    assert count.value == 100


def count_with(lock: Any, count: Any) -> None:
    with lock:
        count.value += 1


def test_pool_tasks_carry_locks(context: Any) -> None:
    """Which multiprocessing's own cannot: theirs go to a child only as it starts."""
    lock, count = context.Lock(), context.RawValue("i")
    with context.Pool(2, die_with_parent) as pool:
        pool.starmap(count_with, [(lock, count)] * 20)
    assert count.value == 20


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("which", ["standard", "drop-in"])
def test_executor(method: str, which: str) -> None:
    mp_context: Any = (standard if which == "standard" else multiprocessing).get_context(method)
    lock, count = multiprocessing.Lock(), multiprocessing.RawValue("i")
    with ProcessPoolExecutor(
        2, mp_context=mp_context, initializer=initialize, initargs=(lock, count)
    ) as executor:
        assert list(executor.map(count_one, range(50))) == [True] * 50
        executor.submit(count_with, lock, count).result(30)
    assert count.value == 51


JOBLIB = """
import sys
from joblib import Parallel, delayed
import courtyard as cy
import courtyard.multiprocessing as multiprocessing

def work(lock, count):
    for _ in range(10):
        with lock:
            count.value += 1

if __name__ == "__main__":
    for module in (cy, multiprocessing):
        lock, count = module.Lock(), module.RawValue("i")
        with Parallel(n_jobs=2, backend=sys.argv[1]) as parallel:
            parallel(delayed(work)(lock, count) for _ in range(8))
        assert count.value == 80, count
"""


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib(backend: str, tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    script = tmp_path / "work.py"
    script.write_text(JOBLIB, "utf-8")
    run_script(script, backend, limit=50)


def log(queue: Any, rounds: int) -> None:
    logger = getLogger("courtyard.test")
    logger.setLevel(DEBUG)
    logger.propagate = False
    logger.addHandler(QueueHandler(queue))
    for number in range(rounds):
        logger.info("message %d", number)


class Collector(Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.mark.parametrize("home", ["courtyard", "courtyard.multiprocessing"])
def test_logging_through_a_queue(context: Any, home: str) -> None:
    logs = importlib.import_module(home).Queue()
    collector = Collector()
    listener = QueueListener(logs, collector)
    listener.start()
    children = [start(context, log, logs, 20) for _ in range(2)]
    join(*children)
    listener.stop()
    assert sorted(collector.messages) == sorted(f"message {n}" for n in range(20) for _ in "ab")


def put_all(queue: Any) -> None:
    for item in range(10):
        queue.put(item)


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_queues_of_a_context(context: Any, name: str) -> None:
    made = getattr(context, name)()
    join(start(context, put_all, made))
    assert [made.get() for _ in range(10)] == list(range(10))
    assert made.empty()
    if name != "SimpleQueue":
        with pytest.raises(queue.Empty):
            made.get(False)


def answer(connection: Any) -> None:
    connection.send(connection.recv() + 1)


def test_what_is_not_shared_is_the_standard_one(context: Any) -> None:
    ours, theirs = context.Pipe()
    child = start(context, answer, theirs)
    ours.send(41)
    assert ours.poll(30) and ours.recv() == 42
    join(child)
    assert type(ours) is standard.connection.Connection
    assert multiprocessing.managers.SyncManager is standard.managers.SyncManager


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_an_item_that_cannot_be_pickled_is_told_of_at_once(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As multiprocessing's feeder thread does; courtyard's own queues raise it."""
    q = getattr(multiprocessing, kind)()
    q.put(lambda: 0)
    told = capsys.readouterr().err
    assert "PicklingError" in told or "AttributeError" in told
    assert f"nothing was put into a {kind}: the item could not be stored" in told
    assert q.empty()
    with cy.Space() as space:
        named = cy.Queue.named("jobs", space=space)
        for put in (named.put, named.put_nowait, lambda item: named.put_many([item])):
            with pytest.raises((pickle.PicklingError, AttributeError)) as raised:
                put(lambda: 0)
            said = 'nothing was put into Queue "jobs": the item could not be stored'
            assert raised.value.__notes__ == [said]


def test_what_a_signal_handler_raises_in_a_put_is_no_matter_of_the_item() -> None:
    q = multiprocessing.Queue(1)
    q.put(1)

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            q.put(2)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert q.get() == 1 and q.empty()


def test_a_queue_has_no_reader_but_can_be_waited_for() -> None:
    jobs: Any = multiprocessing.Queue()
    simple: Any = multiprocessing.SimpleQueue()
    kin: Any
    for kin in (jobs, multiprocessing.JoinableQueue()):
        with pytest.raises(AttributeError, match=r"give the queue itself to courtyard\.wait"):
            _ = kin._reader
    with pytest.raises(NotImplementedError, match=r"courtyard\.wait\(\), beside connections"):
        connection.wait([simple._reader], 0)
    simple.put(1)
    assert cy.wait([jobs, simple]) == [simple]
