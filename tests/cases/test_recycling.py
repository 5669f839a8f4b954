"""Processes that come by the thousand, use what is shared, and leave, some of them killed.

``fork`` inherits its handles; ``attach`` is a program of its own, which gets them as a pickle.
"""

import gc
import itertools
import os
import pickle
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_memory import folder
from tests.object.test_sharing import eventually
from tests.support.children import die_with_parent, fork, run_script

PROCESSES = {"small": 300, "full": 1000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 100)
PARTS = 5  # after each of which there is no more than after the first
ROUNDS = 20  # of changes, by those that are not killed
TOGETHER = 4  # processes at a time


def dies(number: int) -> bool:
    return number % 3 == 0


def use(number: int, objects: Any) -> None:
    """Change everything, and make some of one's own; for ever, if one is to be killed."""
    tally, words, queue, lock, cells = objects
    own: list[Any] = [cy.Dict(a=[1, 2]), cy.Value(object, "x" * 5000), cy.Queue()]
    for turn in itertools.count() if dies(number) else range(ROUNDS):
        tally.update({number: 1, "all": 1})  # one change
        words[f"word {number % 10}"] = f"{number} " * (100 * (turn % ROUNDS))
        words[own[1].value[:1]] = number
        with lock:
            cells[0] += 1  # two operations, and one more:
            cells[1] = cells[0]
        own[2].put(turn)
        queue.put((number, turn))
        queue.get(timeout=20)


def attach() -> None:
    """Do the same in a program that nobody forked: what it needs comes through a pipe."""
    die_with_parent()
    use(int(sys.argv[1]), pickle.load(sys.stdin.buffer))


ATTACH = "from tests.cases.test_recycling import attach; attach()"


class Children:
    """A few at a time; every third of them is killed at a random moment."""

    def __init__(self, objects: Any) -> None:
        self.objects, self.chance = objects, random.Random(PROCESSES)
        # One pickle for all: its tickets are gone with its first load, whoever dies before.
        self.pickle = pickle.dumps(objects)
        pickle.loads(self.pickle)
        self.living: dict[int, tuple[int, int, float]] = {}  # number, pidfd, when it is killed
        self.finished: list[int] = []
        self.killed = 0

    def begin(self, number: int) -> None:
        if number % 10:
            child, life = fork(use, number, self.objects), 0.02
        else:
            command = [sys.executable, "-c", ATTACH, str(number)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE)
            assert process.stdin is not None
            with process.stdin as pipe:
                pipe.write(self.pickle)
            process.returncode = 0  # it is waited for in end()
            child, life = process.pid, 0.4
        end = time.monotonic() + (life * self.chance.random() if dies(number) else 60)
        self.living[child] = number, os.pidfd_open(child), end

    def end(self, most: int) -> None:
        """Wait until no more than so many live."""
        while len(self.living) > most:
            first = min(end for _, _, end in self.living.values())
            fds = [fd for _, fd, _ in self.living.values()]
            select.select(fds, [], [], max(0, first - time.monotonic()))
            for child, (number, fd, end) in list(self.living.items()):
                if time.monotonic() >= end:
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                elif not select.select([fd], [], [], 0)[0]:
                    continue
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                os.close(fd)
                del self.living[child]
                if code == 0:
                    self.finished.append(number)
                else:
                    assert (code, dies(number)) == (-signal.SIGKILL, True), (code, number)
                    self.killed += 1


def belongings(probe: Any) -> dict[str, int]:
    """Count what must not become more."""
    gc.collect()
    space = probe.statistics().space
    place = Path(os.environ["COURTYARD_DIR"])
    return {
        "participants": space.participants,
        "objects": space.objects,
        "tickets": space.tickets,
        "live blocks": space.live_blocks,
        "bytes used": space.used,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "files": len(os.listdir(place)),
    }


def resident() -> int:
    """Return the bytes of memory of this process's own."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


def reset(objects: Any) -> None:
    """Take out what has come, whoever died with the lock in hand."""
    tally, words, queue, lock, cells = objects
    tally.clear()
    words.update(dict.fromkeys((f"word {number}" for number in range(10)), ""))
    while not queue.empty():
        queue.get_nowait()
    with lock:
        cells[:] = [0, 0]


def recycle() -> None:
    """Run them all; to be called in a process with a folder of its own."""
    objects: Any = cy.Counter(), cy.Dict(), cy.Queue(), cy.Lock(), cy.Array("q", 2)
    tally, words, queue, lock, cells = objects
    warm = [cy.Value("i") for _ in range(500)]  # the space's tables have grown
    del warm
    queue.put(None)  # and this process's own are there
    reset(objects)
    children, figures, memory, sizes = Children(objects), [], [], []
    for part in range(PARTS):
        for number in range(part * PROCESSES // PARTS, (part + 1) * PROCESSES // PARTS):
            children.begin(number)
            children.end(TOGETHER)
        children.end(0)
        # What was counted is what they did, however they ended.
        counts = dict(tally)
        total = counts.pop("all")
        assert total == sum(counts.values())
        assert all(counts[number] == ROUNDS for number in children.finished)
        with lock:
            assert not lock.recovered or cells[0] - cells[1] in (0, 1)
        assert ROUNDS * len(children.finished) <= cells[0] <= total
        assert queue.qsize() <= children.killed  # who was killed between put and get
        reset(objects)
        children.finished.clear()
        for obj in (tally, words, queue, cells):
            obj.check()
        assert eventually(lambda: tally.statistics().space.participants == 1, 30)
        figures.append(belongings(tally))
        memory.append(resident())
        sizes.append(tally.statistics().space.size)
    print(f"{PROCESSES} processes, {children.killed} killed: {figures[-1]}, {sizes[-1]} bytes")
    assert children.killed >= PROCESSES // 3
    first = dict(figures[0])
    for figure in figures:
        # The engine's tables double when more rows than ever are in use, and stay so.
        blocks, used = (figure.pop(name) for name in ("live blocks", "bytes used"))
        assert blocks <= first["live blocks"] + 3, (first, figures)
        assert used <= first["bytes used"] + 100_000, (first, figures)
    assert figures == figures[:1] * PARTS, figures
    assert max(sizes) <= 1.25 * sizes[0], sizes
    assert memory[-1] <= memory[0] + 2_000_000, memory


@pytest.mark.limit(60 + PROCESSES / 4)
def test_many_that_come_and_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = folder(tmp_path)
    program = "from tests.cases.test_recycling import recycle; recycle()"
    result = run_script(program, limit=50 + PROCESSES / 4, env={"COURTYARD_DIR": str(made)})
    assert os.listdir(made) == []
    if "COURTYARD_TORTURE_SIZE" in os.environ:
        with capsys.disabled():
            print(f"\n{result.stdout}", end="")
