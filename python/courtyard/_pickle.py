"""What pickles: a handle, and the state that programs add to it.

The state of a shared object, or of a space, is what a program's subclass adds: attributes and
slots. It is pickled as ``object.__getstate__`` has it, beside the handle.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

# Slots of the classes made for a lock that the user gave; no state, as the pickle says the lock.
_GIVEN = "_given_lock"


def rebuild(cls: Any, /, *parts: Any) -> Any:
    """Return the handle that a pickle says: what all pickles of courtyard's call.

    Values in files do, too: so it keeps its name and its module.
    """
    return cls._load(*parts)


_rebuild = rebuild  # as in values that earlier builds of this version stored


def is_ours(cls: type) -> bool:
    """Say whether a class is courtyard's, and not a program's."""
    return cls.__module__ == "courtyard" or cls.__module__.startswith("courtyard.")


def definer(cls: type, name: str) -> type:
    """Return the class that ``cls`` has an attribute from."""
    return next(base for base in cls.__mro__ if name in base.__dict__)


def _slots_added(cls: Any) -> tuple[str, ...]:
    from copyreg import _slotnames  # type: ignore[attr-defined]

    def is_added(name: str) -> bool:
        of = getattr(getattr(cls, name, None), "__objclass__", None)
        return name != _GIVEN and not (of is not None and is_ours(of))

    return tuple(name for name in _slotnames(cls) if is_added(name))


class Stateful:
    """What pickles with the attributes and slots that subclasses add."""

    __slots__ = ()

    # Whether an object has no state of its own.
    _stateless = True
    # The slots that classes of programs add.
    _added_slots: tuple[str, ...] = ()
    # Whether ``__getstate__`` is a program's.
    _chooses_state = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Look at what a class has of its own."""
        super().__init_subclass__(**keywords)
        if not is_ours(cls):
            cls._stateless = False
            cls._added_slots = _slots_added(cls)
            cls._chooses_state = not is_ours(definer(cls, "__getstate__"))

    def __getstate__(self) -> Any:
        """Return what a subclass adds, as ``object.__getstate__`` does; None if that is nothing."""
        return _state(self)

    def __setstate__(self, state: Any) -> None:
        """Take what ``__getstate__`` returned."""
        slots: dict[str, Any] = {}
        if isinstance(state, tuple) and len(state) == 2:
            state, slots = state
        if state:
            self.__dict__.update(state)
        for name, value in (slots or {}).items():
            setattr(self, name, value)


def carried(obj: Any) -> tuple[Any, ...]:
    """Return what a pickle says beside the handle: the state, if there is any."""
    cls = type(obj)
    if cls._stateless:
        return ()
    if not cls._chooses_state and _state(obj) is None:
        return ()
    state = obj.__getstate__()
    return () if state is None else (state,)


def carry(made: Any, obj: Any, memo: dict[Any, Any] | None = None) -> Any:
    """Give a copy of an object its state, or with a memo a deep copy of that; return it."""
    for state in carried(obj):
        if memo is not None:
            from copy import deepcopy

            state = deepcopy(state, memo)
        type(made).__setstate__(made, state)
    return made


def _state(obj: Any) -> Any:
    """Return the attributes and the slots that a program added: None, a dict, or a pair of both."""
    try:
        attributes = obj.__dict__
    except AttributeError:
        attributes = None
    if attributes:
        attributes = {name: value for name, value in attributes.items() if name != _GIVEN}
    added = type(obj)._added_slots
    if added:
        slots = {name: getattr(obj, name) for name in added if hasattr(obj, name)}
        if slots:
            return attributes or None, slots
    return attributes or None
