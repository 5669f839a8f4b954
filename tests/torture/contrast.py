"""The same kills on multiprocessing's types: ``python -m tests.torture.contrast [KILLS]``.

It prints how often a kill left the others hanging, how often a change was lost, and how often
something was left half done that nobody was told of. After a hang all is made anew, as a program
would have to be started again. Nothing is asserted: it shows what courtyard is there for.
"""

import ctypes
import multiprocessing
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import courtyard as cy
from tests.support.campaign import Campaign, Hang, Kind, Lost, held

LIMIT = 1.0  # seconds after which what waits is said to hang
MOST_SECONDS = 60.0  # for each row of the table

context = multiprocessing.get_context("fork")


def number(value: Any) -> int:
    return int(value.value)


def word(value: Any) -> int:
    return int(struct.unpack_from("=Q", value.raw)[0])


@contextmanager
def waited_for(lock: Any) -> Iterator[None]:
    """As ``with lock``, so that workers hang as any program would; Ctrl-C and SIGKILL end them."""
    with lock:
        yield


Holder = Callable[[Any], Any]


def to_value(hold: Holder) -> Callable[[Any, int], None]:
    def add(value: Any, step: int) -> None:
        with hold(value.get_lock()):
            value.value += step

    return add


def to_bytes(hold: Holder) -> Callable[[Any, int], None]:
    def add(value: Any, step: int) -> None:
        with hold(value.get_lock()):
            value.raw = struct.pack("=Q", word(value) + step) * 500

    return add


class Pair:
    """Two numbers under a lock, equal whenever it is free."""

    def __init__(self, module: Any) -> None:
        self.lock = module.Lock()
        self.first, self.second = module.RawValue("q"), module.RawValue("q")

    def is_half_done(self) -> bool:
        return bool(self.first.value != self.second.value)


def to_pair(hold: Holder) -> Callable[[Any, int], None]:
    def add(pair: Pair, step: int) -> None:
        with hold(pair.lock):
            if getattr(pair.lock, "recovered", False):
                pair.second.value = pair.first.value
            pair.first.value += step
            pair.second.value += step

    return add


def briefly(lock: Any) -> Any:
    return held(lock, LIMIT)


def kinds(module: Any) -> dict[str, Kind]:
    def kind(make: Any, add: Any, read: Callable[[Any], int]) -> Kind:
        return Kind(make, [add(waited_for)], read, add(briefly))

    if module is cy:
        chars = lambda: cy.Value(ctypes.c_char * 4000)  # noqa: E731
    else:
        chars = lambda: module.Array("c", 4000)  # noqa: E731
    return {
        "Value('q') and its lock": kind(lambda: module.Value("q"), to_value, number),
        "4000 bytes and their lock": kind(chars, to_bytes, word),
        "two RawValues and a Lock": kind(
            lambda: Pair(module), to_pair, lambda pair: int(pair.first.value)
        ),
    }


def count(module: Any, name: str, kind: Kind, kills: int) -> dict[str, int]:
    """Kill so often; what came of it."""
    found = {"kills": 0, "hangs": 0, "lost": 0, "half done": 0}
    deadline = time.monotonic() + MOST_SECONDS
    while found["kills"] < kills and time.monotonic() < deadline:
        campaign = Campaign({name: kind}, seed=found["kills"])
        try:
            while found["kills"] + campaign.kills < kills and time.monotonic() < deadline:
                campaign.turn()
            campaign.end()
        except Hang:
            campaign.abandon()
            found["hangs"] += is_stuck(kind, campaign.objects[0][1])
        except Lost:
            found["lost"] += 1
        finally:
            campaign.abandon()
        found["kills"] += campaign.kills
        obj = campaign.objects[0][1]
        if isinstance(obj, Pair) and not isinstance(obj.lock, cy.Lock):
            found["half done"] += obj.is_half_done()
    return found


def is_stuck(kind: Kind, obj: Any) -> bool:
    """Whether an object that nobody alive uses is still not to be had."""
    assert kind.correct is not None
    try:
        kind.correct(obj, 0)
    except Hang:
        return True
    return False


def main(kills: int) -> None:
    print(f"{'':32}{'':27}{'kills':>8}{'hangs':>8}{'lost':>8}{'half done':>11}{'seconds':>9}")
    for module, title in ((cy, "courtyard"), (context, "multiprocessing")):
        for name, kind in kinds(module).items():
            began = time.monotonic()
            found = count(module, name, kind, kills)
            seconds = time.monotonic() - began
            numbers = f"{found['kills']:8}{found['hangs']:8}{found['lost']:8}"
            print(f"{title:32}{name:27}{numbers}{found['half done']:11}{seconds:9.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 300)
