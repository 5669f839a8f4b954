"""Processes killed at random while they contend: no lost change, no hang, no leak."""

import ctypes
import gc
import multiprocessing
import os
import pickle
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support.campaign import Campaign, Hang, Kind, Lost, held
from tests.support.children import start

pytestmark = pytest.mark.usefixtures("own_home")

Value: Any = cy.Value
RawValue: Any = cy.RawValue
SIZE = os.environ.get("COURTYARD_TORTURE_SIZE", "")
KILLS = {"small": 3000, "full": 20_000}.get(SIZE, 150)
LARGE = 2**100  # with any digits on top of it: never a word, always a block


def increment(value: Any, step: int) -> None:
    value.increment(step)


def add_under_lock(value: Any, step: int) -> None:
    with held(value.get_lock()):
        value.value += step


def add_by_exchange(value: Any, step: int) -> None:
    while True:
        old = value.value
        if value.compare_exchange(old, old + step):
            return


def add_to_tuple(value: Any, step: int) -> None:
    """Count in a large object, all of whose elements are equal at all times."""
    with held(value.get_lock()):
        new = read_tuple(value) + step
        value.value = (new,) * (300 + new % 3 * 400)


def read_tuple(value: Any) -> int:
    found = value.value
    assert len(set(found)) == 1, f"torn: {set(found)}"
    return int(found[0])


WORDS = 8000


def add_to_bytes(value: Any, step: int) -> None:
    """Count in many bytes, all of whose words are equal at all times.

    Copying them takes about half of the time, so many of the killed are killed half-way: random
    kills seldom hit the few instructions of a change that is small.
    """
    with held(value.get_lock()):
        value.raw = struct.pack("=Q", read_bytes(value) + step) * WORDS


def read_bytes(value: Any) -> int:
    data = value.raw
    assert data == data[:8] * WORDS, f"torn: {set(memoryview(data).cast('Q'))}"
    return int(struct.unpack_from("=Q", data)[0])


class Pair:
    """Two numbers under a Lock that says who may repair them: they differ only after a death."""

    def __init__(self) -> None:
        self.lock, self.first, self.second = cy.Lock(), RawValue("q"), RawValue("q")

    def add(self, step: int) -> None:
        with held(self.lock):
            if self.lock.recovered:
                self.second.value = self.first.value
            assert self.first.value == self.second.value, "half done, and no word of a death"
            self.first.value += step
            self.second.value += step


def number(make: Callable[[], Any], *adds: Callable[[Any, int], None]) -> Kind:
    return Kind(make, adds, lambda value: int(value.value))


KINDS = {
    "raw": number(lambda: RawValue("q"), increment),
    "word": number(lambda: Value("q"), increment),
    "guarded": number(lambda: Value("q"), add_under_lock),
    "exchange": number(lambda: Value("q"), add_by_exchange),
    "mixed": number(lambda: Value(int), increment, add_under_lock, add_by_exchange),
    "lock": Kind(Pair, [Pair.add], lambda pair: int(pair.first.value)),
    "bytes": Kind(lambda: Value(ctypes.c_char * (8 * WORDS)), [add_to_bytes], read_bytes),
    "tuple": Kind(lambda: Value(object, (0,) * 300), [add_to_tuple], read_tuple),
    "large": Kind(
        lambda: Value(object, LARGE),
        [increment, add_by_exchange, add_under_lock],
        lambda value: int(value.value) - LARGE,
    ),
}


def disturb(chance: random.Random) -> None:
    """Take and give back memory of all sizes, which belongs to nobody else."""
    values = [Value(object, bytes(chance.randrange(1 << chance.randrange(18)))) for _ in range(3)]
    values[0].value = b"x" * chance.randrange(100_000)
    assert len(values[0].value) < 100_000
    with cy.Lock():
        values[1].wait_for(lambda _: False, 0.0005)


