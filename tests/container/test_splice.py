"""Changes inside lists that are long, and whose ring goes round: beside a list, value for value."""

import collections
import random
from typing import Any

import pytest

import courtyard as cy

VALUES = [7, "short", "text" * 20, "block" * 500, b"large" * 9000]


def change(chance: random.Random, x: Any, model: Any) -> None:
    """Do the same to both."""
    length, new = len(model), [chance.choice(VALUES) for _ in range(chance.randrange(60))]
    place = chance.randrange(-length, length)
    start = chance.randrange(length)
    step = chance.choice([1, 1, 1, 1, 2, -1, 3])
    size = chance.choice([0, 1, 5, 60, 200])
    act = chance.randrange(7)
    if act == 0:
        for each in (x, model):
            each.insert(place, new[0] if new else 1)
    elif act == 1:
        assert x.pop(place) == model.pop(place)
    elif act == 2:
        for each in (x, model):
            del each[start : start + size : step]
    elif act == 3:
        for each in (x, model):
            each[start : start + size] = new
    elif act == 4:
        span = range(length)[start : start + size : step]
        for each in (x, model):
            each[start : start + size : step] = (new * 200)[: len(span)] if step != 1 else new
    elif act == 5:
        value = chance.choice(VALUES)
        assert (value in x) == (value in model)
        if value in model:
            assert x.index(value) == model.index(value)
            for each in (x, model):
                each.remove(value)
    else:
        for each in (x, model):
            each.extend(new)


@pytest.mark.parametrize("seed", range(6))
def test_lists(seed: int) -> None:
    chance = random.Random(seed)
    model: list[Any] = [n % 1000 for n in range(chance.choice([20, 300, 9000]))]
    x: cy.List[Any] = cy.List(model)
    for number in range(300):
        # So that the ring goes round: what goes at the front comes before its first word.
        for _ in range(chance.randrange(9)):
            value = chance.choice(VALUES)
            x.insert(0, value)
            model.insert(0, value)
        change(chance, x, model)
        assert len(x) == len(model)
        if number % 10 == 0:
            assert x.copy() == model
    assert x.copy() == model
    x.check()


@pytest.mark.parametrize("size", [100, 30_000])
def test_the_ring_goes_round_beyond_what_a_record_takes(size: int) -> None:
    """Too many words for entries, and no run for a copy."""
    model: list[Any] = list(range(size))
    x: cy.List[Any] = cy.List(model)
    for n in range(size // 3):
        x.insert(0, -n)
    model = [*range(-(size // 3) + 1, 1), *model]
    assert x.copy() == model
    for place in (size // 3 + 20, size // 3 - 20, len(model) // 2, 50):
        for each in (x, model):
            each.insert(place, "here")
            del each[place + 3]
            each[place - 30 : place + 30] = "ab" * 40
    assert x.copy() == model
    x.check()


@pytest.mark.parametrize("seed", range(4))
def test_deques(seed: int) -> None:
    chance = random.Random(seed)
    most = chance.choice([None, 50, 400])
    model: Any = collections.deque(range(300), most)
    d: Any = cy.Deque(model, most)
    for _ in range(400):
        new = [chance.choice(VALUES) for _ in range(chance.randrange(70))]
        place = chance.randrange(-len(model), len(model)) if model else 0
        act = chance.randrange(6)
        for each in (d, model):
            if act == 0 and len(model) not in (most, 0):
                each.insert(place, "inserted")
            elif act == 1 and model:
                del each[place]
            elif act == 2:
                each.extend(new)
            elif act == 3:
                each.extendleft(new)
            elif act == 4:
                each.rotate(place)
            elif model:
                each.popleft()
            if act == 0 and each is d:
                assert len(model) <= len(d) + 1
    assert d.copy() == model
    d.check()


@pytest.mark.usefixtures("own_home")
def test_what_goes_is_free_again() -> None:
    """What a full deque pushes out, and what a slice takes out, many at once."""
    d, x = cy.Deque(["text" * 30] * 1000, maxlen=1000), cy.List(["text" * 30] * 1000)
    for _ in range(3):
        d.extend(["text" * 30] * 300)
        x[400:700] = ["text" * 30] * 300
    before = d.statistics().space.live_blocks
    for _ in range(20):
        d.extend(["text" * 30] * 300)
        d.extendleft(["text" * 30] * 300)
        x[400:700] = ["text" * 30] * 300
        x[200:800:2] = ["text" * 30] * 300
        del x[100:110]
        x[100:100] = ["text" * 30] * 10
    assert abs(d.statistics().space.live_blocks - before) < 100  # some stand ready for the next
    d.check()


@pytest.mark.parametrize("start", [0, 1, 5000, 13_000])
def test_long_moves_on_either_side_of_the_turn(start: int) -> None:
    """Where the nearer side does not are in a run, the other side moves."""
    theirs: list[Any] = list(range(20_000))
    ours: Any = cy.List(theirs)
    for x in (ours, theirs):
        del x[:start]
        x.extend(map(str, range(start)))
    for place in (4500, 6000, 9999, 10_000, 12_000, 15_400):
        for count in (0, 1, 3):
            values = VALUES[1 : 1 + count]
            for old in (0, 1, 5):
                for x in (ours, theirs):
                    x[place : place + old] = values
                assert ours[:] == theirs, (start, place, values, old)
    ours.check()
