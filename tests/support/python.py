"""Which modules of a Python package import which, read from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path


def imported(source: str) -> Iterator[str]:
    """Yield the names that a source imports, also inside functions; not those for type checkers."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{each.name}" for each in node.names)
        else:
            waiting += ast.iter_child_nodes(node)


def modules(root: Path) -> dict[str, Path]:
    """Return the modules of a package and their files, ``a::b`` for ``a/b.py``."""
    found = {}
    for path in sorted({*root.rglob("*.py"), *root.rglob("*.pyi")}):
        parts = path.relative_to(root).with_suffix("").parts
        inner = parts[:-1] if parts[-1] == "__init__" else parts
        found["::".join(inner) or "__init__"] = path
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """Return which modules of its package each module imports."""
    known = modules(root)
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        graph[name] = set()
        for named in imported(path.read_text("utf-8")):
            package, *steps = named.split(".")
            if package == root.name:
                heads = ("::".join(steps[:n]) for n in range(len(steps), 0, -1))
                graph[name].add(next((head for head in heads if head in known), "__init__"))
        graph[name].discard(name)
    return graph
