"""Objects attacked from the sides, in short; in full by `make torture`."""

import os
import random
from collections.abc import Callable

import pytest

from tests.sides import callback, crowd, exit, fork, limit, stop
from tests.sides.member import Unknown, classes, members
from tests.sides.play import ended, flat, play

# In `make test`, in `make torture`, and in its full form.
SIZE = {None: 0, "small": 1, "full": 2}[os.environ.get("COURTYARD_TORTURE_SIZE")]
SEED = random.SystemRandom().randrange(1 << 30) if SIZE else 1
LONG = (600, 600, 3600)[SIZE]  # seconds; in full some minutes each, where nothing else runs


def scenario(work: Callable[..., object], *arguments: object) -> None:
    """Play a scenario in a child of its own."""
    with flat():
        assert not (wrong := ended(play(work, *arguments))), f"seed {SEED}: {wrong}"


def test_each_member_is_tried() -> None:
    """A class, a method or a parameter that is new has a place in the tables, or it is named."""
    for cls in classes():
        for member in members(cls):
            member.arguments()
    with pytest.raises(Unknown, match="parameter 'colour'"):
        members("Dict")[0].argument("colour")


@pytest.mark.limit(LONG)
def test_callbacks() -> None:
    """What user code does inside a call of ours ends in a result or an error."""
    chance = random.Random(SEED)
    tried, wrong = 0, []
    for cls in [*classes()] * (1, 1, 16)[SIZE]:
        with flat():
            cases, found = callback.callbacks(cls, chance, (5, 1000, 1000)[SIZE])
        tried += cases
        wrong += found
    assert not wrong, f"seed {SEED}, {tried} cases:\n" + "\n".join(wrong)
    print(f"{tried} cases, seed {SEED}")
    assert tried > 80, "few of the calls run any code of users'"


@pytest.mark.parametrize("way", fork.SCENARIOS)
@pytest.mark.limit(LONG)
def test_forks(way: str) -> None:
    """Whoever forks, whatever he is in the midst of: the child is well, and so is the parent."""
    for turn in range((1, 4, 100)[SIZE]):
        scenario(fork.SCENARIOS[way], SEED + turn, (30, 100, 100)[SIZE])
    print(f"{(30, 400, 10_000)[SIZE]} forks, seed {SEED}")


@pytest.mark.limit(LONG)
def test_stopped_peers() -> None:
    """A peer is stopped within any call: timeouts are kept, Ctrl-C ends what has none."""
    chance = random.Random(SEED)
    chosen = chance.sample([*classes()], (8, 23, 23)[SIZE]) * (1, 2, 14)[SIZE]
    peers = (1, 3, 5)[SIZE]
    for cls in chosen:
        scenario(stop.beside, cls, chance.randrange(1 << 30), peers)
    killed = len(chosen) * peers
    stops = killed * stop.STOPS
    print(f"{stops} stops, {stops * stop.CALLS} calls, {killed} kills, seed {SEED}")


@pytest.mark.limit(LONG)
def test_exits() -> None:
    """An interpreter ends with objects in every kind of place: with 0, in time, without a panic."""
    places, everything = [*exit.PLACES], [*classes()]
    wrong = ""
    parts = len(places) if SIZE == 0 else 4
    for number, place in enumerate(places * (1, 1, 5)[SIZE]):
        for part in range((1, 4, 4)[SIZE]):
            wrong += exit.ends(place, everything[(number + part) % parts :: parts])
    assert not wrong, wrong


@pytest.mark.limit(LONG)
def test_crowds() -> None:
    """200 threads wait in each call that waits, and are let through, or come back in time."""
    chance, waiting = random.Random(SEED), crowd.waiting()
    assert set(crowd.SCENARIOS) == set(classes()), "crowd.py has a scenario of each class"
    let = [cls for cls, found in crowd.SCENARIOS.items() if found]
    let = chance.sample(let, (5, len(let), len(let))[SIZE]) * (1, 1, 5)[SIZE]
    waiting = chance.sample(waiting, (5, len(waiting), len(waiting))[SIZE]) * (1, 1, 5)[SIZE]
    for cls in let:
        scenario(crowd.without_timeouts, cls)
    for member in waiting:
        scenario(crowd.with_timeouts, member)
    print(f"{len(let)} crowds let through, {len(waiting)} with timeouts")


@pytest.mark.parametrize("what", limit.SCENARIOS)
def test_limits(what: str) -> None:
    """Every call has a result or an error where something is scarce, and works again after it."""
    scenario(limit.SCENARIOS[what])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop privileges")
@pytest.mark.parametrize("what", limit.PRIVILEGED)
def test_privileges(what: str) -> None:
    """Who drops privileges goes on with all that it has open, and so do its children."""
    scenario(limit.PRIVILEGED[what])
