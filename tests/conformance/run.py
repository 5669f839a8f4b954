"""Runs one of CPython's tests, or lists them all; in a process of its own.

``run.py list`` prints a JSON object, the names of the tests by suite. ``run.py SUITE TEST``
prints one with the test's ``outcome`` ("passed", "failed", "skipped") and its ``detail``.
"""

import json
import os
import queue
import sys
import threading
import unittest
from typing import Any

from tests.conformance import suite

STANDARD = os.environ.get("CONFORMANCE_STANDARD") == "1"  # run it on the standard classes
PROGRAM = os.environ.get("CONFORMANCE_PROGRAM")  # the tests of multiprocessing

if PROGRAM is not None:
    # Child processes import this file too, and find in it what was pickled.
    suite.multiprocessing_cases(PROGRAM, os.environ["CONFORMANCE_METHOD"], globals())


def case(name: str, test: str) -> type[unittest.TestCase]:
    """Return the test case of a test."""
    class_name = test.partition(".")[0]
    if name == "multiprocessing":
        found: type[unittest.TestCase] = globals()[class_name]
        return found
    if name == "aio":
        return suite.aio_cases(None if STANDARD else os.environ["CONFORMANCE_METHOD"])[class_name]
    if name == "container":
        import courtyard

        return suite.container_case(class_name, None if STANDARD else courtyard)
    if STANDARD:
        tested: Any = threading if name == "threading" else queue
    else:
        import courtyard

        tested = courtyard
    make = suite.threading_case if name == "threading" else suite.queue_case
    return make(class_name, tested)


def tests() -> dict[str, list[str]]:
    """Return the names of all tests by suite."""
    names = ("multiprocessing", "threading", "queue", "container", "aio")
    found: dict[str, list[str]] = {name: [] for name in names}
    if PROGRAM is not None:
        for name in suite.MULTIPROCESSING:
            found["multiprocessing"] += suite.tests_of(globals()[name])
    if suite.source("test.lock_tests"):
        for name in suite.THREADING:
            found["threading"] += suite.tests_of(suite.threading_case(name, threading))
    if suite.source("test.test_queue"):
        for name in suite.QUEUE:
            found["queue"] += suite.tests_of(suite.queue_case(name, queue))
    for tested in suite.aio_cases(None).values():
        found["aio"] += suite.tests_of(tested)
    import courtyard

    for name, (module, _, _, type_) in suite.CONTAINERS.items():
        if suite.source(module) and hasattr(courtyard, type_):  # some are not there yet
            found["container"] += suite.tests_of(suite.container_case(name, None))
    return found


def run(name: str, test: str) -> dict[str, str]:
    """Run a test; return its outcome."""
    result = unittest.TestResult()
    unittest.TestSuite([case(name, test)(test.partition(".")[2])]).run(result)
    wrong = [*result.errors, *result.failures]
    if wrong:
        return {"outcome": "failed", "detail": "\n".join(text for _, text in wrong)}
    if result.skipped:
        return {"outcome": "skipped", "detail": result.skipped[0][1]}
    if result.testsRun != 1:
        return {"outcome": "failed", "detail": f"{result.testsRun} tests were run"}
    return {"outcome": "passed", "detail": ""}


if __name__ == "__main__":
    print(json.dumps(tests() if sys.argv[1:] == ["list"] else run(*sys.argv[1:])))
