"""Free memory goes back to the system, and is reserved before it is used again."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from courtyard import _report
from tests.object.test_memory import folder, mountable
from tests.support.children import run_command, running

MIB = 1 << 20


def taken(space: cy.Space) -> int:
    return space._opened().memory()[2]


def live(space: cy.Space) -> int:
    return space._opened().memory()[0]


def drained_queue(space: cy.Space) -> Callable[[], None]:
    queue = space.Queue()
    for _ in range(150):
        queue.put(b"x" * MIB)

    def drain() -> None:
        for _ in range(150):
            queue.get()

    return drain


def drained_texts(space: cy.Space) -> Callable[[], None]:
    queue = space.Queue()
    for _ in range(100_000):
        queue.put("x" * 1000)

    def drain() -> None:
        for _ in range(50_000):
            queue.get()
        while not queue.empty():
            queue.get_many(1000)

    return drain


def drained_numbers(space: cy.Space) -> Callable[[], None]:
    queue = space.Queue()
    for _ in range(40):
        queue.put_many(range(100_000))

    def drain() -> None:
        for _ in range(1000):
            queue.get_many(4000)

    return drain


def leased_texts(space: cy.Space) -> Callable[[], None]:
    queue = space.Queue()
    for _ in range(60_000):
        queue.put("x" * 1000)

    def drain() -> None:
        for _ in range(60_000):
            with queue.lease():
                pass

    return drain


def cleared_dict(space: cy.Space) -> Callable[[], None]:
    table = space.dict({number: "x" * 500 for number in range(150_000)})
    return table.clear


def emptied_dict(space: cy.Space) -> Callable[[], None]:
    table = space.dict({number: "x" * 500 for number in range(100_000)})

    def empty() -> None:
        for number in range(100_000):
            del table[number]

    return empty


def popped_list(space: cy.Space) -> Callable[[], None]:
    numbers = space.list(["x" * 1000] * 60_000)

    def pop() -> None:
        while numbers:
            del numbers[-1000:]

    return pop


def last_handle(space: cy.Space) -> Callable[[], None]:
    held: list[Any] = [space.list(["x" * 1000] * 60_000), space.Array("b", 60 * MIB)]
    return held.clear


@pytest.mark.parametrize(
    "make",
    [
        drained_queue,
        drained_texts,
        drained_numbers,
        leased_texts,
        cleared_dict,
        emptied_dict,
        popped_list,
        last_handle,
    ],
)
def test_what_is_freed_goes_back(make: Callable[[cy.Space], Callable[[], None]]) -> None:
    with cy.Space() as space:
        kept = space.Value("i", 7)
        free = make(space)
        peak = taken(space)
        assert peak > 50 * MIB
        free()
        left = taken(space)
        assert left - live(space) < 16 * MIB
        assert left <= peak / 10, f"{left / MIB:.1f} of {peak / MIB:.1f} MiB stay"
        space.check()
        assert space.trim() > 0
        assert taken(space) - live(space) < MIB
        assert kept.value == 7
        space.check()


def test_trim_says_what_went_back() -> None:
    with cy.Space() as space:
        queue = space.Queue()
        queue.put(b"x" * MIB)
        queue.get()
        before = taken(space)
        given = space.trim()
        assert given > MIB // 2
        assert taken(space) == before - given
        assert space.trim() == 0
    with pytest.raises(cy.Closed):
        space.trim()


def test_figures_agree() -> None:
    with cy.Space() as space:
        table = space.dict({number: "x" * 500 for number in range(10_000)})
        table.clear()
        space.trim()
        found = space.statistics()
        in_units, free_units, taken = space._opened().memory()
        assert found.taken == taken
        assert found.used + found.free == found.size == in_units + free_units
        assert found.used <= in_units
        assert _report.statistics(space) == space.statistics(), "what the command shows"


def test_what_was_given_back_is_zeros_for_nobody() -> None:
    """What takes the memory again finds what it puts there, and nothing else changes."""
    with cy.Space() as space:
        table = space.dict()
        for turn in range(5):
            for number in range(40):
                table[number] = bytes([turn]) * (MIB // 2 + number)
            for number in range(0, 40, 2):
                del table[number]
            if turn % 2:
                space.trim()
            for number in range(1, 40, 2):
                assert table[number] == bytes([turn]) * (MIB // 2 + number)
            space.check()


CHURN = """
import os, queue as standard, sys, time, courtyard as cy
space = cy.Space("churn")
table = space.named("table", cy.Dict)
queue = space.named("queue", cy.Queue)
numbers = space.named("numbers", cy.List)
end = time.monotonic() + float(sys.argv[2])
turn = 0
while time.monotonic() < end:
    turn += 1
    try:
        if sys.argv[1] == "write":
            size = (turn * 7919) % 300_000 if turn % 3 else 200
            for number in range(8):
                table[number] = bytes([number]) * size
            queue.put_nowait(b"q" * size)
            numbers.extend(range(3000))
            if turn % 2:
                table.clear()
                del numbers[:]
                queue.get_nowait()
                space.trim()
        elif sys.argv[1] == "fill":
            with open(os.environ["COURTYARD_DIR"] + "/filler", "wb", buffering=0) as filler:
                try:
                    while filler.write(b"f" * 4096):
                        pass
                except OSError:
                    pass
                time.sleep(0.002)
        else:
            for number in range(8):
                found = table.get(number)
                assert found is None or set(found) <= {number}
            for found in numbers[:10]:
                assert found < 3000
            table.items(), numbers == [], queue.qsize(), 3 in table
            try:
                numbers[2000]
            except IndexError:
                pass
    except (cy.SpaceFull, standard.Empty, standard.Full):
        pass
