"""One test for each of CPython's own, under each start method or in each loop where that matters.

A test that fails or skips is run on the standard class too: what that does not pass in this
place is not counted.
"""

import importlib.util
import os
from collections.abc import Iterator

import pytest

from tests.conformance import suite
from tests.conformance.exclusion import EXCLUDED
from tests.conformance.runner import LIMIT, Runner, Test, names

# `make test` runs all under fork or in asyncio's loop, and elsewhere some that are quick.
FULL = os.environ.get("COURTYARD_CONFORMANCE") == "full"
QUICK = ("TestLock.", "TestValue.", "TestEvent.", "AioLockTests.", "AioQueueGetTests.")
METHODS = {"multiprocessing": suite.METHODS, "aio": suite.LOOPS}
NAMES = names()


def chosen(name: str) -> list[Test]:
    """Return the tests of a suite that are run."""
    methods = METHODS.get(name, ("",))
    return [
        Test(name, test, method)
        for method in methods
        for test in NAMES[name]
        if FULL or method == methods[0] or any(case in test for case in QUICK)
    ]


def reason(test: Test) -> str | None:
    """Say why a test is not run, if it is not."""
    if test.name in EXCLUDED:
        return f"cannot apply: {EXCLUDED[test.name]}"
    if test.method == "uvloop" and not importlib.util.find_spec("uvloop"):
        return "uvloop has no release for this Python"
    return None


TESTS = [test for name in NAMES for test in chosen(name)]


@pytest.fixture(scope="session")
def runner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runner]:
    """Run those of the tests that pytest was asked for, ahead of it and in its order."""
    runner = Runner(tmp_path_factory.mktemp("conformance"))
    # A process of pytest-xdist does not know which of them the others run.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        asked = [getattr(item, "callspec", None) for item in request.session.items]
        found = [callspec.params.get("test") for callspec in asked if callspec is not None]
        runner.announce([t for t in found if isinstance(t, Test) and reason(t) is None])
    yield runner
    runner.close()


@pytest.mark.limit(3 * LIMIT)
@pytest.mark.parametrize("test", TESTS, ids=str)
def test_cpython(runner: Runner, test: Test) -> None:
    why = reason(test)
    if why is not None:
        pytest.skip(why)
    outcome, detail = runner.outcome(test)
    if outcome == "passed":
        return
    standard = runner.run(test, standard=True)
    if standard.outcome != "passed":
        pytest.skip(f"{standard.outcome} with the standard class too: {standard.detail[-200:]}")
    pytest.fail(f"{outcome}, where the standard class passes: {detail}", pytrace=False)


def test_a_program_comes_to_use_the_drop_in() -> None:
    program = """\
import multiprocessing
    import multiprocessing.queues
from multiprocessing.pool import Pool
import multiprocessing_of_others
"""
    whole = "import courtyard.multiprocessing as multiprocessing"
    assert (
        suite.with_drop_in(program)
        == f"""\
{whole}
    import courtyard.multiprocessing.queues; {whole}
from courtyard.multiprocessing.pool import Pool
import multiprocessing_of_others
"""
    )


@pytest.mark.parametrize("name", list(NAMES))
def test_cpythons_tests_are_here(name: str) -> None:
    if not NAMES[name]:
        pytest.skip(f"this Python comes without the tests of {name}")


def test_what_is_excluded_is_there() -> None:
    """The list names nothing that is no longer a test; what is younger than 3.11 says so."""
    known = {name for found in NAMES.values() for name in found}
    cases = {name.partition(".")[0] for name in known}
    assert {name for name in EXCLUDED if name.partition(".")[0] in cases} <= known
