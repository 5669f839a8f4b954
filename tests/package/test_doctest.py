"""The examples in the docstrings of all public names do what they say, native ones included."""

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import courtyard


def modules() -> Iterator[ModuleType]:
    yield courtyard
    for module in pkgutil.walk_packages(courtyard.__path__, "courtyard."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def public_names(module: ModuleType) -> list[str]:
    default = [name for name in vars(module) if not name.startswith("_")]
    return list(getattr(module, "__all__", default))


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    parser = doctest.DocTestParser()
    seen: set[int] = set()  # of objects that more than one module names
    for module in modules():
        module_name = module.__name__
        named: dict[str, Any] = {module_name: module}
        named |= {f"{module_name}.{name}": getattr(module, name) for name in public_names(module)}
        for name, thing in named.items():
            if id(thing) in seen or (inspect.ismodule(thing) and thing is not module):
                continue
            home = getattr(thing, "__module__", None) or module_name
            if not home.startswith("courtyard"):
                continue
            seen.add(id(thing))
            globs = {"courtyard": courtyard, "cy": courtyard}
            if inspect.ismodule(thing):  # its functions and classes come by their names
                tests = [parser.get_doctest(thing.__doc__ or "", globs, name, thing.__file__, 0)]
            else:
                # False: find in the object itself, whose methods may be the native base's.
                tests = finder.find(thing, name, module=False, extraglobs=globs)
            if inspect.isclass(thing):
                tests += [  # the finder passes over the attributes of native classes
                    parser.get_doctest(member.__doc__, globs, f"{name}.{key}", None, None)
                    for base in thing.__mro__
                    if base.__module__.startswith("courtyard")
                    for key, member in sorted(vars(base).items())
                    if inspect.isgetsetdescriptor(member) and member.__doc__
                ]
            yield from (test for test in tests if test.examples)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_example(example: doctest.DocTest) -> None:
    runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    try:
        runner.run(example)
    except doctest.DocTestFailure as failure:
        shown = f">>> {failure.example.source}expected:\n{failure.example.want}got:\n{failure.got}"
        pytest.fail(shown, pytrace=False)
    except doctest.UnexpectedException as failure:
        raise failure.exc_info[1] from None
