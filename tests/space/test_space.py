"""Spaces: private and named; found, closed, destroyed, and left by killed programs."""

import multiprocessing
import os
import re
import signal
import threading
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, join, run_script, start

FOLDER = Path(os.environ["COURTYARD_DIR"])


MAKE = """
import courtyard as cy, sys
space = cy.Space(sys.argv[1])
space.named("d", cy.Dict, a=1)
print(space._here.path)
"""


def test_a_private_space_is_of_its_own() -> None:
    first, second = cy.Space(), cy.Space()
    assert first != second and first == cy.space(first.Lock()) and hash(first) != hash(second)
    first.named("x", cy.Lock)
    assert "x" in first and "x" not in second
    assert (first.name, first.url, repr(first)) == (None, None, "courtyard.Space()")
    assert cy.space(cy.Lock()) != first


def use_space(space: cy.Space, done: Any) -> None:
    space["n"].increment()
    done.put(cy.space(space.Value("i")) == space)


def test_a_space_is_sent(ctx: BaseContext) -> None:
    for space in (cy.Space(), cy.Space("sent")):
        count = cy.Value.named("n", "i", space=space)
        done = space.Queue()
        child = start(ctx, use_space, space, done)
        assert done.get(timeout=30)
        join(child)
        assert count.value == 1
    cy.Space("sent").destroy(force=True)


def test_with_space_as_manager(ctx: BaseContext) -> None:
    with cy.Space() as manager:
        manager.start()
        words, log, done = manager.dict(a=1), manager.Queue(), manager.Event()
        child = start(ctx, fill, words, log, done)
        assert done.wait(30) and log.get(timeout=30) == 7
        join(child)
        assert dict(words) == {"a": 1, "b": 2}
        manager.shutdown()
    assert words["b"] == 2, "what is held goes on"
    for use in (lambda: manager.dict(), lambda: manager.names(), lambda: manager["x"]):
        with pytest.raises(cy.Closed, match=r"courtyard\.Space\(\) was closed"):
            use()
    manager.close()


def fill(words: Any, log: Any, done: Any) -> None:
    words["b"] = 2
    log.put(7)
    done.set()


def test_the_factories_are_syncmanagers() -> None:
    """Each name of a Manager, with its arguments, makes what its class is."""
    space = cy.Space()
    made: list[Any] = [
        space.dict({"a": 1}, b=2),
        space.list("ab"),
        space.deque("ab", 2),
        space.set("ab"),
        space.Counter("aab"),
        space.Namespace(x=1),
        space.Value("i", 5),
        space.Array("i", [1, 2]),
        space.Queue(3),
        space.JoinableQueue(),
        space.Lock(),
        space.RLock(),
        space.Semaphore(2),
        space.BoundedSemaphore(2),
        space.Condition(),
        space.Condition(space.Lock()),
        space.Event(),
        space.Barrier(2, timeout=1.0),
    ]
    assert all(cy.space(each) == space and cy.name(each) is None for each in made)
    # A condition brings its lock along; one of them was given.
    assert space.statistics().objects == len(made) + 2
    with space.Pool(1) as pool:
        assert pool.apply(len, ("abc",)) == 3
    assert type(made[0]) is cy.Dict and dict(made[0]) == {"a": 1, "b": 2}
    assert made[6].value == 5 and made[7][:] == [1, 2] and made[8].maxsize == 3


def test_opened_twice_it_is_one(title: str) -> None:
    first, second = cy.Space(title), cy.Space(title)
    assert first == second and hash(first) == hash(second) and first != title
    assert (first.name, first.url, repr(first)) == (title, title, f"courtyard.Space({title!r})")
    first.named("x", cy.Value, "i", 3)
    assert second["x"].value == 3
    assert first.statistics().participants == 1
    first.close()
    assert second["x"].value == 3


def test_create_is_asked_for(title: str, url: str) -> None:
    for where in (title, url):
        with pytest.raises(cy.NotFound, match=r"no such space|no space"):
            cy.Space(where, create=False)
        made = cy.Space(where)
        assert cy.Space(where, create=False) == made
    assert not list(FOLDER.glob("*.new"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("x" * 256, "256 characters"),
        ("a/b", "'/'"),
        ("/", "'/'"),
        ("a\0b", "NUL"),
        ("..", "folder"),
        (".", "folder"),
        ("a\ud800", "surrogate"),
        ("http://x", "no other kind"),
        ("file:relative", "absolute"),
        ("file:///", "absolute"),
        ("file:///a/b/", "absolute"),
        ("file://elsewhere/x", "host 'elsewhere'"),
        ("file:///a%00b", "absolute"),
        ("file:///a\ud800", "surrogate"),
    ],
)
def test_what_is_no_url(url: str, says: str) -> None:
    before = list(FOLDER.iterdir())
    with pytest.raises(ValueError, match=says):
        cy.Space(url)
    assert list(FOLDER.iterdir()) == before


