"""Which of CPython's tests are run, and on what."""

import asyncio
import collections
import importlib
import importlib.machinery
import importlib.util
import queue
import re
import sys
import threading
import types
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METHODS = ("fork", "spawn", "forkserver")
LOOPS = ("asyncio", "uvloop")

# The test cases of test._test_multiprocessing that use the shared types, on the drop-in.
MULTIPROCESSING = (
    "WithProcessesTestQueue",
    "WithProcessesTestLock",
    "WithProcessesTestSemaphore",
    "WithProcessesTestCondition",
    "WithProcessesTestEvent",
    "WithProcessesTestBarrier",
    "WithProcessesTestValue",
    "WithProcessesTestArray",
    "WithProcessesTestSharedCTypes",
    "TestSimpleQueue",
    "WithManagerTestContainers",
    # What works with the standard library's own classes, made by our contexts.
    "WithProcessesTestProcess",
    "TestStartMethod",
    "TestWait",
)
# A test case of test.lock_tests as test.test_threading derives it: its name there, the attribute
# that names the type, the type.
THREADING = {
    "LockTests": ("LockTests", "locktype", "Lock"),
    "RLockTests": ("RLockTests", "locktype", "RLock"),
    "EventTests": ("EventTests", "eventtype", "Event"),
    "ConditionAsRLockTests": ("RLockTests", "locktype", "Condition"),
    "ConditionTests": ("ConditionTests", "condtype", "Condition"),
    "SemaphoreTests": ("SemaphoreTests", "semtype", "Semaphore"),
    "BoundedSemaphoreTests": ("BoundedSemaphoreTests", "semtype", "BoundedSemaphore"),
    "BarrierTests": ("BarrierTests", "barriertype", "Barrier"),
}
# The test cases of test.test_queue that have no Python twin, and the types that they use.
QUEUE = (
    "CQueueTest",
    "CLifoQueueTest",
    "CPriorityQueueTest",
    "CFailingQueueTest",
    "CSimpleQueueTest",
)
QUEUE_TYPES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "ShutDown")

# The test cases of the builtins that containers are named after: the module, the class there, the
# attribute or, with a colon, the global name of the module that is the type, and the type.
CONTAINERS = {
    "DictTests": ("test.mapping_tests", "TestHashMappingProtocol", "type2test", "Dict"),
    "NestedDictTests": ("test.mapping_tests", "TestHashMappingProtocol", "type2test", "NestedDict"),
    "ListTests": ("test.list_tests", "CommonTest", "type2test", "List"),
    "DequeTests": ("test.test_deque", "TestBasic", ":deque", "Deque"),
    "DequeArgsTests": ("test.test_deque", "TestVariousIteratorArgs", ":deque", "Deque"),
    "DequeSequenceTests": ("test.seq_tests", "CommonTest", "type2test", "Deque"),
    "CounterTests": ("test.test_collections", "TestCounter", ":Counter", "Counter"),
    "SetTests": ("test.test_set", "TestSet", "thetype", "Set"),
    "SetOfSetsTests": ("test.test_set", "TestSetOfSets", ":set", "Set"),
    "SetExceptionTests": ("test.test_set", "TestExceptionPropagation", ":set", "Set"),
    "SetEmptyTests": ("test.test_set", "TestBasicOpsEmpty", ":set", "Set"),
    "SetSingletonTests": ("test.test_set", "TestBasicOpsSingleton", ":set", "Set"),
    "SetTupleTests": ("test.test_set", "TestBasicOpsTuple", ":set", "Set"),
    "SetTripleTests": ("test.test_set", "TestBasicOpsTriple", ":set", "Set"),
    "SetStringTests": ("test.test_set", "TestBasicOpsString", ":set", "Set"),
    "SetBinaryTests": ("test.test_set", "TestBinaryOps", ":set", "Set"),
    "SetUpdateTests": ("test.test_set", "TestUpdateOps", ":set", "Set"),
    "SetMutateTests": ("test.test_set", "TestMutate", ":set", "Set"),
    "SetIdentitiesTests": ("test.test_set", "TestIdentities", ":set", "Set"),
    "SetArgsTests": ("test.test_set", "TestVariousIteratorArgs", ":set", "Set"),
}
BUILTINS: dict[str, Any] = {
    "Dict": dict,
    "NestedDict": dict,
    "List": list,
    "Deque": collections.deque,
    "Counter": collections.Counter,
    "Set": set,
}

# The modules whose test cases are all run on ``obj.aio``: each is here by its name behind "Aio".
AIO = ("test.test_asyncio.test_queues", "test.test_asyncio.test_locks")

STANDARD_IMPORT = re.compile(
    r"^(\s*)(?:import multiprocessing(\.\w+)?$|from multiprocessing\b)", re.M
)


