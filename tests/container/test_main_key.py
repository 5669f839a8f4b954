"""Keys of classes that the main script defines: the same keys in its children, however started."""

from pathlib import Path

import pytest

from tests.support.children import run_script

SCRIPT = """
import dataclasses, enum, multiprocessing, sys
import courtyard as cy

class Color(enum.Enum):
    RED = 1
    GREEN = 2

class Outer:
    @dataclasses.dataclass(frozen=True)
    class Place:
        x: int
        name: str

class Text(str):
    def __hash__(self): return 7
    def __eq__(self, other): return type(other) is Text and str(self) == str(other)

def function(): pass

KEYS = [Color.RED, Outer.Place(1, "__mp_main__"), Text("a"), function, Color, (Color.GREEN, 1),
        frozenset([Color.RED, Text("b")]), (Color.RED, (Color.RED, function)), "__mp_main__"]

def look(d, s, c, names):
    assert __name__ == ("__main__" if sys.argv[1] == "fork" else "__mp_main__")
    for number, key in enumerate(KEYS):
        assert d[key] == number and key in s and c[key] == 1, key
        c.increment(key)
        d[key] = -number
        s.discard(key)
        found = [each for each in d if each == key]
        assert len(found) == 1 and type(found[0]) is type(key)
    assert len(d) == len(c) == len(KEYS) and not s
    d[Color.GREEN] = "new"
    d["__main__"] = "a text"

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    d, s, c = cy.Dict(zip(KEYS, range(len(KEYS)))), cy.Set(KEYS), cy.Counter(KEYS)
    child = multiprocessing.Process(target=look, args=(d, s, c, None))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert d[Color.GREEN] == "new" and d["__main__"] == "a text"
    for number, key in enumerate(KEYS):
        assert d[key] == -number and c[key] == 2, key
    with multiprocessing.Pool(1) as pool:
        assert pool.map(d.get, KEYS) == [-number for number in range(len(KEYS))]
    for each in d, s, c:
        each.check()
    print("the same")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_keys_of_the_main_scripts_classes(tmp_path: Path, method: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)
    assert run_script(script, method).stdout == "the same\n"


STORED = """
import enum, sys
import courtyard as cy

class Color(enum.Enum):
    RED = 1
    BLUE = 2

def store(url):
    space = cy.Space(url)
    space.named("d", cy.Dict)["v"] = Color.BLUE
    space.named("q", cy.Queue).put([Color.RED])
    space.named("v", cy.Value, object).value = Color

if __name__ == "__main__":
    if sys.argv[1] == "store":
        import multiprocessing
        context = multiprocessing.get_context(sys.argv[3])
        child = context.Process(target=store, args=(sys.argv[2],))
        child.start()
        child.join()
        assert child.exitcode == 0
    else:
        space = cy.Space(sys.argv[2])
        assert space.named("d", cy.Dict)["v"] is Color.BLUE
        assert space.named("q", cy.Queue).get() == [Color.RED]
        assert space.named("v", cy.Value, object).value is Color
        assert "multiprocessing.context" not in sys.modules
        space.destroy()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_what_a_child_stored_is_there_for_the_next_run(tmp_path: Path, method: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(STORED)
    url = (tmp_path / "space").as_uri()
    run_script(script, "store", url, method)
    run_script(script, "load", url)
