"""Runs CPython's tests, each in a process of its own with a time limit."""

import json
import py_compile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.conformance import suite
from tests.support.children import run_script

ROOT = Path(__file__).parent.parent.parent
RUN = Path(__file__).with_name("run.py")
LIMIT = 240.0  # seconds for a test and its child processes, on a busy machine too
AT_ONCE = 2


PROGRAM = suite.source("test._test_multiprocessing")


class Test(NamedTuple):
    """One of CPython's tests, and how its child processes start, or in which loop it runs."""

    suite: str
    name: str
    method: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, [self.suite, self.method, self.name]))


Test.__test__ = False  # type: ignore[attr-defined]  # it is none of pytest's


class Outcome(NamedTuple):
    """What became of a test: "passed", "failed" or "skipped"; and why."""

    outcome: str
    detail: str


class Runner:
    """Runs tests in the order in which they were announced, each before it is asked for."""

    def __init__(self, folder: Path) -> None:
        # CPython's tests as if written by somebody who uses the drop-in.
        self.drop_in = folder / "_test_multiprocessing.py"
        if PROGRAM is not None:
            text = suite.with_drop_in(PROGRAM.read_text("utf-8"))
            self.drop_in.write_text(text, "utf-8")
            py_compile.compile(str(self.drop_in), doraise=True)  # once: each process imports it
        self.executor = ThreadPoolExecutor(AT_ONCE)
        self.futures: dict[Test, Future[Outcome]] = {}

    def close(self) -> None:
        self.executor.shutdown(cancel_futures=True)

    def announce(self, tests: list[Test]) -> None:
        """Start running these, in the background."""
        for test in tests:
            if test not in self.futures:
                self.futures[test] = self.executor.submit(self.run, test)

    def outcome(self, test: Test) -> Outcome:
        """Return what became of a test; wait for it."""
        self.announce([test])
        return self.futures[test].result()

    def run(self, test: Test, standard: bool = False) -> Outcome:
        """Run a test now; on the standard classes if so told."""
        env = environment(test.method, PROGRAM if standard else self.drop_in, standard)
        try:
            done = run_script(RUN, test.suite, test.name, limit=LIMIT, check=False, env=env)
        except AssertionError as error:  # it took too long
            return Outcome("failed", str(error))
        lines = done.stdout.splitlines()
        try:
            return Outcome(**json.loads(lines[-1]))
        except (IndexError, TypeError, ValueError):
            printed = f"{done.stdout}{done.stderr}"
            return Outcome("failed", f"exit {done.returncode}; printed:\n{printed}")


def names() -> dict[str, list[str]]:
    """Return the names of all tests by suite."""
    output = run_script(RUN, "list", env=environment("fork", PROGRAM, standard=True)).stdout
    found: dict[str, list[str]] = json.loads(output)
    return found


def environment(method: str, program: Path | None, standard: bool) -> dict[str, str]:
    """Return what run.py is told by."""
    env = {"PYTHONPATH": str(ROOT), "CONFORMANCE_STANDARD": str(int(standard))}
    if method:
        env["CONFORMANCE_METHOD"] = method
    if method in suite.METHODS and program is not None:
        env["CONFORMANCE_PROGRAM"] = str(program)
    return env
