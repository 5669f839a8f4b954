"""The reference has every public name, and every public name has a docstring to show there."""

import inspect
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import pytest

import courtyard
import courtyard.aio
from tests.support.children import run_script

PAGES = {
    path.stem: path.read_text("utf-8")
    for path in sorted((Path(__file__).parents[2] / "docs" / "reference").glob("*.md"))
}
# The awaitable twins are on a page of their own: what they say otherwise than their objects.
AIO = PAGES.pop("aio")
# What is shown in full: its kind, its name, the options.
SHOWN = re.compile(
    r"^\.\. auto(class|exception|function|data):: courtyard\.(\w+)$((?:\n   :.+)*)", re.MULTILINE
)
LISTED = re.compile(r"^   ~courtyard\.(\w+)$", re.MULTILINE)  # in a table of names
TABLE = re.compile(r"^\.\. members:: courtyard\.(\w+)$(?:\n   :only: (.+))?", re.MULTILINE)
SHOWN_METHOD = re.compile(r"^   \.\. auto(?:method|property):: (\w+)$", re.MULTILINE)
METHOD = re.compile(r"^   \.\. automethod:: (\w+)$", re.MULTILINE)


def test_the_reference_has_every_public_name() -> None:
    shown = [name for page in PAGES.values() for _, name, _ in SHOWN.findall(page)]
    assert sorted(shown) == sorted(courtyard.__all__)
    listed = [name for page in PAGES.values() for name in LISTED.findall(page)]
    assert sorted(listed) == sorted(courtyard.__all__)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_tables(page: str) -> None:
    """Of the methods of its classes, or of all names on it."""
    text = PAGES[page]
    top = text[: match.start()] if (match := SHOWN.search(text)) else text
    tables = {name for name, _ in TABLE.findall(top)}
    assert len(TABLE.findall(text)) == len(tables)
    for kind, name, options in SHOWN.findall(text):
        if kind == "class" and page != "statistics":
            assert name in tables or ":no-members:" in options
        else:
            assert name in LISTED.findall(top)


def differs(name: str) -> list[str]:
    """Return what a class says otherwise than the public class that it is made of."""
    cls = getattr(courtyard, name)
    public = [getattr(courtyard, key) for key in courtyard.__all__]
    base = next(home for home in cls.__mro__[1:] if home in public)
    return [
        key
        for key in dir(cls)
        if not key.startswith("_")
        and inspect.getdoc(getattr(cls, key)) != inspect.getdoc(getattr(base, key, None))
    ]


def test_a_class_that_is_shown_in_part_shows_what_differs_from_its_base() -> None:
    seen = 0
    for page, text in PAGES.items():
        only = {name: names.split(", ") for name, names in TABLE.findall(text) if names}
        for _, name, options in SHOWN.findall(text):
            if ":no-members:" not in options:
                assert name not in only
            elif name == "Namespace":  # its names are the user's, but for those of the class
                assert only[name] == METHOD.findall(text) == ["named"]
            else:
                assert only.get(name, []) == differs(name), page
                assert METHOD.findall(text) == only.get(name, []), page
                seen += 1
    assert seen >= 6


def docstrings(module: ModuleType, name: str) -> dict[str, str | None]:
    """Return what a class says of each of its methods."""
    cls = getattr(module, name, None)
    return {key: inspect.getdoc(getattr(cls, key)) for key in dir(cls) if not key.startswith("_")}


def test_the_page_of_twins_has_all_of_them_and_all_that_is_theirs() -> None:
    listed = re.findall(r"^   ~courtyard\.aio\.(\w+)$", AIO, re.MULTILINE)
    assert sorted(listed) == sorted(courtyard.aio.__all__)
    blocks = re.split(r"^\.\. auto\w+:: courtyard\.aio\.", AIO, flags=re.MULTILINE)[1:]
    shown = {re.match(r"\w+", block)[0]: SHOWN_METHOD.findall(block) for block in blocks}  # type: ignore[index]
    assert sorted(shown) == sorted(listed)
    common = docstrings(courtyard.aio, "Object")
    seen: set[str | None] = set()
    theirs: set[str | None] = set()
    for name in shown:
        if not inspect.isclass(getattr(courtyard.aio, name)):
            continue
        said = docstrings(courtyard.aio, name)
        seen |= {said[key] for key in shown[name]}
        known = docstrings(courtyard, name) if name != "Object" else {}
        if name != "Object":
            known |= common
        theirs |= {doc for key, doc in said.items() if key != "sync" and doc != known.get(key)}
    assert seen == theirs


def documented() -> Iterator[tuple[str, object]]:
    """Yield all public names, and the methods and properties of the classes."""
    names = [*courtyard.__all__, *(f"aio.{name}" for name in courtyard.aio.__all__)]
    for name in names:
        thing = attrgetter(name)(courtyard)
        yield name, thing
        if not inspect.isclass(thing) or thing is courtyard.Namespace:  # its names are the user's
            continue
        for home in thing.__mro__:
            if home.__module__.startswith("courtyard"):
                for key in sorted(vars(home)):  # native classes have no order of their own
                    member = getattr(thing, key, None)
                    if key.startswith("_") or member is None or inspect.ismemberdescriptor(member):
                        continue
                    yield f"{name}.{key}", member


@pytest.mark.parametrize("name, thing", [pytest.param(*x, id=x[0]) for x in documented()])
def test_docstring(name: str, thing: object) -> None:
    """One line that says what it is; what else there is to say after an empty one."""
    first, *rest = (inspect.getdoc(thing) or "").split("\n")
    assert re.fullmatch(r"[A-Z`].{10,98}[.:]", first), first
    assert not rest or rest[0] == "", first


def test_dir_lists_the_public_names() -> None:
    listed = run_script("import courtyard; print(*dir(courtyard))").stdout.split()
    assert set(courtyard.__all__) <= set(listed)
    assert all(name in courtyard.__all__ or name.startswith("__") for name in listed)
