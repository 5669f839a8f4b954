"""The engine's modules import downward only; modules of one layer are strangers."""

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent / "crates" / "core" / "src"

# From the bottom up. A folder is one module, whatever is in it.
LAYERS = [
    ["mortal"],  # the processes of a loom model; nothing in a normal build
    ["error", "seed", "sync", "os"],
    ["backlog", "copy", "crash", "keep", "layout"],
    ["loan", "pending", "roster"],
    ["enrolled"],
    ["superblock"],
    ["segment"],
    ["byte"],
    ["participant"],
    ["lock", "journal", "progress", "wait", "waiting"],
    ["alone", "operation", "recover"],
    ["heap", "lookout", "reading"],
    ["space"],
    ["deferral", "growth", "hole"],
    ["doom", "pin"],
    ["unfinished"],
    ["rows"],
    ["directory", "holding"],
    ["link"],
    ["cell"],
    ["value"],
    [
        "mutex",
        "flag",
        "semaphore",
        "condition",
        "barrier",
        "queue",
        "table",
        "list",
        "fork",
        "drain",
    ],
    ["census"],
    ["check", "inspect"],
    ["folder"],
    ["lib"],
]
# What takes a module's place in a model is that module.
STAND_INS = {"segment_model": "segment"}
# Macros are named as if they stood in the crate's root.
MACROS = {"crash_point": "crash"}
HEIGHT = {module: height for height, layer in enumerate(LAYERS) for module in layer}

# Comments, strings and characters: braces and paths in them mean nothing.
NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | b?r(\#*)".*?"\1 | b?"(?:\\.|[^"\\])*" | b?'(?:\\.[^']*|[^'\\])'""",
    re.VERBOSE | re.DOTALL,
)
TEST = re.compile(r"#\[cfg\((?:test|all\([^\]]*\btest\b[^\]]*)\)\]")


def without_tests(source: str) -> str:
    """Return the source without noise and without the items that are compiled for tests only."""
    source = NOISE.sub("''", source)
    while match := TEST.search(source):
        end, depth = match.end(), 0
        while end < len(source):
            depth += {"{": 1, "}": -1}.get(source[end], 0)
            end += 1
            if depth == 0 and source[end - 1] in ";}":
                break
        source = source[: match.start()] + source[end:]
    return source


def imports(source: str) -> set[str]:
    """Return the modules of the crate that a source names, in ``use`` lines and in paths."""
    source = without_tests(source)
    found = set(re.findall(r"\bcrate::(\w+)", source))
    for match in re.finditer(r"\bcrate::\{", source):
        depth, word_next = 1, True
        for token in re.findall(r"\w+|[{},]|::|\*|\s+", source[match.end() :]):
            depth += {"{": 1, "}": -1}.get(token, 0)
            if depth == 0:
                break
            if depth == 1 and word_next and token.isidentifier():
                found.add(token)
                word_next = False
            elif depth == 1 and token == ",":
                word_next = True
    return found


def module_of(path: Path) -> str:
    name = path.relative_to(SOURCES).parts[0].removesuffix(".rs")
    return STAND_INS.get(name, name)


def paths() -> list[Path]:
    return [path for path in sorted(SOURCES.rglob("*.rs")) if path.stem != "tests"]


def test_every_module_has_a_layer() -> None:
    modules = {module_of(path) for path in paths()}
    assert "lib" in modules
    assert modules <= set(HEIGHT), "give the new module its place in LAYERS"


@pytest.mark.parametrize("path", paths(), ids=lambda path: str(path.relative_to(SOURCES)))
def test_imports_go_down(path: Path) -> None:
    module = module_of(path)
    named = {MACROS.get(name, name) for name in imports(path.read_text("utf-8"))}
    # What is no module is a name of the crate's root, which stands above all.
    named = {name if name in HEIGHT else "lib" for name in named}
    wrong = {name for name in named - {module} if HEIGHT[name] >= HEIGHT[module]}
    assert not wrong, f"{module} may not import {', '.join(sorted(wrong))}"


def test_the_reader_of_imports() -> None:
    source = """
        use crate::{heap::{Heap, lock::X}, sync, os as system};
        use crate::segment::Segment; // crate::comment
        fn f() { let text = "crate::text {"; crate::journal::open('{'); }
        #[cfg(test)]
        mod tests { use crate::space::Space; fn g() {} }
        #[cfg(all(test, loom))]
        use crate::check;
        #[cfg(not(test))]
        use crate::wait;
    """
    assert imports(source) == {"heap", "sync", "os", "segment", "journal", "wait"}
