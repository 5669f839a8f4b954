"""A /dev/shm of 64 MB, as Docker gives: full to the brim of a Dict or a Queue, and used again.

Each test runs in a mount namespace of its own, where /dev/shm is such a file system.
"""

import os
import pickle
import queue
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, kill, run_command, run_script

ROOT = Path(__file__).parent.parent.parent
SIZE = 64 << 20
WRITERS = 3
SIZES = (200_000, 5_000, 200, 1)  # of values: the next one when there is no room for more
MOUNT = f"mount -t tmpfs -o size={SIZE} none /dev/shm && "


def unshared(command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell's command where /dev/shm is small and empty; in any user's own namespace."""
    in_a_namespace = ["env", "-u", "COURTYARD_DIR", "unshare", "-Urm", "sh", "-c", MOUNT + command]
    return run_command(in_a_namespace, cwd=ROOT, limit=55, check=False)


def reason() -> str:
    """Say why no such namespace can be made here; nothing, if it can."""
    try:
        done = unshared("true")
    except OSError as error:
        return str(error)
    return done.stderr.strip() or "it failed" if done.returncode else ""


REASON = reason()
needs_a_namespace = pytest.mark.skipif(
    bool(REASON), reason=f"no small /dev/shm can be mounted here (unshare -Urm): {REASON}"
)


def free() -> int:
    """Return the bytes left in /dev/shm."""
    found = os.statvfs("/dev/shm")
    return found.f_bavail * found.f_frsize


def value(writer: int, number: int, size: int) -> tuple[int, int, bytes]:
    """Return a value that shows whether it is whole."""
    return writer, number, bytes([(writer + number) % 251]) * size


def check_message(error: cy.SpaceFull) -> None:
    """See that it says what is full, and what to do."""
    assert isinstance(error, MemoryError)
    for part in ("/dev/shm", "No space left on device", "COURTYARD_DIR", "--shm-size"):
        assert part in str(error), error


def write(d: Any, writer: int, pipe: int) -> None:
    """Store until not even a byte more goes in; tell of each value that was stored."""
    number = 0
    for size in SIZES:
        while True:
            try:
                d[writer, number] = value(writer, number, size)
            except cy.SpaceFull as error:
                check_message(error)
                break
            os.write(pipe, size.to_bytes(4, "little"))
            number += 1


def told(pipe: int) -> list[int]:
    """Return the sizes that a writer has told of, all of them once it is dead."""
    data = b""
    while piece := os.read(pipe, 1 << 20):
        data += piece
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def fill(d: Any, killed: int | None = None) -> int:
    """Have several fill it at once; see that it holds what they stored; return how many bytes."""
    before, children, reports = dict(d), [], []
    for writer in range(WRITERS):
        report, pipe = os.pipe()
        children.append(fork(write, d, writer, pipe))
        os.close(pipe)
        reports.append(report)
    if killed is not None:
        assert d.wait_for(lambda d: (killed, 20) in d, 20)
        kill(children[killed])
    sizes = [told(report) for report in reports]
    for writer, child in enumerate(children):
        if writer != killed:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    found = dict(d)
    for writer, written in enumerate(sizes):
        for number, size in enumerate(written):
            assert found.pop((writer, number)) == value(writer, number, size)
    if killed is not None:  # one may be stored and not told of
        number = len(sizes[killed])
        last = found.pop((killed, number), value(killed, number, 0))
        assert last == value(killed, number, len(last[2]))
    assert found == before
    d.check()
    return sum(sum(written) for written in sizes)


def fill_dict() -> None:
    d: Any = cy.Dict()
    d["large"] = "x" * 1000
    stored = fill(d)
    assert stored > SIZE * 0.8, stored
    assert free() < 300_000, free()
    # What needs no room goes on, and what does changes nothing.
    d["large"] = 1
    assert d.increment("large") == 2
    before, version = dict(d), d.version
    large = b"x" * 500_000
    for change in (
        lambda: d.__setitem__("large", large),
        lambda: d.update(large=5, larger=large),
        lambda: d.mutate("large", lambda _: large),
        lambda: d.setdefault("new", large),
        lambda: cy.Value(object, large),
    ):
        with pytest.raises(cy.SpaceFull) as raised:
            change()
        check_message(raised.value)
    assert (dict(d), d.version) == (before, version)
    d.check()
    for killed in (None, 1):
        d.clear()
        assert len(d) == 0
        again = fill(d, killed)
        assert again > stored * 0.9, (stored, again)
        assert free() < 300_000, free()
    d.clear()
    d["again"] = large
    assert d["again"] == large
    assert pickle.loads(pickle.dumps(d))["again"] == large
    d.check()
    print(f"{stored} bytes, then {again}")


def fill_up(q: Any) -> int:
    """Put items of all sizes until not even a byte more goes in; return how many."""
    count = 0
    for size in SIZES:
        while True:
            try:
                q.put_nowait(value(0, count, size))
            except queue.Full:  # a get would make room
                break
            count += 1
    assert q.qsize() == count
    assert free() < 300_000, free()
    return count


def put_late(q: Any, turn: Any, rounds: int) -> None:
    """Put one more when it is full, which waits until something is taken out."""
    for number in range(1, rounds + 1):
        assert turn.wait_for(number, 50)
        q.put(("late", number), timeout=30)


def fill_queue() -> None:
    q: Any = cy.Queue()
    turn, counts = cy.Value("i"), []
    child = fork(put_late, q, turn, 3)
    for number in range(1, 4):
        counts.append(fill_up(q))
        with pytest.raises(queue.Full):  # there is something to take out: waiting may help
            q.put(value(0, 0, SIZES[0]), timeout=0.1)
        assert q.qsize() == counts[-1]
        turn.value = number
        for expected in range(counts[-1]):
            item = q.get(timeout=20)
            assert item == value(0, expected, len(item[2]))
        assert q.get(timeout=20) == ("late", number)
        assert q.empty()
        q.check()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert min(counts[1:]) > counts[0] * 0.9, counts
    print(f"{counts} items")


def get_one(q: Any, number: int) -> None:
    assert q.get(timeout=20)[:2] == (0, number)


def fill_before_others_come() -> None:
    q: Any = cy.Queue()
    count = fill_up(q)
    child = fork(get_one, q, 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    script = "import sys, pickle; from tests.cases.test_small_machine import get_one; "
    script += "get_one(pickle.loads(bytes.fromhex(sys.argv[1])), int(sys.argv[2]))"
    for number in (1, 2):
        run_script(script, pickle.dumps(q).hex(), str(number), cwd=ROOT, limit=40)
    assert q.qsize() == count - 3
    q.check()
    print("they took three")


def run(function: str) -> str:
    """Run a function of this module there; return what it printed."""
    program = f"from tests.cases.test_small_machine import {function}; {function}()"
    done = unshared(f"{sys.executable} -c '{program}' && ls -A /dev/shm/*")
    assert done.returncode == 0, done.stderr
    printed, *left = done.stdout.splitlines()
    assert left == [], "files are left"
    return printed


@needs_a_namespace
@pytest.mark.parametrize("what", ["dict", "queue"])
def test_filled_to_the_brim_and_used_again(what: str) -> None:
    print(run(f"fill_{what}"))


@needs_a_namespace
def test_who_comes_when_all_is_full() -> None:
    print(run("fill_before_others_come"))
