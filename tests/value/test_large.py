"""Large values: their memory comes back, and views of NumPy arrays stay valid."""

import gc
import itertools
import threading
import time
from typing import Any

import numpy as np
import pytest

import courtyard as cy
from tests.object.test_memory import space_of
from tests.support.builtin import needs, plain, sent, shared
from tests.support.children import fork, kill

Dict: Any = shared("Dict")
List: Any = shared("List")
pytestmark = [needs("Dict"), pytest.mark.usefixtures("own_home")]
Value: Any = cy.Value


@pytest.mark.parametrize(
    "array",
    [
        np.arange(100_000),
        np.zeros((100, 0, 3)),
        np.arange(24.0).reshape(2, 3, 4),
        np.arange(10_000, dtype=">i2"),
        np.asfortranarray(np.arange(60_000.0).reshape(200, 300)),
        np.arange(100_000)[::7],
        np.array([(1, 2.5)] * 1000, dtype=[("x", "i4"), ("y", "f8")]),
        np.array(["text", "é"]),
        np.float32(1.5) * np.ones(5000, dtype="f4"),
    ],
    ids=lambda a: f"{a.dtype}-{a.shape}",
)
def test_arrays_come_out_as_they_went_in(array: Any) -> None:
    d = Dict(a=array, both=[array, {"more": array}])
    for found in (d["a"], d["both"][0], d["both"][1]["more"], sent(d)["a"]):
        assert type(found) is np.ndarray
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert np.array_equal(found, array)


def test_an_array_is_a_read_only_view_that_stays_valid() -> None:
    """While the key is replaced, deleted, and its memory wanted by others."""
    d, expected = Dict(a=np.arange(200_000)), np.arange(200_000)
    view = d.get("a", copy=False)
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 5
    before = space_of(d).used
    again = [d.get("a", copy=False) for _ in range(50)]
    assert space_of(d).used - before < view.nbytes  # no copies
    for number in range(20):
        d["a"] = np.full(200_000, number)
        assert np.array_equal(view, expected)
    del d["a"], again
    filler = [Value(object, bytes([n]) * 1_600_000) for n in range(5)]
    assert np.array_equal(view, expected)
    assert all(set(each.value) == {n} for n, each in enumerate(filler))
    d.clear()
    part = view[1000:1010]
    del view, d, filler
    gc.collect()
    assert part.tolist() == list(range(1000, 1010))


def test_a_view_pins_its_block_and_no_longer() -> None:
    d = Dict(k=1)
    d["a"] = np.zeros(500_000)
    del d["a"]
    before = space_of(d).used
    d["a"] = np.zeros(500_000)
    view = d.get("a", copy=False)
    del d["a"]
    assert space_of(d).used >= before + 4_000_000
    assert view.sum() == 0
    del view
    d["k"] = 2  # what was pinned is freed by the next change, at the latest
    assert space_of(d).used <= before + 100_000
    d.check()


