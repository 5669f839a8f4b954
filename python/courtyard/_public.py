"""The public classes: found by their names, and with all their methods under these.

A name in a space says of which type the object is, and an object's type says its public class.

Python says of wrong arguments in which class a method was written: ``Row.extend() takes 2
positional arguments``. Nobody but us knows that class. So a public class gets a method of its own,
of the same code, for each that it inherits from one of our private classes.
"""

from __future__ import annotations

from courtyard import _native

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# The types of objects, by their names.
_types: dict[str, Any] = {}
# What was given to public classes, by its names.
_given: dict[type, set[str]] = {}
_FUNCTION: Any = type(lambda: None)
# What Python calls for the class itself.
_MAKERS = frozenset({"__new__", "__init__", "__init_subclass__", "__class_getitem__"})


def register(classes: Iterable[type]) -> None:
    """Have the types of objects among these classes found by their names."""
    _types.update((cls.__name__, cls) for cls in classes if hasattr(cls, "_arrive"))


def find(title: str) -> Any:
    """Return the type of that name; None if there is none."""
    return _types.get(title)


def is_type(cls: Any) -> bool:
    """Say whether it is one of the types of objects, or a program's subclass of one."""
    return isinstance(cls, type) and any(base in _types.values() for base in cls.__mro__)


def title_of(cls: type) -> str:
    """Return the name of courtyard's own class: the same for a program's subclass of it."""
    for base in cls.__mro__:
        if base.__module__ == "courtyard":
            return base.__name__
    raise TypeError(f"expected an object of one of courtyard's types, found {cls.__name__}")


def with_article(title: str) -> str:
    """Return the name of a type as a sentence has it: ``a Queue``, ``an Array``."""
    return f"{'an' if title[0] in 'AEIOU' or title == 'RLock' else 'a'} {title}"


def publish(classes: Iterable[type]) -> None:
    """Give public classes what they inherit from private ones under their own names."""
    public = set(classes)
    # Those that derive from others first, in whatever order a set has them: else they would find
    # what another public class was given, and leave it named after that.
    for cls in sorted(public, key=lambda cls: len(cls.__mro__), reverse=True):
        seen = set()
        for base in cls.__mro__:
            is_private = base not in public and base.__module__.partition(".")[0] == "courtyard"
            for name, member in tuple(base.__dict__.items()):
                if is_private and name not in seen and _is_called(name, member):
                    own = _owned(cls, name, member)
                    if own is not member:
                        setattr(cls, name, own)
                        _given.setdefault(cls, set()).add(name)
                seen.add(name)


def in_store(cls: type, base: type) -> Any:
    """Return the class that is ``cls``, and keeps what it holds as ``base`` does.

    ``base`` is the public class that ``cls`` derives from, as another store has it: see
    ``_container.store``. What ``cls`` was given above would hide what that has.
    """
    between = set(cls.__mro__) - set(base.__mro__)
    given = {name for each in between for name in _given.get(each, ())}
    body = {name: getattr(base, name) for name in given}
    return type(cls)(cls.__name__, (cls, base), {**body, "__module__": base.__module__})


def _is_called(name: str, member: Any) -> bool:
    """Return whether users call a member, by its name or as an operator does."""
    is_operator = name.startswith("__") and name not in _MAKERS
    return not name.startswith("_") or (is_operator and isinstance(member, _FUNCTION))


def _owned(cls: type, name: str, member: Any) -> Any:
    """Return a member of a private class as that of a public one."""
    if isinstance(member, _FUNCTION):
        return _copied(cls, name, member)
    if isinstance(member, classmethod):
        return classmethod(_copied(cls, name, member.__func__))
    return _native.rehome(cls, member)


def _copied(cls: type, name: str, function: Any) -> Any:
    made = _FUNCTION(
        function.__code__,
        function.__globals__,
        name,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__annotations__ = function.__annotations__
    made.__doc__ = function.__doc__
    made.__dict__.update(function.__dict__)
    made.__module__, made.__qualname__ = cls.__module__, f"{cls.__qualname__}.{name}"
    return made
