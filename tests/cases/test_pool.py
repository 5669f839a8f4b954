"""Executors and joblib: a Dict, Value, Queue, Lock and Array go with the workers and the tasks."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import die_with_parent, run_script

TASKS = 60
given: Any = None


def make() -> Any:
    """Return what the workers share: what was found, done, put, guarded and summed."""
    return cy.Dict(), cy.Value("i"), cy.Queue(), cy.Lock(), cy.Array("q", 2)


def take(*objects: Any) -> None:
    global given
    given = objects


def initialize(*objects: Any) -> None:
    die_with_parent()
    take(*objects)


def repaired(objects: Any) -> None:
    """Set right, as the lock's holder, what its last one may have left half done."""
    found, _, _, lock, sums = objects
    if lock.recovered:
        sums[:] = [len(found), sum(found)]


def work(objects: Any, number: int, die: bool = False) -> bool:
    """Do a task once, however often it is sent; return whether this was it."""
    found, done, results, lock, sums = objects or given
    with lock:
        repaired((found, done, results, lock, sums))
        if number in found:
            return False
        found[number] = os.getpid()
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
        sums[0] += 1
        sums[1] += number
    done.increment()
    results.put((number, ["any", "object"]))
    return True


def check(objects: Any, dead: int = 0) -> None:
    """See that each task was done once, though perhaps not told of by a worker that died."""
    found, done, results, lock, sums = objects
    with lock:
        repaired(objects)
    assert sorted(found) == list(range(TASKS))
    assert list(sums) == [TASKS, sum(range(TASKS))]
    told = dict(results.get_many(TASKS + 1, timeout=0))
    assert set(told) <= set(found)
    assert results.empty()
    assert all(item == ["any", "object"] for item in told.values())
    assert TASKS - dead <= len(told) <= done.value <= TASKS


@pytest.mark.parametrize("way", ["initargs", "tasks"])
def test_executor(ctx: BaseContext, way: str) -> None:
    objects = make()
    sent, arguments = (None, objects) if way == "initargs" else (objects, ())
    with ProcessPoolExecutor(2, ctx, initialize, arguments) as executor:
        numbers = [*range(TASKS), *range(5)]
        assert sum(executor.map(work, [sent] * len(numbers), numbers)) == TASKS
    check(objects)


def test_a_pool_that_recycles_its_workers(ctx: BaseContext) -> None:
    """Of multiprocessing: an executor's `max_tasks_per_child` hangs, CPython issue 115634."""
    objects = make()
    # A thread of the pool starts the new ones: they would die with it, not with this process.
    with ctx.Pool(2, take, objects, maxtasksperchild=10) as pool:
        assert sum(pool.starmap(work, [(None, n) for n in range(TASKS)], 1)) == TASKS
        assert len(set(objects[0].values())) >= TASKS // 10
    check(objects)


def test_an_executor_whose_worker_is_killed(ctx: BaseContext) -> None:
    """It is broken, as the standard library has it; what it shared is not."""
    objects, died = make(), 0
    found = objects[0]
    while missing := [number for number in range(TASKS) if number not in found]:
        with ProcessPoolExecutor(
            2, mp_context=ctx, initializer=initialize, initargs=objects
        ) as executor:
            futures = []
            with suppress(BrokenProcessPool):  # which may be seen while more is sent
                for number in missing[: 30 if died < 2 else TASKS]:
                    dies = died < 2 and number == missing[5]
                    futures.append(executor.submit(work, None, number, dies))
            broken = [isinstance(future.exception(), BrokenProcessPool) for future in futures]
        died += any(broken)
    assert died == 2
    check(objects, dead=2 * died)


JOBLIB = """
import sys
from joblib import Parallel, delayed
from tests.cases.test_pool import TASKS, check, make, work
if __name__ == "__main__":
    objects = make()
    with Parallel(n_jobs=2, backend=sys.argv[1]) as parallel:
        done = parallel(delayed(work)(objects, n) for n in [*range(TASKS), *range(5)])
    assert sum(done) == TASKS, done
    check(objects)
"""


@pytest.mark.parametrize("backend", ["loky", "fork", "spawn", "forkserver"])
def test_joblib(backend: str) -> None:
    """Its own loky starts its workers in a way of its own; joblib's multiprocessing in any."""
    pytest.importorskip("joblib", reason="it comes with the extra `test`")
    if backend == "loky":
        run_script(JOBLIB, "loky", limit=50)
    else:
        run_script(JOBLIB, "multiprocessing", limit=50, env={"JOBLIB_START_METHOD": backend})
