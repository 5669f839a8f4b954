"""One module a peer: its TITLE, its OFFERS and, if it is installed, its DISTRIBUTION."""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def names() -> list[str]:
    """Return the names of all adapters here, in the order of the report."""
    found = sorted(module.name for module in pkgutil.iter_modules(__path__))
    first = ["floor", "courtyard", "multiprocessing"]
    return [*first, *(name for name in found if name not in first)]


def path(name: str) -> str:
    """Return the full name of a peer's adapter; one that is kept elsewhere has a dotted name."""
    return name if "." in name else f"{__name__}.{name}"


def adapter(name: str) -> ModuleType:
    """Import a peer's adapter."""
    return import_module(path(name))


def distribution(name: str) -> str:
    """Return which distribution an adapter needs, without importing it; empty if none."""
    spec = find_spec(path(name))
    if spec is None or spec.origin is None:
        return ""
    for line in ast.parse(Path(spec.origin).read_text("utf-8")).body:
        match line:
            case ast.Assign([ast.Name("DISTRIBUTION")], ast.Constant(str(found))):
                return found
    return ""
