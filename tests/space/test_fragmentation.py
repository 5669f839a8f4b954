"""What a value finds of the memory that other values have left."""

import gc
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import courtyard as cy

MIB = 1 << 20


def of_array(space: cy.Space, size: int) -> None:
    space.Array("b", size)
    gc.collect()


def of_dict(space: cy.Space, size: int) -> None:
    table = space.dict()
    table["a"] = bytes(size)
    del table["a"]


def of_queue(space: cy.Space, size: int) -> None:
    queue = space.Queue()
    queue.put_nowait(bytes(size))
    queue.get()


def of_deque(space: cy.Space, size: int) -> None:
    items = space.deque()
    items.append(bytes(size))
    items.pop()


def of_value(space: cy.Space, size: int) -> None:
    value = space.Value(object, None)
    value.value = bytes(size)
    value.value = None


@pytest.mark.parametrize("keep", [of_array, of_dict, of_queue, of_deque, of_value])
@pytest.mark.parametrize(
    "limit, sizes",
    [
        (MIB, (400_000, 600_000, 700_000)),
        (16 * MIB, (8 * MIB, 9 * MIB, 12 * MIB, 15 * MIB)),
        (64 * MIB, (10 * MIB, 20 * MIB, 30 * MIB, 35 * MIB, 40 * MIB, 63 * MIB)),
    ],
)
def test_a_larger_value_fits_where_a_smaller_one_was(
    keep: Callable[[cy.Space, int], None], limit: int, sizes: tuple[int, ...]
) -> None:
    """It takes what is free at the end of the file, and what the file can still grow by."""
    space = cy.Space(size_limit=limit)
    for size in sizes:
        keep(space, size)
    space.check()


@pytest.mark.parametrize("is_trimmed", [False, True])
def test_it_fits_in_a_file_that_was_reopened(tmp_path: Path, is_trimmed: bool) -> None:
    tmp_path.chmod(0o700)
    url = f"file://{tmp_path}/space"
    with cy.Space(url, size_limit=16 * MIB) as space:
        of_dict(space, 8 * MIB)
        if is_trimmed:
            assert space.trim() > 0
    with cy.Space(url) as space:
        of_dict(space, 9 * MIB)
        space.check()
        space.destroy()


@pytest.mark.parametrize("limit", [4 * MIB, 16 * MIB])
def test_one_item_at_a_time_of_any_size_fits(limit: int) -> None:
    random_, space = random.Random(3), cy.Space(size_limit=limit)
    queue = space.Queue()
    for _ in range(100):
        queue.put_nowait(bytes(int(random_.uniform(0, 0.9) * limit)))
        queue.get()
    space.check()


@pytest.mark.parametrize("limit", [MIB, 16 * MIB])
def test_one_value_at_a_time_of_any_size_fits(limit: int) -> None:
    random_, space = random.Random(3), cy.Space(size_limit=limit)
    table = space.dict()
    for _ in range(100):
        table.pop("k", None)
        table["k"] = bytes(int(random_.uniform(0, 0.7) * limit))
    space.check()


def test_what_is_small_does_not_divide_what_is_free() -> None:
    """Each new value needs memory before the old one is freed: 11 MiB of 16 at the end."""
    space = cy.Space(size_limit=16 * MIB)
    table = space.dict()
    for size in (3, 4, 5, 6):
        table["k"] = bytes(size * MIB)
    space.check()


@pytest.mark.parametrize(
    "kind, count, largest",
    [
        ("Lock", 500, 700_000),
        ("Event", 500, 700_000),
        ("list", 500, 700_000),
        ("Condition", 500, 600_000),
        ("dict", 500, 450_000),  # they take more room, and the tables lie further apart
        ("Queue", 50, 800_000),
    ],
)
def test_dropped_objects_leave_room(kind: str, count: int, largest: int) -> None:
    """Only the tables stay in which the objects were listed."""
    space = cy.Space(size_limit=MIB)
    objects = [getattr(space, kind)() for _ in range(count)]
    objects.clear()
    gc.collect()
    of_dict(space, largest)
    assert space.statistics().objects == 0
    space.check()


def test_deleted_names_leave_room() -> None:
    space = cy.Space(size_limit=MIB)
    for n in range(500):
        space.named(f"n{n}", cy.Value, "i")
    for name in space.names():
        del space[name]
    gc.collect()
    of_dict(space, 600_000)
    space.check()


@pytest.mark.parametrize("seed", range(4))
def test_values_of_changing_sizes_under_one_key_always_fit(seed: int) -> None:
    """Free blocks of one size were kept for that size: 121 bytes were refused with 4 kB in use."""
    random_, space = random.Random(seed), cy.Space(size_limit=1 << 20)
    value = space.dict()
    for _ in range(1500):
        value["k"] = bytes(int(10 ** random_.uniform(1, 5.3)))  # up to 200 kB
    space.check()


@pytest.mark.parametrize("keys, largest", [(500, 200_000), (3000, 20_000)])
def test_values_that_are_replaced_at_random(keys: int, largest: int) -> None:
    """The space is at least half full, and 2 MiB less, before one is refused."""
    limit, random_ = 16 << 20, random.Random(keys)
    space = cy.Space(size_limit=limit)
    table = space.dict()
    live: dict[int, int] = {}
    for _ in range(4 * keys):
        key, size = random_.randrange(keys), int(10 ** random_.uniform(1, math.log10(largest)))
        try:
            table[key] = bytes(size)
        except cy.SpaceFull:
            assert sum(live.values()) + size > (limit - (2 << 20)) / 2
            table.pop(key, None)
            live.pop(key, None)
            continue
        live[key] = size
    table.clear()
    space.check()


def fill(values: "cy.List[bytes | None]", size: int) -> int:
    """Store values of one size until there is no room; how many."""
    for n in range(len(values)):
        try:
            values[n] = bytes(size)
        except cy.SpaceFull:
            return n
    raise AssertionError("the space is not full")


@pytest.mark.parametrize("size, piece", [(300, 16 << 10), (3000, 64 << 10), (20_000, 256 << 10)])
@pytest.mark.parametrize("kept", [0, 8, 32])
def test_a_value_sets_its_piece_aside(size: int, piece: int, kept: int) -> None:
    """A piece was divided into blocks of one size: what is left in it keeps it from the others."""
    limit = 16 * MIB
    space = cy.Space(size_limit=limit)
    values = space.list([None] * 50_000)
    others = space.list([None] * 20_000)
    rest = 1 << 20  # the two lists, and the 64 KiB that stay free
    stored = fill(values, size)
    assert stored * size > (limit - rest) * 2 // 3
    left = {n * stored // kept for n in range(kept)}  # far apart: one in a piece
    for n in range(stored):
        if n not in left:
            values[n] = None
    room = fill(others, 1000) * (16 << 10) // 15
    assert room >= limit - kept * piece - rest
    # For values of their own size they are no loss: the last pieces may be divided otherwise.
    for n in range(len(others)):
        others[n] = None
    assert fill(values, size) >= stored * 0.99
    space.check()


def test_a_refusal_tells_what_was_asked_for() -> None:
    space = cy.Space(size_limit=MIB)
    table = space.dict(a=bytes(700_000))
    with pytest.raises(cy.SpaceFull, match=r"^no room for 500000 more bytes in one piece: 8\d{5} "):
        table["b"] = bytes(500_000)
    with pytest.raises(cy.SpaceFull, match=r"^no room for 40000 more bytes in one piece: "):
        for n in range(100):
            table[n] = bytes(40_000)
