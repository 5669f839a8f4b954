"""How containers are iterated over.

A loop, ``list(d)`` and ``[*d]`` go over a copy of all that is there at one moment. For
``next(iter(d))``, which uses one element, that copy would cost too much. So an iterator whose first
element is asked for by another call (by ``next``, or by what reads on demand, as ``map``) reads
that element alone, and copies the rest when the second is asked for. The instruction that runs
tells the two apart.
"""

from __future__ import annotations

from itertools import chain
from sys import _getframe

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

# So few are copied in any case.
_FEW = 64


_call_codes: set[int] = set()


def _calls() -> set[int]:
    if not _call_codes:
        from opcode import opmap  # not at the import of courtyard: it costs more than all of this

        starts = ("CALL", "PRECALL")
        _call_codes.update(code for name, code in opmap.items() if name.startswith(starts))
    return _call_codes


class _Pieces:
    """The lists that an iterator goes over: one with all; or one with the first, one with the rest.

    ``read(None)`` gives all; ``first()`` the first, in a list, and what ``read`` then takes to give
    the rest.
    """

    __slots__ = ("_begun", "_first", "_place", "_read")

    def __init__(self, read: Any, first: Any, frame: FrameType) -> None:
        self._read = read
        self._first = first
        self._place = id(frame), frame.f_lasti
        self._begun: Any = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        read, first = self._read, self._first
        if read is None:
            raise StopIteration
        self._first = None
        if first is not None and self._is_asked_for_one(_getframe(1)):
            found, self._begun = first()
            if not found:
                self._read = None
            return found
        self._read = None
        return read(self._begun)

    def _is_asked_for_one(self, frame: FrameType) -> bool:
        at = frame.f_lasti
        return (id(frame), at) != self._place and frame.f_code.co_code[at] in _calls()


def iterate(
    count: int,
    read: Callable[[Any], list[Any]],
    first: Callable[[bool], Any],
    frame: FrameType,
    is_backwards: bool = False,
) -> Iterator[Any]:
    """Return an iterator over so many, made where ``frame`` is: see _Pieces.

    ``first`` takes whether it is the last that is asked for.
    """

    def read_backwards(begun: Any) -> list[Any]:
        found = read(begun)
        found.reverse()
        return found

    in_order = read_backwards if is_backwards else read
    if count <= _FEW:
        return iter(in_order(None))
    return chain.from_iterable(_Pieces(in_order, lambda: first(is_backwards), frame))