def belongings(probe: Any) -> dict[str, int]:
    """Count what must not become more, however many were killed."""
    gc.collect()
    space = probe.statistics().space
    folder = os.environ["COURTYARD_DIR"]
    maps = Path("/proc/self/maps").read_text().splitlines()
    return {
        "objects": space.objects,
        "participants": space.participants,
        "live blocks": space.live_blocks,
        "bytes used": space.used,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mappings": sum(folder in line for line in maps),
        "files": len(os.listdir(folder)),
    }


@pytest.mark.limit(60 + KILLS / 10)
def test_kills_at_random(capsys: pytest.CaptureFixture[str]) -> None:
    """The oracle knows each victim's every change; nobody hangs; nothing is leaked."""
    campaign = Campaign(KINDS, seed=KILLS, disturb=disturb)
    probe, began = Value("i"), time.monotonic()
    file, figures, sizes = probe._address()[0], [], []
    try:
        for part in range(1, 11):
            while campaign.kills < KILLS * part // 10:
                campaign.turn()
            campaign.prove_progress()
            campaign.end()
            figures.append(belongings(probe))
            sizes.append(os.stat(file).st_blocks * 512)
            probe.check()
    finally:
        campaign.abandon()
    seconds = time.monotonic() - began
    assert campaign.kills >= KILLS
    assert campaign.changes > KILLS  # the victims were at work
    assert figures == figures[:1] * 10
    # Nor does the file grow past the middle, but for a higher peak of what is held at once.
    assert max(sizes[5:]) <= 1.5 * max(sizes[:5]), sizes
    if SIZE:
        with capsys.disabled():
            print(
                f"\n{campaign.kills:,} kills in {seconds:.0f} s: {campaign.changes:,} changes, "
                f"{campaign.unacknowledged:,} of them not acknowledged: 0 lost, 0 hangs, 0 leaks"
            )


def add_carelessly(value: Any, step: int) -> None:
    value.value += step


def add_seldom(value: Any, step: int) -> None:
    if random.random() < 0.999:
        value.increment(step)


def hold_on(pair: Pair, step: int) -> None:
    """Never release: who comes next waits for a living process, not for a dead one."""
    if not pair.lock.acquire(timeout=0.2):
        raise Hang("a lock was not to be had")
    pair.first.increment(step)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (number(lambda: RawValue("q"), add_carelessly), Lost),
        (number(lambda: RawValue("q"), add_seldom), Lost),
        (Kind(Pair, [Pair.add], lambda pair: int(pair.first.value), hold_on), Hang),
    ],
    ids=["racing", "forgetting", "holding"],
)
def test_the_oracle_has_teeth(kind: Kind, error: type[Exception]) -> None:
    campaign = Campaign({"bad": kind})
    try:
        with pytest.raises(error):
            while campaign.kills < 300:
                campaign.turn()
    finally:
        campaign.abandon()


def churn(probe: Any) -> None:
    """Make, share and drop values without end."""
    values: list[Any] = []
    while True:
        values.append(Value(object, os.urandom(len(values) * 500)))
        values.append(pickle.loads(pickle.dumps(values[0])))
        values.append(cy.Lock())
        probe.increment()
        if len(values) > 12:
            values.clear()


ROUNDS = max(4, KILLS // 50)


@pytest.mark.limit(60 + ROUNDS)
def test_what_the_killed_held_is_free() -> None:
    context, chance = multiprocessing.get_context("fork"), random.Random(1)
    probe = Value("q")
    sizes = []
    before = probe.statistics().space
    for _ in range(ROUNDS):
        children = [start(context, churn, probe) for _ in range(2)]
        seen = probe.value
        assert probe.wait_for(lambda n, seen=seen: n > seen + 20, 30)
        time.sleep(chance.random() * 0.01)
        for child in children:
            child.kill()
        for child in children:
            child.join(10)
            child.close()
        space = probe.statistics().space
        sizes.append(space.size)
        assert space.participants == before.participants
        # Tickets of the killed live on for a minute.
        assert space.objects - space.tickets <= before.objects
        probe.check()
    assert max(sizes) <= 4 * sizes[0]
