"""Processes that work for the demonstration, and end with it."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from typing import Any

import courtyard as cy

SPAWN = multiprocessing.get_context("spawn")


class Crew:
    """Worker processes; leaving it ends those that still live, by an error or Ctrl-C too."""

    def __init__(self, target: Callable[..., None], *args: Any) -> None:
        self.target, self.args = target, args
        self.processes: list[SpawnProcess] = []

    def hire(self, count: int = 1) -> None:
        """Start more workers."""
        for _ in range(count):
            process = SPAWN.Process(target=self.target, args=self.args, daemon=True)
            with undisturbed():  # until it is known: Ctrl-C ends those that are
                process.start()
                self.processes.append(process)

    def kill_one(self) -> int:
        """Kill the first worker with SIGKILL; return its PID."""
        process = self.processes.pop(0)
        process.kill()
        process.join()
        return process.pid or 0

    def is_working(self) -> bool:
        """Say whether some worker has not ended; raise RuntimeError if one has failed."""
        for process in self.processes:
            if process.exitcode:
                raise RuntimeError(f"worker {process.pid} failed with exit code {process.exitcode}")
        return any(process.exitcode is None for process in self.processes)

    def __enter__(self) -> Crew:
        return self

    def dismiss(self) -> None:
        """End those that still live."""
        for process in self.processes:
            process.kill()
            process.join()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            for process in self.processes:
                process.join(5)
        self.dismiss()


@contextmanager
def own_space() -> Iterator[cy.Space]:
    """Have a space that is gone in the end: also with what a worker had not unpickled yet."""
    space = cy.Space()
    try:
        yield space
    finally:
        space.destroy(force=True)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Start children that don't hear of Ctrl-C: their parent does, and ends them.

    The parent hears of it at the end of the block. The mask is for the children, who inherit it:
    another thread of this process, such as the one that draws a bar, takes the signal all the same,
    and its handler then runs in the main thread.
    """
    heard: list[int] = []
    resource_tracker.ensure_running()  # its start would lift the mask
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if heard:
        signal.raise_signal(signal.SIGINT)
