"""The demonstration's job: which words are in the files of a folder, and how often.

The same job three times: in one process, by workers that share courtyard's objects, and by workers
that share those of a ``multiprocessing.Manager``.
"""

from __future__ import annotations

import collections
import multiprocessing
import queue
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import courtyard as cy
from courtyard.cli.demo.crew import SPAWN, Crew, own_space, undisturbed

WORD = re.compile(r"\w+")
PART = 1 << 16  # characters read at a time: memory is bounded, whatever the file


@dataclass
class Index:
    """What came out: how often each word occurs, and the longest file; of how many files."""

    words: collections.Counter[Any]
    longest: tuple[int, str]
    files: int
    seconds: float


def files_of(folder: Path, pattern: str) -> list[str]:
    """Return the paths of a folder's files, in order; without those of installed packages."""
    paths = (path for path in folder.rglob(pattern) if path.is_file())
    return sorted(str(path) for path in paths if "site-packages" not in path.parts)


def read(path: str) -> tuple[collections.Counter[Any], int]:
    """Return how often each word occurs in a file, and its number of lines."""
    words: collections.Counter[Any] = collections.Counter()
    lines, rest = 0, ""
    with open(path, encoding="utf-8", errors="replace") as file:
        for part in iter(lambda: file.read(PART), ""):
            lines += part.count("\n")
            end = 1 + max(part.rfind(" "), part.rfind("\n"))  # 0: no word can be so long
            words.update(WORD.findall(rest + part[: end or None]))
            rest = part[end:] if end else ""
    words.update(WORD.findall(rest))
    return words, lines


def alone(paths: list[str], told: Callable[[int], None]) -> Index:
    """Do it in this process."""
    begun = time.perf_counter()
    words: collections.Counter[Any] = collections.Counter()
    longest = (0, "")
    for number, path in enumerate(paths, 1):
        counted, lines = read(path)
        words.update(counted)
        longest = max(longest, (lines, path))
        told(number)
    return Index(words, longest, len(paths), time.perf_counter() - begun)


@dataclass
class Shared:
    """What the workers share; it is handed to them like any argument."""

    paths: cy.Queue[str]
    words: cy.Counter[Any]
    done: cy.Value[int]
    longest: cy.Value[Any]
    lock: cy.Lock


def work(shared: Shared) -> None:
    """Take one path after another, until the queue is shut down."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        try:
            # If this process is killed inside, the path goes back: first in line.
            with shared.paths.lease(timeout=1) as path:
                count(shared, path)
        except queue.Empty:
            continue
        except cy.ShutDown:
            break


def count(shared: Shared, path: str) -> None:
    """Count the words of a file, once, whoever was killed while at it before."""
    counted, lines = read(path)
    mark = ("counted", path)
    if not shared.words[mark]:
        counted[mark] = 1
        shared.words.update(counted)  # one change: all of the words and the mark, or nothing
    with shared.lock:
        shared.longest.value = max(shared.longest.value, (lines, path))
    shared.done.increment()


def together(
    paths: list[str],
    workers: int,
    told: Callable[[int], None],
    killed: Callable[[int, int], None],
) -> Index:
    """Do it with several processes; kill one of them half way, and put another in its place."""
    with own_space() as space:
        shared = Shared(
            space.Queue(),
            space.Counter(),
            space.Value(int, 0),
            space.Value(object, (0, "")),
            space.Lock(),
        )
        begun = time.perf_counter()
        shared.paths.put_many(paths)
        with Crew(work, shared) as crew:
            crew.hire(workers)
            all_live = True
            while all_live or shared.paths.unfinished_tasks:
                seen = shared.done.value
                told(min(seen, len(paths)))
                if all_live and seen >= len(paths) // 2:
                    killed(crew.kill_one(), seen)
                    crew.hire()
                    all_live = False
                crew.is_working()
                shared.done.wait_for(lambda done, seen=seen: done != seen, 0.1)
            seconds = time.perf_counter() - begun
            shared.paths.shutdown()
        told(len(paths))
        words = shared.words.copy()
        longest = shared.longest.value
    for path in paths:
        del words["counted", path]
    return Index(words, longest, len(paths), seconds)


def work_by_manager(paths: Any, words: Any, lock: Any, done: Any) -> None:
    """Take one path after another, and count in a Manager's dict."""
    while True:
        try:
            path = paths.get_nowait()
        except queue.Empty:
            break
        counted, _ = read(path)
        with lock:
            for word, number in counted.items():
                words[word] = words.get(word, 0) + number
            done.value += 1


def by_manager(paths: list[str], workers: int, told: Callable[[int], None], limit: float) -> Index:
    """Do it with several processes and a ``multiprocessing.Manager``, for so many seconds."""
    manager = SyncManager(ctx=SPAWN)
    with undisturbed():
        manager.start()
    with manager:
        todo, words, lock = manager.Queue(), manager.dict(), manager.Lock()
        done = manager.Value("q", 0)
        begun = time.perf_counter()
        for path in paths:
            todo.put(path)
        with Crew(work_by_manager, todo, words, lock, done) as crew:
            crew.hire(workers)
            while crew.is_working() and time.perf_counter() - begun < limit:
                told(done.value)
                time.sleep(0.1)
            seconds = time.perf_counter() - begun
            files = done.value
            crew.dismiss()
        told(files)
        return Index(collections.Counter(words.copy()), (0, ""), files, seconds)
