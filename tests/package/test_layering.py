"""Modules import downward only, and never in a circle: ``layers.toml`` says what is above what."""

import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support import python, rust
from tools import floors

REPOSITORY = Path(__file__).parents[2]
LAYERS = tomllib.loads((REPOSITORY / "tests" / "layers.toml").read_text("utf-8"))
# What takes a module's place in a model is that module.
STAND_INS = {"memory::segment_model": "memory::segment"}


def graph(layers: dict[str, object]) -> dict[str, set[str]]:
    root = REPOSITORY / str(layers["root"])
    if (root / "__init__.py").exists():
        return python.imports(root)
    found = rust.imports(root)
    return {name: named for name, named in found.items() if name not in STAND_INS}


def floor_of(name: str) -> str:
    return name.split("::")[0]


@pytest.mark.parametrize("crate", LAYERS)
def test_every_module_is_on_a_floor(crate: str) -> None:
    floors = {name for floor in LAYERS[crate]["floors"] for name in floor}
    assert {floor_of(name) for name in graph(LAYERS[crate])} == floors


@pytest.mark.parametrize("crate", LAYERS)
def test_imports_go_down(crate: str) -> None:
    floors = enumerate(LAYERS[crate]["floors"])
    height = {name: height for height, floor in floors for name in floor}
    wrong = [
        f"{name} imports {other}"
        for name, named in graph(LAYERS[crate]).items()
        for other in named
        if floor_of(name) != floor_of(other) and height[floor_of(other)] >= height[floor_of(name)]
    ]
    assert not wrong


@pytest.mark.parametrize("crate", LAYERS)
def test_no_modules_import_each_other(crate: str) -> None:
    try:
        TopologicalSorter(graph(LAYERS[crate])).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("crate", LAYERS)
def test_rooms_are_strangers(crate: str) -> None:
    def room_of(name: str) -> list[str]:
        return name.split("::")[:2]

    wrong = [
        f"{name} imports {other}"
        for name, named in graph(LAYERS[crate]).items()
        for other in named
        if floor_of(name) in LAYERS[crate]["rooms"]
        and floor_of(name) == floor_of(other)
        and room_of(name) != room_of(other)
        and room_of(name)[1:] not in ([], ["choice"])
    ]
    assert not wrong


def test_the_reader_of_imports() -> None:
    source = """
        use crate::{heap::{Heap, lock::X}, sync, os as system};
        use crate::segment::Segment; // crate::comment
        fn f() { let text = "crate::text {"; crate::journal::open('{'); super::near(); }
        #[cfg(test)]
        mod tests { use crate::space::Space; fn g() {} }
        #[cfg(all(test, loom))]
        use crate::check;
        #[cfg(not(test))]
        use crate::wait;
    """
    assert set(rust.paths(source)) == {
        "crate::heap::Heap",
        "crate::heap::lock::X",
        "crate::sync",
        "crate::os",
        "crate::segment::Segment",
        "crate::wait",
        "crate::journal::open",
        "super::near",
    }


def test_the_graph_of_imports(tmp_path: Path) -> None:
    sources = {
        "lib.rs": "mod low; mod high; pub use high::Top;",
        "low/mod.rs": "mod a; mod b; pub use a::A;",
        "low/a.rs": "use super::b::{self, B};",
        "low/b.rs": "use super::a::A; fn f() { crate::high::top(); }",
        "high.rs": "use crate::low::A; use std::io;",
    }
    for name, source in sources.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    assert rust.imports(tmp_path) == {
        "lib": {"high"},
        "low": {"low::a"},
        "low::a": {"low::b"},
        "low::b": {"low::a", "high"},
        "high": {"low"},
    }


def test_the_reader_of_python_imports(tmp_path: Path) -> None:
    package = tmp_path / "house"
    sources = {
        "__init__.py": "import os\nfrom house._high import top\nfrom house import _low as _low",
        "_low/__init__.py": "from house._low.a import A",
        "_low/a.py": "if TYPE_CHECKING:\n import house._high\nelse:\n from house._low import b",
        "_low/b.py": "def f():\n    import house\n    from house._low.a import A",
        "_high.py": "import house._low.a\nfrom house._low import A\nfrom house_two import x",
    }
    for name, source in sources.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    assert python.imports(package) == {
        "__init__": {"_high", "_low"},
        "_low": {"_low::a"},
        "_low::a": {"_low::b"},
        "_low::b": {"__init__", "_low::a"},
        "_high": {"_low::a", "_low"},
    }


def test_the_import_linter_has_the_same_floors() -> None:
    """Those of its contract, from the top down; the binding is no module that it can read."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["type"] == "layers")
    listed = [sorted(layer.split(" | ")) for layer in contract["layers"]]
    floors = [sorted(floor) for floor in LAYERS["package"]["floors"]]
    assert listed[::-1] == [floor for floor in floors if floor not in (["_native"], ["__init__"])]
    (apart,) = (each for each in contracts if each["type"] == "independence")
    rooms = [sorted(name.removeprefix("courtyard.") for name in apart["modules"])]
    assert rooms == [floor for floor in floors if "_container" in floor]


def test_the_modules_that_the_binding_asks_for_exist() -> None:
    """It imports some of the package when it needs them, by names that no checker reads."""
    known = python.modules(REPOSITORY / LAYERS["package"]["root"])
    asked = {
        (path.name, name)
        for path in (REPOSITORY / LAYERS["binding"]["root"]).rglob("*.rs")
        for name in re.findall(r"\bcourtyard\.(_[a-z_.]*[a-z])\b", path.read_text("utf-8"))
    }
    assert len(asked) > 10
    assert not [each for each in asked if each[1].replace(".", "::") not in known]


def test_the_page_on_the_design_shows_the_floors() -> None:
    page = (REPOSITORY / "docs" / "explanation" / "design.md").read_text("utf-8")
    chapter = page.partition("## Floors\n")[2].partition("\n## ")[0]
    for crate, drawn in zip(
        ("core", "binding", "package"), chapter.split("```text\n")[1:], strict=True
    ):
        lines = drawn.partition("```")[0].splitlines()
        shown = [sorted(re.split(r"\s{2,}", line)[0].split()) for line in lines]
        assert shown[::-1] == [sorted(floor) for floor in LAYERS[crate]["floors"]]


def test_the_picture_shows_the_floors() -> None:
    drawn = floors.draw(LAYERS)
    assert floors.PICTURE.read_text("utf-8") == drawn, "python tools/floors.py draws it anew"
    places = re.findall(r'y="(\d+)" text-anchor="middle">(\w+)<', drawn)
    shown = {int(y): [name for height, name in places if height == y] for y, _ in places}
    listed = [floor for crate in LAYERS.values() for floor in crate["floors"]]
    assert [shown[y] for y in sorted(shown, reverse=True)] == listed


def test_the_files_that_pages_name_exist() -> None:
    sources = [str(path) for path in REPOSITORY.glob("crates/*/**/*.rs")]
    missing = [
        f"{page.name}: {named}"
        for page in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"))
        for named in re.findall(r"`([\w/]+\.rs)`", page.read_text("utf-8"))
        if not any(source.endswith(f"/{named}") for source in sources)
    ]
    assert not missing


def test_the_paths_that_pages_name_exist() -> None:
    named = re.compile(r"`((?:benchmarks|crates|docs|models|python|tests|tools)/[\w./-]+\.\w+)`")
    pages = (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"))
    found = [(page.name, path) for page in pages for path in named.findall(page.read_text("utf-8"))]
    assert len(found) > 50
    assert not [f"{page}: {path}" for page, path in found if not (REPOSITORY / path).exists()]
