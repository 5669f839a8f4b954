"""All cells, in interleaved rounds, each in a fresh process with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import peer, workload
from benchmarks.operation import Operation

ROOT = Path(__file__).parent.parent
SHARED_MEMORY = "/dev/shm"
GRACE = 0.3  # seconds to tidy up after a hang
MOST_HANGS = 2  # hangs after which a cell is not tried again


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how long that may take."""

    rounds: int = 9
    seconds: float = 0.2  # that a figure is measured for, about
    limit: float = 20.0  # seconds that a cell may take
    minutes: float = 60.0  # that all rounds may take
    pinnings: int = 2  # ways of placing processes: the operation's first, or all
    workloads: tuple[str, ...] = workload.NAMES
    peers: tuple[str, ...] = ()  # all, if none is named
    operations: tuple[str, ...] = ()  # of these workloads; all, if none is named
    quick: bool = False  # without those that take long to start, unless they are named

    def names(self) -> list[str]:
        """Return the names of the peers that are measured."""
        return list(self.peers) or [n for n in peer.names() if not (self.quick and peer.start(n))]

    def wanted(self) -> list[tuple[str, Operation]]:
        """Return the operations that are measured, by their keys."""
        every = [
            (f"{name}/{operation.name}", operation)
            for name in self.workloads
            for operation in workload.operations(name)
        ]
        return [pair for pair in every if not self.operations or pair[0] in self.operations]


@dataclass
class Cell:
    """One operation of one peer, pinned or not, and what its rounds gave."""

    key: str
    operation: Operation
    peer: str
    variant: str
    pinning: str
    what: str = ""
    figures: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    skipped: str = ""

    def due(self, number: int) -> bool:
        """Say whether the cell is to be measured in this round."""
        if self.skipped or sum(text.startswith("hung") for text in self.failures) >= MOST_HANGS:
            return False
        rounds = 1 if peer.start(self.peer) else self.operation.rounds
        return rounds is None or number < rounds

    def measure(self, plan: Plan) -> None:
        """Measure once and keep what came of it."""
        arguments = [self.key, self.peer, self.variant, self.pinning, str(plan.seconds)]
        facts, failure = call("cell", arguments, plan.limit + peer.start(self.peer))
        self.what = facts.pop("what", self.what)
        self.skipped = facts.pop("skipped", "")
        if failure:
            self.failures.append(failure)
            print(f"{self.key}, {self.peer}, {self.pinning}: {failure}", file=sys.stderr)
        elif not self.skipped:
            self.figures.append(facts)


def call(command: str, arguments: list[str], limit: float) -> tuple[dict[str, Any], str]:
    """Run ``python -m benchmarks`` with a folder of its own; return what it said, how it failed.

    Whatever it started ends with it, and whatever it left in shared memory goes.
    """
    parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="courtyard-bench-", dir=parent)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"COURTYARD_DIR": folder},
        process_group=0,
    )
    try:
        output, errors = process.communicate(timeout=limit)
        failed = "" if process.returncode == 0 else failure(process.returncode, errors)
    except subprocess.TimeoutExpired:
        # First what multiprocessing's tracker of semaphores ignores, so that it can tidy up.
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(GRACE)
        end(process)
        output, errors = process.communicate()
        failed = f"hung after {limit:g} s"
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)
        for left in Path(SHARED_MEMORY).glob(f"{Path(folder).name}-*"):
            left.unlink(missing_ok=True)
    return said(output), failed


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def said(output: str) -> dict[str, Any]:
    """Return the facts among what a process printed."""
    facts: dict[str, Any] = {}
    for line in output.splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            facts |= found if isinstance(found, dict) else {}
    return facts


def failure(code: int, errors: str) -> str:
    """Say in a few words how a process failed."""
    if code < 0:
        return f"crashed: {signal.Signals(-code).name}"
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    return f"failed: {last}"


def probe(names: Iterable[str], reasons: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return what each peer is and offers; one that can't be imported has a reason instead.

    ``reasons`` are those for which distributions were not installed.
    """
    peers: dict[str, dict[str, Any]] = {}
    for name in names:
        facts, failed = call("probe", [name], limit=30)
        if failed:
            why = reasons.get(peer.distribution(name), "")
            reason = failed.removeprefix("failed: ") + (f" ({why})" if why else "")
            facts = {"title": name, "version": "", "offers": [], "reason": reason}
            print(f"{name} is left out: {reason}", file=sys.stderr)
        peers[name] = facts
    return peers


def cells(plan: Plan, peers: dict[str, dict[str, Any]]) -> list[Cell]:
    """Return all cells, those of one operation next to each other."""
    return [
        Cell(key, operation, who, offer.partition(":")[2], pinning)
        for key, operation in plan.wanted()
        for pinning in operation.pinnings[: plan.pinnings]
        for who, facts in peers.items()
        for offer in facts["offers"]
        if offer.partition(":")[0] == operation.offer
    ]


def run(plan: Plan, reasons: dict[str, str]) -> tuple[dict[str, dict[str, Any]], list[Cell]]:
    """Measure every cell in every round, as far as the time goes; return the peers and the cells.

    Each round begins with another peer, so that none always follows the same one.
    """
    begun, longest = time.monotonic(), 0.0
    deadline = begun + plan.minutes * 60
    peers = probe(plan.names(), reasons)
    order = list(peers)
    table = cells(plan, peers)
    for number in range(plan.rounds):
        started = time.monotonic()
        if number and started + longest > deadline:
            print(f"no time for round {number + 1} of {plan.rounds}", file=sys.stderr)
            break
        turn = order[number % len(order) :] + order[: number % len(order)]
        due = [cell for cell in table if cell.due(number)]
        places = {(cell.key, cell.pinning): place for place, cell in reversed([*enumerate(due)])}
        for cell in sorted(due, key=lambda c: (places[c.key, c.pinning], turn.index(c.peer))):
            if time.monotonic() > deadline:
                print(f"out of time in round {number + 1}", file=sys.stderr)
                return peers, table
            cell.measure(plan)
        taken = time.monotonic() - started
        longest = max(longest, taken)
        told = f"round {number + 1} of {plan.rounds}: {len(due)} cells in {taken:.0f} s"
        print(told, file=sys.stderr)
    return peers, table
