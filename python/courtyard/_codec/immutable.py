"""Which objects cannot be changed in place, so that a block could only replace them."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

# By module and name, since most of them are not imported yet. Of some the implementation is in a
# module of its own.
_CLASSES = frozenset(
    f"{module}.{name}"
    for modules, names in (
        (
            "builtins",
            "NoneType bool int float complex str bytes range slice ellipsis type function",
        ),
        ("builtins", "builtin_function_or_method NotImplementedType"),
        ("types", "GenericAlias"),
        ("datetime", "date datetime time timedelta timezone"),
        ("decimal _pydecimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        ("zoneinfo", "ZoneInfo"),
        ("re", "Pattern"),
        (
            "ipaddress",
            "IPv4Address IPv6Address IPv4Interface IPv6Interface IPv4Network IPv6Network",
        ),
        (
            "pathlib pathlib._local",
            "PurePath PurePosixPath PureWindowsPath Path PosixPath WindowsPath",
        ),
    )
    for module in modules.split()
    for name in names.split()
)


def is_immutable(value: Any) -> bool:
    """Say whether nothing of an object can be changed in place, not even inside it.

    A tuple, a frozenset or a frozen dataclass can be if something in it can. So can an instance of
    a subclass that has attributes of its own.
    """
    cls = type(value)
    if cls is object:
        return True  # as a mark that stands for no value
    if issubclass(cls, type) or _is_of(value, "enum", "Enum"):
        return True  # pickled by name: what is changed of it is not stored
    if _is_of(value, "numpy", "generic"):
        return True  # a record, too: what is assigned to a field of a loaded one is lost
    if "__dataclass_params__" in vars(cls) and cls.__dataclass_params__.frozen:
        names = cls.__dataclass_fields__
        return all(is_immutable(getattr(value, name, None)) for name in names)
    for base in cls.__mro__:
        if base in (tuple, frozenset):
            return all(map(is_immutable, value))
        if f"{base.__module__}.{base.__qualname__}" in _CLASSES:
            return True
        if "__dict__" in vars(base) or vars(base).get("__slots__"):
            return False
    return False


def _is_of(value: Any, module: str, name: str) -> bool:
    """Say whether it is an instance of a class of a module, which is not imported for that."""
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(value, cls)