print("fine")
"""


@pytest.mark.skipif(not mountable(), reason="no tmpfs can be mounted here (unshare -m)")
def test_a_full_file_system_kills_nobody(tmp_path: Path) -> None:
    """Readers that may look at what is being given back, while somebody else takes all there is."""
    made = folder(tmp_path)
    script = tmp_path / "churn.py"
    script.write_text(CHURN)
    roles = ["write", "read", "read", "fill"]
    commands = " & ".join(
        f"({sys.executable} {script} {role} 6 || echo {role} $?)" for role in roles
    )
    open_it = f"{sys.executable} -c 'import courtyard as cy; cy.Space(\"churn\")'"
    check = f"{sys.executable} -c 'import courtyard as cy; cy.Space(\"churn\").check()'"
    mount = f"mount -t tmpfs -o size=12m,mode=0700 none {made}"
    result = run_command(
        ["unshare", "-m", "sh", "-c", f"{mount} && {open_it} && {commands} & wait; {check}"],
        env={"COURTYARD_DIR": str(made)},
        limit=50,
        check=False,
    )
    assert (result.stdout, result.returncode) == ("fine\n" * 4, 0), result.stdout + result.stderr


KILLED = """
import sys, courtyard as cy
space = cy.Space(sys.argv[1])
table = space.named("table", cy.Dict)
numbers = space.named("numbers", cy.List)
print("ready", flush=True)
while True:
    for number in range(4):
        table[number] = b"x" * 400_000
    numbers.extend(range(20_000))
    table.clear()
    numbers.clear()
    space.trim()
"""


def test_killed_while_it_gives_back(tmp_path: Path) -> None:
    name = f"killed-{os.getpid()}"
    space = cy.Space(name)
    try:
        space.named("table", cy.Dict)
        space.named("numbers", cy.List)
        for turn in range(25):
            with running([sys.executable, "-c", KILLED, name]) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == "ready\n"
                time.sleep(0.003 * turn)
            space.check()
        space["table"].clear()
        space["numbers"].clear()
        space.trim()
        assert taken(space) - live(space) < 2 * MIB
        space.check()
    finally:
        space.destroy(force=True)
