"""Classes of programs that extend the shared types, and their ``__init__``.

A shared object is made by ``__new__``, with the arguments of the call. The ``__init__`` of a
subclass may have other parameters, and says the object's own to ``super().__init__()``. So
``__new__`` of such a class returns an object that is not made yet, with which every operation
raises NotMade; the native ``__init__`` then calls ``initialise``.
"""

from __future__ import annotations

from courtyard import _native
from courtyard._error import NotMade
from courtyard._pickle import Stateful, definer, is_ours
from courtyard._public import with_article

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# A native class takes an address with this row for no object at all.
_UNMADE = 2**64 - 1


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
        has_init = not is_ours(definer(cls, "__init__"))
        if has_init and not cls._made_empty and is_ours(definer(cls, "__new__")):
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


# The classes made for what an object is declared as, and those that the user named.
_homes: dict[Any, Any] = {}


def make_home(made: Any, cls: Any) -> None:
    """Have objects of a class that was made pickle as those of the class that it is made of."""
    _homes[made] = cls


def home_of(obj: Any) -> Any:
    """Return an object's class, as the user named it and its pickle does."""
    return _homes.get(type(obj), type(obj))


def own_class(obj: Any) -> Any:
    """Return courtyard's own class that an object's class is, or extends."""
    cls = home_of(obj)
    if cls.__module__ == "courtyard":
        return cls
    return next(base for base in cls.__mro__ if issubclass(base, Subclassable) and is_ours(base))


# How an object is found or made by its name, of courtyard's own class and with the arguments that
# ``super().__init__()`` gets; by the object that it is to become.
_named: dict[int, Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]] = {}


def is_made_later(cls: Any) -> bool:
    """Say whether objects of this class are made by its ``__init__``."""
    return cls.__new__ is _make_later


def _make_later(cls: Any, /, *_arguments: Any, **_keywords: Any) -> Any:
    """Return an object that is not made yet: ``__init__`` has it made."""
    return cls._unmade((cls.__name__, 0, _UNMADE, 0, 0, 0))


def initialise(obj: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Make an object that ``__new__`` did not: with the arguments of ``super().__init__()``."""
    base = own_class(obj)
    find = _named.pop(id(obj), None)
    try:
        made = find(base, arguments, keywords) if find else base(*arguments, **keywords)
    except TypeError as error:
        for cls in base.__mro__:  # the one that has it
            wrong = f"{cls.__name__}.__new__()"
            if str(error).startswith(wrong):
                right = f"{base.__name__}.__init__()"
                raise TypeError(str(error).replace(wrong, right, 1)) from None
        raise
    if not isinstance(made, base):
        raise TypeError(
            f"with these arguments {with_article(type(made).__name__)} is made: derive "
            f"{type(obj).__name__} from that"
        )
    obj._take_over(made)


def by_name(cls: Any, find: Any, initial: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return an object of a class that ``is_made_later``, which ``find`` finds by its name."""
    obj = cls.__new__(cls)
    _named[id(obj)] = find
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
