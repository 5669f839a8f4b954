"""What values and arrays were declared as, in plain values: what a name's description says.

A typecode or the name of a ctypes scalar is a text, and so are ``int``, ``float``, ``bool`` and
``object``. All else is a tuple:

- ``("array", element, length)``: a ctypes array;
- ``("order", element, "__ctype_be__")``: a ctypes scalar in foreign byte order;
- ``("dtype", text)``: a NumPy dtype;
- ``("class", module, qualified name, layout)``: any other class; a ctypes structure has a layout.
"""

from __future__ import annotations

from courtyard._codec.loading import missing
from courtyard._value.declaration import TYPECODES, portable, resolve

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

_BUILTIN = {"int": int, "float": float, "bool": bool, "object": object}


def describe(declared: Any) -> Any:
    """Return a declared type in plain values."""
    if isinstance(declared, str):
        return declared
    if declared in _BUILTIN.values():
        return declared.__name__
    taken_apart = portable(declared)
    if isinstance(taken_apart, tuple):
        element, what = taken_apart
        if isinstance(what, str):
            return ("order", describe(element), what)
        return ("array", describe(declared._type_), what)
    if declared.__module__ in ("ctypes", "_ctypes"):
        return str(declared.__name__)
    layout = ""
    if resolve(declared).shape == "structure":
        from courtyard._value.element import _layout

        layout = f"{resolve(declared).length}:{_layout(declared)}"
    return ("class", declared.__module__, declared.__qualname__, layout)


def describe_element(declared: Any, dtype: Any) -> Any:
    """Return the declared type of an array's elements in plain values."""
    if dtype is None:
        return describe(declared)
    return (
        "dtype",
        dtype.str if dtype.names is None and dtype.subdtype is None else _fields(dtype),
    )


def _fields(dtype: Any) -> str:
    return repr(dtype.descr)


def agree(asked: Any, found: Any) -> bool:
    """Say whether two descriptions are of the same type."""
    return bool(_normal(asked) == _normal(found))


def _normal(description: Any) -> Any:
    if isinstance(description, str):
        return TYPECODES.get(description, description)
    kind, *rest = description
    if kind == "class":
        module, name, layout = rest
        # Two programs may have the same structure, each in its own main module.
        return ("class", name, layout) if layout else ("class", module, name)
    if kind in ("array", "order"):
        return (kind, _normal(rest[0]), rest[1])
    return description


def restore(description: Any) -> Any:
    """Return the declared type. Raises LoadError if its class is not to be had here.

    A value that is stored as a pickle is opened all the same, with a stand-in for its class: to
    read it raises.
    """
    if isinstance(description, str):
        if description in _BUILTIN:
            return _BUILTIN[description]
        if description in TYPECODES:
            return description
        import ctypes

        return getattr(ctypes, description)
    kind, *rest = description
    if kind == "dtype":
        from courtyard._value.element import numpy

        np = numpy()
        if np is None:
            raise ImportError("this array has elements of NumPy, which is not installed")
        import ast

        text = rest[0]
        return np.dtype(ast.literal_eval(text) if text.startswith("[") else text)
    if kind == "array":
        return restore(rest[0]) * rest[1]
    if kind == "order":
        return getattr(restore(rest[0]), rest[1])
    module, name, layout = rest
    try:
        return _import(module, name)
    except Exception as error:  # whatever the module raises
        if not layout:
            return _stand_in(module, name)
        raise missing(error, module, name) from error


class _Missing(type):
    """The type of stand-ins for classes that are not to be had here."""


_stand_ins: dict[tuple[str, str], _Missing] = {}


def _stand_in(module: str, name: str) -> _Missing:
    """Return a class of that name, which is pickled as the one that it stands for."""
    from copyreg import pickle

    # By the table, as pickle takes every other object of a subclass of type for a global.
    pickle(_Missing, _reduce)
    names = {"__module__": module, "__qualname__": name}
    return _stand_ins.setdefault((module, name), _Missing(name.rpartition(".")[2], (), names))


def _reduce(stand_in: Any) -> tuple[Any, ...]:
    return restore, (describe(stand_in),)


def _import(module: str, name: str) -> Any:
    from importlib import import_module

    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def shown(description: Any) -> str:
    """Return a description as a person would write it."""
    if isinstance(description, str):
        return description
    kind, *rest = description
    if kind == "class":
        return str(rest[1]) + (f" of {rest[2].partition(':')[0]} bytes" if rest[2] else "")
    if kind == "array":
        return f"{shown(rest[0])} * {rest[1]}"
    if kind == "order":
        return f"{shown(rest[0])}.{rest[1]}"
    return str(rest[0])
