"""A space that is destroyed gives all back to a process, as soon as nothing of it leads there."""

import gc
import os
import pickle
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import courtyard as cy
from tests.support.children import fork, run_script


def figures() -> tuple[int, int]:
    """Return how many descriptors this process has, and how many kilobytes of files in memory."""
    status = Path("/proc/self/status").read_text()
    mapped = re.findall(r"Rss(?:Shmem|File):\s*(\d+)", status)
    return len(os.listdir("/proc/self/fd")), sum(map(int, mapped))


def mappings() -> int:
    """Return how many mappings this process has."""
    return len(Path("/proc/self/maps").read_text().splitlines())


@pytest.fixture(params=["named", "durable"])
def where(request: pytest.FixtureRequest, tmp_path: Path, title: str) -> str:
    """Give where a space of that kind is to be."""
    return title if request.param == "named" else (tmp_path / "space.cy").as_uri()


@contextmanager
def memory_given_back(megabytes: int = 20) -> Iterator[None]:
    """Demand that the memory of a space is given back by the end of the block, and not before."""
    gc.collect()
    descriptors, mapped = figures()
    yield
    gc.collect()
    after = figures()
    assert after[0] == descriptors
    assert after[1] - mapped < megabytes << 9, "kilobytes of a space that is destroyed"


def is_mapped(megabytes: int, before: int) -> bool:
    return figures()[1] - before > megabytes << 9


def test_spaces_come_and_go(where: str) -> None:
    def turn() -> None:
        with cy.Space(where) as space:
            space.named("x", cy.Dict, a=[1])["b"] = 2
            space.list([1])
            space.destroy()

    files = Path(os.environ["COURTYARD_DIR"])
    for _ in range(20):
        turn()
    gc.collect()
    before, mapped, there = figures(), mappings(), len(list(files.iterdir()))
    for _ in range(2000 if "/" not in where else 80):
        turn()
    gc.collect()
    after = figures()
    assert after[0] == before[0]
    assert abs(mappings() - mapped) < 30
    assert after[1] - before[1] < 1024
    assert len(list(files.iterdir())) == there


def test_large_ones(where: str) -> None:
    with memory_given_back(10):
        for _ in range(5):
            space = cy.Space(where)
            space.named("d", cy.Dict)["x"] = np.ones(60 << 17)
            space.destroy()


@pytest.mark.parametrize("keep", ["name", "object", "nothing"])
def test_private_ones(keep: str) -> None:
    """One with names in it too, or with objects that go after it."""
    cy.Space().destroy()
    before = mappings()
    with memory_given_back(10):
        for _ in range(20):
            space = cy.Space()
            made: Any = space.named("d", cy.Dict) if keep == "name" else space.dict()
            made["x"] = np.ones(1 << 17)
            pickle.dumps(made)  # which nobody loads
            if keep == "nothing":
                del made
            space.destroy()
            if keep == "object":
                assert made["x"].sum() == 1 << 17
            made = None
    assert abs(mappings() - before) < 30


def test_what_keeps_it(where: str) -> None:
    """A handle, another Space, a view, an item: each works until it goes."""
    makers: dict[str, Any] = {
        "handle": lambda space: space["d"],
        "name": lambda space: cy.Space(where),
        "array": lambda space: np.asarray(space.Array("d", 1000)),
        "pinned": lambda space: space["d"].get("x", copy=False),
        "item": lambda space: space["q"].get(copy=False),
        "lease": lambda space: space["q"].lease(),
        "lock": lambda space: space.Lock().__enter__() and space,
    }
    for kind, make in makers.items():
        with memory_given_back():
            before = figures()[1]
            space = cy.Space(where)
            space.named("d", cy.Dict)["x"] = np.ones(20 << 17)
            space.named("q", cy.Queue).put(np.ones(100_000))
            kept = make(space)
            del space
            gc.collect()
            cy.Space(where).destroy()
            gc.collect()
            assert is_mapped(20, before), kind
            if kind == "handle":
                kept["y"] = [5]
                assert (kept["y"], kept["x"].sum()) == ([5], 20 << 17)
                kept.check()
            elif kind == "name":
                assert kept["d"]["x"].sum() == 20 << 17
            elif kind in ("array", "pinned", "item"):
                assert kept.sum() in (0, 100_000, 20 << 17)
            with pytest.raises(cy.NotFound):
                cy.Space(where, create=False)
            del kept


