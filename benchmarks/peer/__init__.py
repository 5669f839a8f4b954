"""One module a peer: its TITLE, its OFFERS and, if it is installed, its DISTRIBUTION.

One that takes seconds to start says in START how many at worst: its cells may take so much longer,
are measured in one round only, and are left out of quick runs.
"""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


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


def constant(name: str, which: str) -> Any:
    """Return a constant of an adapter without importing it, which may need what is not there."""
    spec = find_spec(path(name))
    if spec is None or spec.origin is None:
        return None
    for line in ast.parse(Path(spec.origin).read_text("utf-8")).body:
        match line:
            case ast.Assign([ast.Name(found)], ast.Constant(value)) if found == which:
                return value
    return None


def distribution(name: str) -> str:
    """Return which distribution an adapter needs; empty if none."""
    return str(constant(name, "DISTRIBUTION") or "")


def start(name: str) -> float:
    """Return how many seconds it takes to start at worst, if that is worth telling."""
    return float(constant(name, "START") or 0)