def with_drop_in(source: str) -> str:
    """Return a program that imports courtyard.multiprocessing where it imported the standard one.

    On the same lines, so that tracebacks fit; in strings too, where they hold a program.
    """

    def replace(match: re.Match[str]) -> str:
        indent, submodule = match.groups()
        if match[0].lstrip().startswith("from"):
            return f"{indent}from courtyard.multiprocessing"
        whole = "import courtyard.multiprocessing as multiprocessing"
        if submodule is None:
            return f"{indent}{whole}"
        return f"{indent}import courtyard.multiprocessing{submodule}; {whole}"

    return STANDARD_IMPORT.sub(replace, source)


def multiprocessing_cases(path: str, method: str, namespace: dict[str, Any]) -> None:
    """Put the test cases into a module's namespace, those of the program at that path."""
    name = "test._test_multiprocessing"
    original = source(name)
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # what is pickled is found by that name
    loader.exec_module(module)
    module.__file__ = str(original)  # a test runs a program that lies beside it
    module.install_tests_in_module_dict(namespace, method)
    tested = module.multiprocessing

    # In place of CPython's, which look for dangling processes among many tests, and for
    # semaphores of the system.
    def set_up() -> None:
        # With what they all import: a test has a hundred children.
        tested.set_forkserver_preload([*module.PRELOAD, name])
        tested.set_start_method(method, force=True)

    # In place of one that counts the objects of a server process.
    def tear_down(cls: Any) -> None:
        cls.manager.shutdown()
        cls.manager = None

    namespace["WithManagerTestContainers"].tearDownClass = classmethod(tear_down)
    namespace["setUpModule"] = set_up
    namespace["tearDownModule"] = tested.util._cleanup_tests


def threading_case(name: str, tested: Any) -> type[unittest.TestCase]:
    """Return a test case of test.lock_tests, on the types of that module."""
    lock_tests: Any = importlib.import_module("test.lock_tests")
    base, attribute, type_ = THREADING[name]
    if tested is not threading:
        # A lock that a test gives to a Condition is one of those tested.
        lock_tests.threading = types.SimpleNamespace(**{**vars(threading), "Lock": tested.Lock})
    body = {attribute: staticmethod(getattr(tested, type_))}
    return type(name, (getattr(lock_tests, base),), body)


def queue_case(name: str, tested: Any) -> type[unittest.TestCase]:
    """Return a test case of test.test_queue, on the types of that module."""
    test_queue = importlib.import_module("test.test_queue")
    # queue.ShutDown came with 3.13, and its tests with it.
    found = {name: getattr(tested, name) for name in QUEUE_TYPES if hasattr(tested, name)}
    module = types.SimpleNamespace(Empty=queue.Empty, Full=queue.Full, **found)
    return type(name, (getattr(test_queue, name),), {"queue": module})


def container_case(name: str, tested: Any) -> type[unittest.TestCase]:
    """Return a test case of a builtin, on the type of that module; if None, on the builtin."""
    module_name, base, attribute, type_ = CONTAINERS[name]
    module: Any = importlib.import_module(module_name)
    found = BUILTINS[type_] if tested is None else getattr(tested, type_)
    body = {}
    if attribute.startswith(":"):
        setattr(module, attribute[1:], found)
    else:
        body[attribute] = found
    bases = getattr(module, base), unittest.TestCase
    return type(name, bases[: 1 + (not issubclass(*bases))], body)


def aio_cases(loop: str | None) -> dict[str, type[unittest.TestCase]]:
    """Return the test cases of asyncio's classes by name, on ``obj.aio`` in loops of a kind.

    None: those of asyncio itself.
    """
    body = {}
    if loop is not None:
        twin = importlib.import_module("tests.conformance.twin")
        twin.install()
        body["loop_factory"] = staticmethod(twin.LOOPS[loop])
        if sys.version_info < (3, 13):
            policy = asyncio.DefaultEventLoopPolicy()
            policy.new_event_loop = twin.LOOPS[loop]  # type: ignore[method-assign]
            asyncio.set_event_loop_policy(policy)
    return {
        f"Aio{name}": type(f"Aio{name}", (case,), body)
        for module in AIO
        if source(module)
        for name, case in vars(importlib.import_module(module)).items()
        if isinstance(case, type) and issubclass(case, unittest.TestCase)
    }


def source(module: str) -> Path | None:
    """Return the file of one of CPython's test modules, None where they are not installed."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def tests_of(case: type[unittest.TestCase]) -> Iterator[str]:
    """Yield the names of a test case's tests, with its own."""
    for name in unittest.defaultTestLoader.getTestCaseNames(case):
        yield f"{case.__name__}.{name}"
