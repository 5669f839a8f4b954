"""The reference has every public name, and every public name has a docstring to show there."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import courtyard

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"
DIRECTIVE = re.compile(r"^\.\. auto(?:class|exception|function):: courtyard\.(\w+)$", re.MULTILINE)


def test_the_reference_has_every_public_name() -> None:
    found = DIRECTIVE.findall(PAGE.read_text("utf-8"))
    assert sorted(found) == sorted(courtyard.__all__)


def documented() -> Iterator[tuple[str, object]]:
    """Yield all public names, and the methods and properties of the classes."""
    for name in courtyard.__all__:
        thing = getattr(courtyard, name)
        yield name, thing
        if not inspect.isclass(thing) or thing is courtyard.Namespace:  # its names are the user's
            continue
        for home in thing.__mro__:
            if home.__module__.startswith("courtyard"):
                for key in sorted(vars(home)):  # native classes have no order of their own
                    if not key.startswith("_") and hasattr(thing, key):
                        yield f"{name}.{key}", getattr(thing, key)


@pytest.mark.parametrize("name, thing", [pytest.param(*x, id=x[0]) for x in documented()])
def test_docstring(name: str, thing: object) -> None:
    """One line that says what it is; what else there is to say after an empty one."""
    first, *rest = (inspect.getdoc(thing) or "").split("\n")
    assert re.fullmatch(r"[A-Z`].{10,98}[.:]", first), first
    assert not rest or rest[0] == "", first
