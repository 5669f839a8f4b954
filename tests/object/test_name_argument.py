"""The arguments of ``named``: wrong ones leave nothing behind."""

import collections
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import run_script

WRONG = """
import courtyard as cy, os, sys
try:
    eval(sys.argv[1])
except Exception as error:
    print(type(error).__name__)
else:
    print("made")
print(sorted(os.listdir(os.environ["COURTYARD_DIR"])))
"""


@pytest.mark.parametrize(
    "make",
    [
        "cy.List.named('x', 5)",
        "cy.List.named('x', [1], [2])",
        "cy.List.named('x', [lambda: 0])",
        "cy.List.named('x', [cy.Lock()])",
        "cy.NestedDict.named('x', [(1, 2, 3)])",
        "cy.Dict.named('x', 5)",
        "cy.Dict.named('x', {}, {})",
        "cy.Set.named('x', [[]])",
        "cy.Deque.named('x', (), -1)",
        "cy.Deque.named('x', (), 'a')",
        "cy.Counter.named('x', 5)",
        "cy.Counter.named('x', [], [])",
        "cy.Namespace.named('x', 5)",
        "cy.Value.named('x', 'i', 'a')",
        "cy.Value.named('x', 'i', 1, 2)",
        "cy.Value.named('x', 'nothing')",
        "cy.RawValue.named('x', 'i', 'a')",
        "cy.Array.named('x', 'i', -1)",
        "cy.Array.named('x', 'i', ['a'])",
        "cy.Array.named('x', 'i', 3, shape=(2, 2))",
        "cy.RawArray.named('x', 'i', ['a'])",
        "cy.Queue.named('x', 'a')",
        "cy.Queue.named('x', 1, 2)",
        "cy.SimpleQueue.named('x', 'a')",
        "cy.Lock.named('x', 1)",
        "cy.RLock.named('x', 1)",
        "cy.Semaphore.named('x', -1)",
        "cy.Semaphore.named('x', 'a')",
        "cy.BoundedSemaphore.named('x', -1)",
        "cy.Condition.named('x', 5)",
        "cy.Condition.named('x', cy.Lock())",
        "cy.Event.named('x', 1)",
        "cy.Barrier.named('x')",
        "cy.Barrier.named('x', 0)",
        "cy.Barrier.named('x', 'a')",
    ],
)
def test_wrong_arguments_leave_no_space_behind(make: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    printed = run_script(WRONG, make, env={"COURTYARD_DIR": str(folder)}).stdout.split("\n")
    assert printed[0] != "made"
    assert "default" not in printed[1]


MADE = """
import courtyard as cy
made = cy.{0}.named("x", iter({1}){2})
print(made.copy() == {3}, cy.Space("default").names())
"""


@pytest.mark.parametrize(
    ("kind", "pieces", "more", "found"),
    [
        ("List", "'abc'", "", "list('abc')"),
        ("Deque", "'abc'", ", 2", "__import__('collections').deque('bc', 2)"),
        ("Set", "'abc'", "", "set('abc')"),
        ("Dict", "[(1, 2), iter('ab')]", "", "{1: 2, 'a': 'b'}"),
        ("NestedDict", "[(1, 2), iter('ab')]", ", c=1", "{1: 2, 'a': 'b', 'c': 1}"),
        ("Counter", "'abca'", ", b=1", "__import__('collections').Counter('abcab')"),
    ],
)
def test_the_first_name_takes_what_can_be_read_once(
    kind: str, pieces: str, more: str, found: str, tmp_path: Path
) -> None:
    script = MADE.format(kind, pieces, more, found)
    printed = run_script(script, env={"COURTYARD_DIR": str(tmp_path / "folder")}).stdout
    assert printed == "True ['x']\n"


def test_a_named_deque_is_compared_by_the_maxlen_it_has() -> None:
    with cy.Space() as space:
        made = cy.Deque.named("d", maxlen=5, space=space)
        made.maxlen = 2
        found = cy.Deque.named("d", maxlen=2, space=space)
        found.extend("abc")
        assert made.copy() == collections.deque("bc", 2)
        with pytest.raises(cy.WrongType, match=r"'d' is a Deque\(2\) in .*, not a Deque\(5\)"):
            cy.Deque.named("d", maxlen=5, space=space)
        assert cy.Deque.named("d", space=space).maxlen == 2
        made.maxlen = None
        with pytest.raises(cy.WrongType, match=r"'d' is a Deque in .*, not a Deque\(2\)"):
            cy.Deque.named("d", maxlen=2, space=space)
        with pytest.raises(cy.WrongType, match=r"'d' is a Deque in .*, not a List"):
            cy.List.named("d", space=space)
        assert space["d"].maxlen is None


def test_a_named_queue_is_compared_by_the_maxsize_it_has() -> None:
    """As a deque by its maxlen: both may be set."""
    with cy.Space() as space:
        made = cy.Queue.named("q", maxsize=100, space=space)
        made.maxsize = 500
        assert cy.Queue.named("q", maxsize=500, space=space).maxsize == 500
        wrong = r"'q' is a Queue\(500\) in .*, not a Queue\(100\)"
        with pytest.raises(cy.WrongType, match=wrong):
            cy.Queue.named("q", maxsize=100, space=space)
        with pytest.raises(cy.WrongType, match=r"not a Queue\(maxsize=0\):"):
            cy.Queue.named("q", maxsize=0, space=space)
        assert cy.Queue.named("q", space=space).maxsize == space["q"].maxsize == 500
        for unbounded in (0, -5):
            made.maxsize = unbounded
            assert cy.Queue.named("q", maxsize=0, space=space).maxsize == unbounded
            with pytest.raises(cy.WrongType, match=r"'q' is a Queue in .*, not a Queue\(500\)"):
                cy.Queue.named("q", maxsize=500, space=space)
        with pytest.raises(cy.WrongType, match=r"'q' is a Queue in .*, not a LifoQueue"):
            cy.LifoQueue.named("q", space=space)


@pytest.mark.parametrize("kind", [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue])
def test_another_maxbytes_is_told_of(kind: type[cy.Queue[object]]) -> None:
    with cy.Space() as space:
        kind.named("q", 7, maxbytes=1000, space=space)
        for maxsize, maxbytes in ((None, None), (7, None), (None, 1000), (7, 1000)):
            given = {"maxsize": maxsize, "maxbytes": maxbytes}
            found: cy.Queue[object] = space.named("q", kind, **given)
            assert (found.maxsize, found.maxbytes) == (7, 1000)
        for maxsize, maxbytes, said in (
            (8, 1000, r"\(8, maxbytes=1000\)"),
            (7, 2000, r"\(7, maxbytes=2000\)"),
            (7, 0, r"\(7, maxbytes=0\)"),
        ):
            match = (
                rf"'q' is a {kind.__name__}\(7, maxbytes=1000\) in .*, not a {kind.__name__}{said}"
            )
            with pytest.raises(cy.WrongType, match=match):
                kind.named("q", maxsize, maxbytes=maxbytes, space=space)


def test_none_takes_what_there_is() -> None:
    """An option that is None is one that is left out."""
    with cy.Space() as space:
        cy.Deque.named("d", maxlen=5, space=space)
        assert cy.Deque.named("d", maxlen=None, space=space).maxlen == 5
        cy.Queue.named("q", maxsize=5, maxbytes=100, space=space)
        found = space.named("q", cy.Queue, None, maxbytes=None)
        assert (found.maxsize, found.maxbytes) == (5, 100)


MADE_ALREADY = {
    "Barrier": (2,),
    "Value": ("d", 1.5),
    "RawValue": ("d", 1.5),
    "Array": ("i", [1, 2]),
    "RawArray": ("i", [1, 2]),
    "Queue": (5,),
    "BoundedSemaphore": (3,),
    "Deque": ("ab", 2),
}


@pytest.mark.parametrize(("title", "arguments"), MADE_ALREADY.items())
def test_what_exists_is_found_without_arguments(title: str, arguments: Any) -> None:
    kind = getattr(cy, title)
    with cy.Space() as space:
        made = space.named("x", kind, *arguments)
        for found in (space.named("x", kind), kind.named("x", space=space)):
            assert found._details() == made._details()
            assert str(found).split(" at 0x")[0] == str(made).split(" at 0x")[0]


@pytest.mark.parametrize("title", ["Barrier", "Value", "RawValue", "Array", "RawArray"])
def test_what_is_missing_to_make_one_is_said(title: str) -> None:
    kind = getattr(cy, title)
    with cy.Space() as space:
        missing = rf"^{title}.named\(\) missing 1 required positional argument: "
        with pytest.raises(TypeError, match=missing):
            kind.named("x", space=space)
        space.named("x", cy.Lock)
        with pytest.raises(cy.WrongType, match=rf"'x' is a Lock in .*, not an? {title}:"):
            kind.named("x", space=space)


def test_none_leaves_an_option_open_for_who_makes_it_too() -> None:
    with cy.Space() as space:
        q = cy.Queue.named("q", maxsize=None, maxbytes=None, space=space)
        assert (q.maxsize, q.maxbytes) == (0, None)
        assert cy.LifoQueue.named("l", None, space=space).maxsize == 0
        gate = cy.BoundedSemaphore.named("b", None, space=space)
        assert gate.get_value() == 1 and gate._limit == 1
        assert cy.Deque.named("d", (), None, space=space).maxlen is None


def test_the_defaults_of_a_subclass_are_for_who_makes_it() -> None:
    class Jobs(cy.Queue[Any]):
        def __init__(self, maxsize: int = 7) -> None:
            super().__init__(maxsize)

    class Last(cy.Deque[Any]):
        def __init__(self, values: Any = (), maxlen: int = 3) -> None:
            super().__init__(values, maxlen)

    class Gate(cy.BoundedSemaphore):
        def __init__(self, value: int = 4) -> None:
            super().__init__(value)

    with cy.Space() as space:
        assert Jobs.named("made", space=space).maxsize == 7
        cy.Queue.named("q", 100, space=space)
        assert Jobs.named("q", space=space).maxsize == 100
        with pytest.raises(
            cy.WrongType, match=r"is a Queue\(100\) in .*, not a Queue\(maxsize=0\):"
        ):
            Jobs.named("q", 0, space=space)
        cy.Deque.named("d", "abcd", 5, space=space)
        assert list(Last.named("d", space=space)) == list("abcd")
        cy.BoundedSemaphore.named("g", 2, space=space)
        with pytest.raises(cy.WrongType, match=r"a BoundedSemaphore\(2\) in .*, not a .*\(4\):"):
            Gate.named("g", space=space)