def test_a_new_one_of_its_name(where: str) -> None:
    old = cy.Space(where)
    d = old.named("d", cy.Dict, a=1)
    old.destroy()
    with cy.Space(where) as new:
        assert "d" not in new
        new.named("d", cy.Dict, a=2)
        assert (d["a"], new["d"]["a"]) == (1, 2)
        data = pickle.dumps(d)
        if old.name is not None:
            assert pickle.loads(data)["a"] == 1
        del d
        gc.collect()
        with pytest.raises(cy.NotFound):
            pickle.loads(data)
        assert new["d"]["a"] == 2
        new.destroy()


def test_what_is_closed_says_so(where: str) -> None:
    space = cy.Space(where)
    d = space.named("d", cy.Dict)
    told = (repr(space), space.url, space.name, hash(space))
    space.destroy()
    d.close()
    gc.collect()
    assert (repr(space), space.url, space.name, hash(space)) == told
    space.destroy()  # what is gone already
    for use in (
        lambda: space["d"],
        lambda: "d" in space,
        lambda: len(space),
        space.names,
        space.check,
        space.statistics,
        space.dict,
        lambda: space.size_limit,
        lambda: pickle.dumps(space),
        lambda: d["x"],
        lambda: d.update(x=1),
        lambda: space._here.names(),
        lambda: space._here.count(),
    ):
        with pytest.raises(cy.Closed):
            use()


def test_destroyed_by_another_process(where: str) -> None:
    with memory_given_back():
        space = cy.Space(where)
        d = space.named("d", cy.Dict)
        d["x"] = np.ones(20 << 17)
        run_script("import courtyard as cy, sys; cy.Space(sys.argv[1]).destroy(force=True)", where)
        assert d["x"].sum() == 20 << 17
        del d
        space.close()


def test_in_a_forked_child(where: str) -> None:
    space = cy.Space(where)
    held = [space.named("d", cy.Dict)]
    held[0]["x"] = np.ones(20 << 17)
    view: list[Any] = [held[0].get("x", copy=False)]
    told, tell = os.pipe()

    def child() -> None:
        assert view[0].sum() == 20 << 17
        os.read(told, 1)
        assert held[0]["x"].sum() == 20 << 17
        before = figures()[1]
        space.close()
        view.clear()
        gc.collect()
        assert held[0]["x"].sum() == 20 << 17
        held.clear()
        gc.collect()
        assert before - figures()[1] > 10_000

    pid = fork(child)
    space.destroy(force=True)
    descriptors, mapped = figures()
    view.clear()
    held.clear()
    gc.collect()
    after = figures()
    assert after[0] == descriptors - 1
    assert mapped - after[1] > 10_000
    os.write(tell, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(told)
    os.close(tell)


def test_beside_threads(where: str) -> None:
    """Threads are in any call when it is closed and goes: they end with a result or say so."""
    for _ in range(20):
        space = cy.Space(where)
        space.named("d", cy.Dict, a=1)
        wrong: list[BaseException] = []

        def work(number: int, space: cy.Space = space, wrong: list[BaseException] = wrong) -> None:
            try:
                while True:
                    space["d"]["a"] = [number] * 100
                    space.list([number])
                    space.names()
                    space.named("n", cy.Value, "i").increment()
                    pickle.loads(pickle.dumps(space["d"]))
            except (cy.Closed, cy.NotFound):
                pass
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        space.destroy()
        for thread in threads:
            thread.join()
        assert wrong == []
    gc.collect()
    with pytest.raises(cy.NotFound):
        cy.Space(where, create=False)


@pytest.mark.parametrize("kind", ["private", "named"])
def test_a_descriptor_that_the_program_closed(kind: str, title: str) -> None:
    """Its number is another file's by then, which stays open."""
    space = cy.Space() if kind == "private" else cy.Space(title)
    ours = []
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:
            continue  # the one by which they are listed
        if (status.st_dev, status.st_ino) == space._here.identity:
            ours.append(int(name))
    assert len(ours) == 1
    reader, writer = os.pipe()
    os.dup2(writer, ours[0])
    if kind == "named":
        space.destroy()
    space.close()
    gc.collect()
    os.write(ours[0], b"x")
    assert os.read(reader, 1) == b"x"
    for number in (reader, writer, ours[0]):
        os.close(number)