def test_views_of_the_killed_are_free() -> None:
    d = Dict(a=np.zeros(500_000))

    def hold() -> None:
        view = d.get("a", copy=False)
        ready.value = 1
        ready.wait_for(2)
        assert view.sum() == 0

    ready = Value("i")
    child = fork(hold)
    assert ready.wait_for(1, 30)

    kill(child)
    del d["a"]
    for _ in range(100):
        d["b"] = b"x" * 100_000
    assert space_of(d).used < 3_000_000
    d.check()


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 4095, 4096, 4097, 65_536, 10_000_000])
def test_bytes_of_all_sizes(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    d = Dict()
    d["b"], d["a"], d["s"] = data, bytearray(data), data.decode("latin-1")
    assert (d["b"], d["a"], d["s"]) == (data, data, data.decode("latin-1"))
    assert (type(d["b"]), type(d["a"])) == (bytes, bytearray)


TABLE = 1 + 8  # blocks at most of an empty Dict: its root, and an index for each shard
FILLED: dict[str, Any] = {
    "small": lambda: {f"key {n}": n for n in range(5000)},
    "text": lambda: {f"key {n}": "x" * (n % 900) for n in range(3000)},
    "large": lambda: {n: bytes(50_000) for n in range(100)},
    "pickled": lambda: {(n, "a"): [n, {"x": n}] for n in range(2000)},
}


@pytest.mark.parametrize("end", ["del", "clear", "popitem", "pop", "drop"])
@pytest.mark.parametrize("kind", FILLED)
def test_the_memory_of_a_dict_comes_back(kind: str, end: str) -> None:
    probe, content = Value("i"), FILLED[kind]()
    Dict(content).clear()  # the space's own tables have grown
    before, sizes = space_of(probe), []
    for _ in range(4):
        d = Dict(content)
        assert plain(d) == content
        full = space_of(probe).used
        assert full > before.used + len(content) * 30
        if end == "del":
            for key in content:
                del d[key]
        elif end == "pop":
            for key in reversed(list(content)):
                d.pop(key)
        elif end == "popitem":
            while d:
                d.popitem()
        elif end == "clear":
            d.clear()
        if end != "drop":
            assert not d
            # What is left is the empty table's own: no entry's, no value's.
            assert space_of(probe).live_blocks <= before.live_blocks + TABLE
        del d
        after = space_of(probe)
        assert (after.used, after.live_blocks) == (before.used, before.live_blocks)
        sizes.append(after.size)
    assert sizes[3] == sizes[2], sizes  # what is free lies elsewhere than in a new space, at first
    cy.check(probe)


@needs("List")
def test_the_memory_of_a_list_comes_back() -> None:
    probe = Value("i")
    List(range(10_000)).clear()
    before = space_of(probe)
    x = List(["text" * 100] * 5000)
    x[10:4000] = [b"y" * 2000] * 100
    x.sort(key=repr)
    x *= 3
    x.clear()
    assert space_of(probe).used < before.used + 100_000
    del x
    assert space_of(probe).used == before.used
    cy.check(probe)


def test_replacing_values_of_any_size_takes_no_more_memory() -> None:
    d = Dict()
    sizes = [n * n * 7 % 5000 for n in range(200)]
    for _ in range(2):
        for number in range(2000):
            d[number % 50] = "x" * sizes[number % 200]
    before = space_of(d)
    for number in range(20_000):
        d[number % 50] = "x" * sizes[number % 200]
    assert space_of(d).used <= before.used * 1.5
    assert space_of(d).size <= before.size * 1.5
    d.check()


def test_readers_see_whole_values_while_they_are_replaced() -> None:
    d, stop = Dict(a=np.zeros(50_000), b=b"\0" * 50_000), threading.Event()

    def replace() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 1) % 200
            d["a"] = np.full(50_000, number)
            d["b"] = bytes([number]) * 50_000

    child = fork(replace)
    try:
        seen: set[int] = set()
        end = time.monotonic() + 20
        for reads in itertools.count():
            if time.monotonic() > end or (reads > 500 and len(seen) > 3):
                break
            view = d.get("a", copy=reads % 2 == 0)
            assert (view == view[0]).all()
            seen.add(int(view[0]))
            found = d["b"]
            assert found == found[:1] * 50_000
        assert len(seen) > 3
    finally:
        kill(child)
    d.check()


@pytest.mark.parametrize("end", ["del", "pop", "popitem"])
def test_the_index_of_a_dict_shrinks_with_it(end: str) -> None:
    probe = Value("i")
    Dict({n: n for n in range(20_000)}).clear()  # the space's own tables have grown
    before = space_of(probe).used
    d = Dict({n: n for n in range(20_000)})
    full = space_of(probe).used - before
    for number in reversed(range(500, 20_000)):
        if end == "del":
            del d[number]
        elif end == "pop":
            d.pop(number)
        else:
            d.popitem()
    assert space_of(probe).used - before < full / 20
    assert plain(d) == {n: n for n in range(500)}
    for number in range(500):
        del d[number]
    assert space_of(probe).used - before < 8000
    d.check()


@pytest.mark.parametrize("make", [cy.Array, cy.RawArray])
def test_more_elements_than_there_can_be(make: Any) -> None:
    for code, init, shape, count in (
        ("d", 2**63, None, "9223372036854775808"),
        ("i", 2**64, None, "18446744073709551616"),
        ("d", 2**60, None, "1152921504606846976"),
        ("c", None, (2**63,), "9223372036854775808"),
        ("c", None, (2**32, 2**32), r"\(4294967296, 4294967296\)"),
        ("c", None, (0, 2**63), r"\(0, 9223372036854775808\)"),
    ):
        with pytest.raises(OverflowError, match=f"^an array of {count} elements would have"):
            make(code, init, shape=shape)
    with pytest.raises(OverflowError, match="an array of"):
        make.named("large", "d", 2**63)
