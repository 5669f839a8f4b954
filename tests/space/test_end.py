"""A private space that is closed gives all back: with the last object in it, and not before."""

import collections
import gc
import os
import pickle
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import courtyard as cy
from tests.support.children import fork


def file_of(space: cy.Space) -> Path:
    path = space._here.path
    assert path.exists()
    return path


def figures() -> tuple[int, int]:
    """Return how many descriptors this process has, and the shared memory that it has mapped."""
    found = re.search(r"RssShmem:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return len(os.listdir("/proc/self/fd")), int(found[1])


def fill(space: Any, megabytes: int) -> None:
    space.dict()["x"] = np.ones(megabytes << 17)


def test_spaces_come_and_go() -> None:
    with cy.Space() as space:
        fill(space, 1)
    descriptors, mapped = figures()
    for _ in range(100):
        with cy.Space() as space:
            path = file_of(space)
            fill(space, 8)
        assert not path.exists()
    after = figures()
    assert after[0] == descriptors
    assert after[1] - mapped < 8192, "kilobytes of spaces that are closed"


def test_it_ends_without_close() -> None:
    space = cy.Space()
    path = file_of(space)
    del space
    gc.collect()
    assert not path.exists()


def test_an_object_keeps_it() -> None:
    with cy.Space() as space:
        path = file_of(space)
        d = space.dict(a=1)
    with pytest.raises(cy.Closed):
        space.dict()
    d["b"] = [2]
    assert dict(d) == {"a": 1, "b": [2]}
    assert pickle.loads(pickle.dumps(d))["a"] == 1
    assert path.exists()
    d.check()
    del d
    gc.collect()
    assert not path.exists()
    assert repr(space) == "courtyard.Space()"


def test_views_keep_it() -> None:
    space = cy.Space()
    path = file_of(space)
    a, d = space.Array("d", 1000), space.dict(x=np.arange(100_000))
    shown = np.asarray(a)
    pinned: Any = d.get("x", copy=False)
    space.close()
    a.close()
    d["x"] = None
    del a, d
    gc.collect()
    assert path.exists()
    shown[:] = 7
    assert shown.sum() == 7000
    assert pinned[-1] == 99_999
    del shown
    gc.collect()
    assert path.exists()
    assert pinned[-1] == 99_999
    del pinned
    gc.collect()
    assert not path.exists()


def test_an_item_keeps_it() -> None:
    space = cy.Space()
    path, q = file_of(space), space.Queue()
    q.put(np.arange(100_000))
    item = q.get(copy=False)
    space.close()
    del q
    gc.collect()
    assert path.exists()
    assert item.sum() == sum(range(100_000))
    del item
    gc.collect()
    assert not path.exists()


def test_a_name_keeps_it() -> None:
    space = cy.Space()
    path = file_of(space)
    space.named("x", cy.Value, "i", 5)
    second = pickle.loads(pickle.dumps(space))
    space.close()
    assert second["x"].value == 5
    second.close()
    assert path.exists()


def a_name(space: Any) -> None:
    space.named("x", cy.Dict, {"a": [1] * 1000})


def a_cycle(space: Any) -> None:
    ring, other = space.list(), space.dict()
    ring.append(ring)
    ring.append(other)
    other["ring"] = ring


def addresses() -> int:
    """Return how many kilobytes of addresses this process has taken."""
    found = re.search(r"VmSize:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("fill_it", [a_name, a_cycle])
def test_what_nobody_can_reach_keeps_nothing(fill_it: Any) -> None:
    """2,000 spaces that are closed with names and cycles in them: some 540 took all addresses."""
    with cy.Space() as space:
        path = file_of(space)
        fill_it(space)
    gc.collect()
    assert not path.exists()
    folder = path.parent
    before = (*figures(), addresses(), len(list(folder.iterdir())))
    for _ in range(2000):
        with cy.Space() as space:
            fill_it(space)
    gc.collect()
    after = (*figures(), addresses(), len(list(folder.iterdir())))
    assert (after[0], after[3]) == (before[0], before[3])
    assert after[1] - before[1] < 8192
    assert after[2] - before[2] < 1 << 20, "kilobytes: a space takes some hundred gigabytes"


def test_a_pickle_of_a_space_keeps_its_names() -> None:
    with cy.Space() as space:
        path = file_of(space)
        space.named("x", cy.Value, "i", 5)
        sent = pickle.dumps(space)
    assert path.exists()
    assert pickle.loads(sent)["x"].value == 5


def test_an_item_that_is_under_way_keeps_it() -> None:
    with cy.Space() as space:
        path, ring = file_of(space), space.list()
        ring.append(ring)
        sent = pickle.dumps(ring)
        del ring
    gc.collect()
    assert path.exists()
    ring = pickle.loads(sent)
    assert ring[0][0] == ring
    del ring
    gc.collect()
    assert not path.exists()


def test_another_process_keeps_it() -> None:
    space = cy.Space()
    path, d = file_of(space), space.dict(a=1)
    told, tell = os.pipe()

    def go_on() -> None:
        os.read(told, 1)
        d["b"] = d["a"] + 1
        assert space.list([d])[0]["b"] == 2

    child = fork(go_on)
    space.close()
    d.close()
    assert path.exists()
    os.write(tell, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(told)
    os.close(tell)


def test_the_space_of_the_process_stays() -> None:
    d = cy.Dict()
    with d.space as space:
        path = file_of(space)
    other = cy.Value("i").space
    assert other == space
    del d, other
    gc.collect()
    assert path.exists()
    assert cy.Value("i", 3).value == 3
    assert cy.Value("i").space == space


def test_two_ways_to_one_space() -> None:
    space = cy.Space()
    path = file_of(space)
    with space.Value("i").space as second:
        assert second == space
    gc.collect()
    assert path.exists()
    assert space.Value("i", 5).value == 5
    space.close()
    gc.collect()
    assert not path.exists()


def test_closed_beside_a_maker() -> None:
    for _ in range(20):
        space = cy.Space()
        path = file_of(space)
        # Few: on a busy machine they make many before close() has its turn.
        made: collections.deque[Any] = collections.deque(maxlen=20)

        def make(space: cy.Space = space, made: collections.deque[Any] = made) -> None:
            try:
                while True:
                    made.append(space.list([1, 2]))
            except cy.Closed:
                pass

        makers = [threading.Thread(target=make) for _ in range(2)]
        for maker in makers:
            maker.start()
        space.close()
        for maker in makers:
            maker.join()
        assert all(list(x) == [1, 2] for x in made)
        made.clear()
        gc.collect()
        assert not path.exists()


def test_children_are_forked_from_none_that_ended() -> None:
    for _ in range(20):
        with cy.Space() as space:
            space.Value("i")
    d = cy.Dict()
    child = fork(lambda: d.update(a=1))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert d["a"] == 1


def test_a_closed_space_says_how_to_go_on(tmp_path: Path) -> None:
    private = cy.Space()
    kept = private.list([1])
    private.close()
    with pytest.raises(cy.Closed) as raised:
        private.names()
    assert "open it again" not in str(raised.value)
    assert "no name to open it by" in str(raised.value)
    assert kept.space.names() == []  # as the message says
    for url in ("closed-one", f"file://{tmp_path}/closed.cy"):
        space = cy.Space(url)
        space.close()
        with pytest.raises(cy.Closed, match=rf"open it again, with courtyard.Space\('{url}'\)"):
            space.names()
        cy.Space(url).destroy()
