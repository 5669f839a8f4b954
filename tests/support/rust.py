"""Which modules of a crate import which, read from its source."""

import re
from collections.abc import Iterator
from pathlib import Path

# Comments, strings and characters: braces and paths in them mean nothing.
_NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | b?r(\#*)".*?"\1 | b?"(?:\\.|[^"\\])*" | b?'(?:\\.[^']*|[^'\\])'""",
    re.VERBOSE | re.DOTALL,
)
_TEST = re.compile(r"#\[cfg\((?:test|all\([^\]]*\btest\b[^\]]*|any\(test[^\]]*)\)\]")
_USE = re.compile(r"\buse ([^;]+);")
_PATH = re.compile(r"\b(?:crate|super)(?:::\w+)+")


def without_tests(source: str) -> str:
    """Return the source without noise and without the items that are compiled for tests only."""
    source = _NOISE.sub("''", source)
    while match := _TEST.search(source):
        end, depth = match.end(), 0
        while end < len(source):
            depth += {"{": 1, "}": -1}.get(source[end], 0)
            end += 1
            if depth == 0 and source[end - 1] in ";}":
                break
        source = source[: match.start()] + source[end:]
    return source


def _leaves(tree: str, path: str = "") -> Iterator[str]:
    """Yield the paths that a ``use`` names: ``a::{b, c::{d}}`` is ``a::b`` and ``a::c::d``."""
    depth, begun = 0, 0
    for at, letter in enumerate(tree + ","):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter != "," or depth:
            continue
        part = tree[begun:at]
        begun = at + 1
        head, brace, rest = part.partition("{")
        if brace:
            yield from _leaves(rest.removesuffix("}"), path + head)
        elif part:
            yield path + part


def paths(source: str) -> Iterator[str]:
    """Yield the paths of all that a source names in ``use`` lines, and from the crate."""
    source = without_tests(source)
    for use in _USE.findall(source):
        without_names = re.sub(r"\s+as\s+\w+", "", use)
        yield from _leaves(re.sub(r"\s+", "", without_names))
    yield from _PATH.findall(_USE.sub("", source))


def modules(root: Path) -> dict[str, Path]:
    """Return the modules below a folder and their files, ``a::b`` for ``a/b.rs``."""
    found = {}
    for path in sorted(root.rglob("*.rs")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[-1] != "tests":
            found["::".join(parts[:-1] if parts[-1] == "mod" else parts)] = path
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """Return which modules each module of a crate imports, those that declare it not among them."""
    known = modules(root)
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        inside = path.name in ("mod.rs", "lib.rs")
        here = [] if path.name == "lib.rs" else name.split("::")
        graph[name] = set()
        for named in paths(path.read_text("utf-8")):
            first, *rest = named.split("::")
            steps = here
            if first == "crate":
                steps = rest
            elif first == "super":
                steps = here[:-1]
                while rest[:1] == ["super"]:
                    steps, rest = steps[:-1], rest[1:]
                steps = steps + rest
            elif inside and "::".join([*here, first]) in known:
                steps = [*here, first, *rest]
            else:
                continue
            heads = ("::".join(steps[:n]) for n in range(len(steps), 0, -1))
            found = next((head for head in heads if head in known), name)
            graph[name].add(found)
        graph[name].discard(name)
    return graph