def test_a_path_is_told_its_url(tmp_path: Path) -> None:
    path = tmp_path / "a space.cy"
    with pytest.raises(TypeError, match=re.escape(f"Space({path.as_uri()!r})")):
        cy.Space(path)  # type: ignore[arg-type]
    assert not path.exists()


def test_what_is_not_there_yet_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Redis.*file:///"):
        cy.Space("redis://localhost")
    with pytest.raises(TypeError, match="str or None, found int"):
        cy.Space(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["字" * 255, "🐍" * 255, "x" * 255, "my app", "-rf", "%41", "a" * 32, "default.cy1", "~"],
)
def test_names_of_any_script(name: str) -> None:
    space = cy.Space(name)
    space.named("x", cy.Value, "i", 5)
    assert (
        run_script(f"import courtyard as cy; print(cy.Space({name!r})['x'].value)").stdout == "5\n"
    )
    assert cy.Space(name).name == name
    files = [path for path in FOLDER.iterdir() if space._here.path == path]
    assert len(files) == 1
    space.destroy()
    assert not files[0].exists()


# Its end.


def attach_and(title: str, go: Any, how: str) -> None:
    space = cy.Space(title)
    space["n"].increment()
    space.Value("i")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def test_attach_exit_and_kill_cycles(title: str) -> None:
    """An attacher's end takes nothing away, and leaves nothing."""
    space = cy.Space(title)
    count = space.named("n", cy.Value, "q", lock=False)
    context = multiprocessing.get_context("fork")
    join(start(context, attach_and, title, None, "exit"))  # the space's tables have grown
    count.value = 0
    before = space.statistics()
    for turn in range(60):
        how = "kill" if turn % 2 else "exit"
        child = start(context, attach_and, title, None, how)
        child.join(30)
        assert child.exitcode == (-signal.SIGKILL if turn % 2 else 0)
    assert count.value == 60
    after = space.statistics()
    assert (after.objects, after.names, after.used) == (before.objects, 1, before.used)


def test_programs_come_and_go(title: str) -> None:
    """The space is there, and whole, when nobody was."""
    for turn in range(4):
        script = f"""
import courtyard as cy, os, signal
space = cy.Space({title!r})
assert space.named("n", cy.Value, "i").increment() == {turn} + 1
space.named("d", cy.Dict)[{turn}] = "x" * 10_000
held = [space.Value("i") for _ in range(100)]
if {turn} % 2: os.kill(os.getpid(), signal.SIGKILL)
"""
        run_script(script, check=turn % 2 == 0)
    space = cy.Space(title, create=False)
    assert space["n"].value == 4 and len(space["d"]) == 4
    assert space.statistics().objects == 2


def wait_in(title: str, ready: Any, go: Any) -> None:
    space = cy.Space(title)
    held = space.named("d", cy.Dict)
    ready.release()
    go.wait(60)
    held["after"] = True
    assert dict(held) == {"after": True}


def test_destroy_is_refused_while_in_use(ctx: BaseContext, title: str) -> None:
    space = cy.Space(title)
    ready, go = cy.Semaphore(0), cy.Event()
    child = start(ctx, wait_in, title, ready, go)
    assert ready.acquire(timeout=30)
    with pytest.raises(cy.CourtyardError, match=r"used by other processes.*force=True"):
        space.destroy()
    assert "d" in space
    space.destroy(force=True)
    fresh = cy.Space(title)
    assert len(fresh) == 0, "another space by that name"
    go.set()
    join(child)
    fresh.destroy()


def test_destroy_removes_and_says(title: str, url: str) -> None:
    for where in (title, url):
        space, again = cy.Space(where), cy.Space(where)
        held = space.named("d", cy.Dict, a=1)
        path = space._here.path
        space.destroy()
        assert not path.exists() and held["a"] == 1
        space.destroy()  # it is gone already
        with pytest.raises(cy.Closed):
            space.names()
        again.destroy()
        fresh = cy.Space(where)
        assert fresh != again and len(fresh) == 0
        again2 = cy.Space(where)
        fresh.destroy()
        again2.destroy()
        assert not path.exists()


def create_and_die(title: str, barrier: Any) -> None:
    barrier.wait(30)
    space = cy.Space(title)
    space.named("n", cy.Value, "q", lock=False).increment()
    os.kill(os.getpid(), signal.SIGKILL)


def test_racing_creation(ctx: BaseContext) -> None:
    for turn in range(4):
        title, barrier = f"race {os.getpid()} {turn}", cy.Barrier(4)
        children = [start(ctx, create_and_die, title, barrier) for _ in range(4)]
        for child in children:
            child.join(30)
            assert child.exitcode == -signal.SIGKILL
        space = cy.Space(title, create=False)
        assert space["n"].value == 4
        space.check()
        space.destroy()


