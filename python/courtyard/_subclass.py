"""Classes of programs that extend the shared types: their ``__init__``, and their attributes.

**``__init__``.** A shared object is made by ``__new__``, with the arguments of the call. The
``__init__`` of a subclass may have other parameters, and says the object's own to
``super().__init__()``. So ``__new__`` of such a class returns an object that is not made yet, with
which every operation raises NotMade; the native ``__init__`` then calls ``initialise``.

**Attributes.** The state of a shared object is what a subclass adds: attributes and slots. It is
pickled as ``object.__getstate__`` has it, beside the handle.
"""

from __future__ import annotations

from courtyard import _native
from courtyard._errors import NotMade

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

# A native class takes an address with this row for no object at all.
_UNMADE = 2**64 - 1
# Slots of the classes made for a lock that the user gave; no state, as the pickle says the lock.
_GIVEN = "_given_lock"


def _is_ours(cls: type) -> bool:
    return cls.__module__ == "courtyard" or cls.__module__.startswith("courtyard.")


def _definer(cls: type, name: str) -> type:
    """Return the class that ``cls`` has an attribute from."""
    return next(base for base in cls.__mro__ if name in base.__dict__)


def _slots_added(cls: Any) -> tuple[str, ...]:
    from copyreg import _slotnames  # type: ignore[attr-defined]

    def is_added(name: str) -> bool:
        of = getattr(getattr(cls, name, None), "__objclass__", None)
        return name != _GIVEN and not (of is not None and _is_ours(of))

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
        if not _is_ours(cls):
            cls._stateless = False
            cls._added_slots = _slots_added(cls)
            cls._chooses_state = not _is_ours(_definer(cls, "__getstate__"))

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


class Subclassable(Stateful):
    """A shared object that a program may derive a class from."""

    __slots__ = ()

    # Whether objects are made empty, whatever the arguments, and filled by ``__init__``.
    _made_empty = False

    if TYPE_CHECKING:  # the native classes'

        def __init__(self, *arguments: Any, **keywords: Any) -> None: ...
        @classmethod
        def _load(cls, address: Any) -> Any: ...

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Have the objects of a class with an ``__init__`` made by that."""
        super().__init_subclass__(**keywords)
        has_init = not _is_ours(_definer(cls, "__init__"))
        if has_init and not cls._made_empty and _is_ours(_definer(cls, "__new__")):
            cls.__new__ = _make_later  # type: ignore[method-assign,assignment]

    @classmethod
    def _unmade(cls, address: Any) -> Any:
        """Return an object that is not made yet, as this address of none says."""
        return cls._load(address)

    def _take_over(self, made: Any) -> None:
        """Take over what an object has that was just made."""
        _native.adopt(self, made)
        for base in type(made).__mro__:
            for name in base.__dict__.get("__slots__", ()):
                if hasattr(made, name):
                    setattr(self, name, getattr(made, name))


def home(cls: type) -> Any:
    """Return courtyard's own class that a class extends."""
    return next(base for base in cls.__mro__ if issubclass(base, Subclassable) and _is_ours(base))


# __init__.

# What is to be found or made by its name, by the object that it is to become: name, space.
_named: dict[int, tuple[str, Any]] = {}


def is_made_later(cls: Any) -> bool:
    """Say whether objects of this class are made by its ``__init__``."""
    return cls.__new__ is _make_later


def _make_later(cls: Any, /, *_arguments: Any, **_keywords: Any) -> Any:
    """Return an object that is not made yet: ``__init__`` has it made."""
    return cls._unmade((cls.__name__, 0, _UNMADE, 0, 0, 0))


def initialise(obj: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Make an object that ``__new__`` did not: with the arguments of ``super().__init__()``."""
    base = home(type(obj))
    named = _named.pop(id(obj), None)
    try:
        if named is None:
            made = base(*arguments, **keywords)
        else:
            from courtyard._name import obtain

            name, space = named
            made = obtain(base, name, arguments, keywords, space)
    except TypeError as error:
        wrong = f"{base.__name__}.__new__()"
        if not str(error).startswith(wrong):
            raise
        raise TypeError(str(error).replace(wrong, f"{base.__name__}.__init__()", 1)) from None
    if not isinstance(made, base):
        raise TypeError(
            f"with these arguments a {type(made).__name__} is made: derive "
            f"{type(obj).__name__} from that"
        )
    obj._take_over(made)


def by_name(
    cls: Any, name: str, initial: tuple[Any, ...], options: dict[str, Any], space: Any
) -> Any:
    """Return an object of a class that ``is_made_later``, which finds or makes it by its name."""
    obj = cls.__new__(cls)
    _named[id(obj)] = name, space
    try:
        obj.__init__(*initial, **options)
    finally:
        _named.pop(id(obj), None)
    if not _native.is_made(obj):
        raise NotMade(f"{cls.__name__}.__init__() must call super().__init__()")
    return obj


def turn_into(obj: Any, cls: Any) -> None:
    """Make an object one of a class that courtyard derived from its own."""
    if type(obj) is cls:
        return
    try:
        obj.__class__ = cls
    except TypeError:
        raise TypeError(
            f"a lock of yours needs a place in the object: leave {type(obj).__name__} without "
            "__slots__"
        ) from None


def closed(obj: Any) -> str:
    """Return what a repr says of a closed handle."""
    return "closed" if _native.is_made(obj) else "not made yet"


# State.


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