def test_threads_open_one(title: str) -> None:
    opened: list[Any] = []
    threads = [threading.Thread(target=lambda: opened.append(cy.Space(title))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({space._here.identity for space in opened}) == 1
    assert opened[0].statistics().participants == 1


def test_what_the_killed_left_is_reclaimed(title: str) -> None:
    """Private spaces go with the next program that starts; named ones stay."""
    script = f"""
import courtyard as cy, os, signal
made = [cy.Lock(), cy.Space().Lock(), cy.Space({title!r}).Lock()]
print(*(cy.space(each)._here.path for each in made), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    paths = [
        Path(path)
        for path in run_script(script, check=False).stdout.replace("test ", "test%20").split()
    ]
    assert len(paths) == 3
    run_script("import courtyard")
    assert [path.exists() for path in paths[:2]] == [False, False]
    assert cy.Space(title, create=False).statistics().objects == 0


def test_a_child_makes_objects_where_it_is_told(ctx: BaseContext, title: str) -> None:
    """Being handed an object of a named space does not make that the child's own."""
    space = cy.Space(title)
    done, held = space.Queue(), space.named("d", cy.Dict)
    child = start(ctx, make_anonymous, held, done)
    assert done.get(timeout=30) == "courtyard.Space()"
    join(child)


def make_anonymous(held: Any, done: Any) -> None:
    held["made"] = 1
    done.put(repr(cy.space(cy.Lock())))


def test_a_forked_child_keeps_its_objects(title: str) -> None:
    space = cy.Space(title)
    held = space.named("d", cy.Dict, a=1)
    go = cy.Event()
    child = fork(child_of_fork, held, go)
    del space["d"]
    held.close()
    go.set()
    assert os.waitpid(child, 0)[1] == 0
    assert space.statistics().objects == 0


def child_of_fork(held: Any, go: Any) -> None:
    assert go.wait(30) and held["a"] == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Dict", "space.dict() makes a Dict"),
        ("List", "space.list() makes a List"),
        ("Set", "space.set() makes a Set"),
        ("Deque", "space.deque() makes a Deque"),
        ("RawValue", "space.Value(..., lock=False) makes a RawValue"),
        ("RawArray", "space.Array(..., lock=False) makes a RawArray"),
        *(
            (
                name,
                f"space.named(name, courtyard.{name}) makes a {name} with a name; after del "
                "space[name] it has none, and lives as long as it is stored or anybody has it",
            )
            for name in ("PriorityQueue", "LifoQueue", "SimpleQueue", "NestedDict")
        ),
    ],
)
def test_a_type_without_a_method_says_how_it_is_made(name: str, said: str) -> None:
    with cy.Space() as space:
        assert not hasattr(space, name)
        with pytest.raises(AttributeError) as raised:
            getattr(space, name)()
        assert str(raised.value) == f"'Space' object has no attribute '{name}': {said}"
        kind = getattr(cy, name)
        arguments = {"RawValue": ("i",), "RawArray": ("i", 1)}.get(name, ())
        call, more = said.split("(")[0].removeprefix("space."), {}
        if call == "named":
            made, box = space.named("x", kind, *arguments), space.dict()
            box["made"] = made
            del space["x"], made
            assert type(box["made"]) is kind and not space.names()
            return
        if name.startswith("Raw"):
            more = {"lock": False}
        assert type(getattr(space, call)(*arguments, **more)) is kind


@pytest.mark.parametrize("name", ["nonsense", "Space", "WrongType", "mutate", "Lease", "queue"])
def test_what_is_no_type_is_no_attribute(name: str) -> None:
    with cy.Space() as space, pytest.raises(AttributeError) as raised:
        getattr(space, name)
    assert str(raised.value) == f"'Space' object has no attribute '{name}'"


def test_an_object_of_another_space_is_refused_with_what_to_do(tmp_path: Path) -> None:
    url = (tmp_path / "durable").as_uri()
    with cy.Space() as here, cy.Space(url) as durable, cy.Space("elsewhere") as named:
        box = here.dict()
        for other, is_in in (
            (cy.Queue(), "a private space, this object in another"),
            (durable.Queue(), f"a private space, this object in courtyard.Space('{url}')"),
            (named.Queue(), "a private space, this object in courtyard.Space('elsewhere')"),
        ):
            with pytest.raises(cy.CourtyardError) as raised:
                box["inbox"] = other
            assert f"the container is in {is_in}; make it in the" in str(raised.value)
            assert r"by a method (space.Queue())" in str(raised.value)
            assert dict(box) == {}
        box["inbox"] = box.space.Queue()
        box["inbox"].put(1)
        assert box["inbox"].get() == 1
        named.destroy()
        durable.destroy()


def test_an_object_cannot_be_given_a_name_later() -> None:
    with cy.Space() as space:
        mapping: Any = space
        with pytest.raises(TypeError, match=r"space\.named\('e', courtyard\.List\) makes one"):
            mapping["e"] = cy.List()
        with pytest.raises(TypeError, match=r"space\.named\('e', courtyard\.Dict\) makes one"):
            mapping["e"] = {"a": 1}
        assert list(space) == []
