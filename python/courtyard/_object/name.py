"""Names: how an object is found again by any program of the same user.

A name leads to an object and says what that was declared as: a tuple of plain values, the type's
name first. What a type has to say of itself is in a few methods of its class, described in
``Named``; nothing else here knows the types.
"""

from __future__ import annotations

from courtyard import _native
from courtyard._error import NotFound, SpaceFull, WrongType
from courtyard._object.subclass import Subclassable, by_name, is_made_later, own_class
from courtyard._pickle import is_ours
from courtyard._public import find, title_of, with_article
from courtyard._space import Space, default
from courtyard._space.factory import factory_of
from courtyard._space.name import check_name, load

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any, Self


_ANY_KEYWORDS = 8  # of the flags of a function's code: it takes **keywords


class Named(Subclassable):
    """An object that may have a name.

    What a class says of itself, where it has options:

    - ``_named_as``: the class that it makes of such arguments;
    - ``_asked``: what it is asked to be, for the arguments of ``named``: a tuple, with None for
      what is left open;
    - ``_details``: what an object of it is: the same tuple, with nothing left open;
    - ``_agrees``: whether both are the same;
    - ``_changes``: whether that may change: then no name says it, and the object is asked;
    - ``_filled``: the arguments that make one, without the options that are left open;
    - ``_gathered``: its arguments, what can be read but once as a list;
    - ``_shown``, ``_wanted``: how a person would write what an object is, and is asked to be;
    - ``_arrive``: the object behind an address, for the details that its name has and the
      arguments of ``named``.
    """

    __slots__ = ()

    _changes = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Have the constructors say what ``space=`` is written as."""
        super().__init_subclass__(**keywords)
        for name in ("__new__", "__init__"):
            made = cls.__dict__.get(name)
            made = getattr(made, "__func__", made)  # __new__ is a static method
            code = getattr(made, "__code__", None)
            if is_ours(cls) and code is not None:
                takes_any = bool(code.co_flags & _ANY_KEYWORDS)
                setattr(cls, name, _telling_of_spaces(made, takes_any))

    @classmethod
    def named(cls, name: str, /, *initial: Any, space: Space | None = None, **options: Any) -> Self:
        """Find the object of this name, or make it: get-or-create, atomic among programs.

        ``initial`` and ``options`` are the type's own arguments, used if the object is made now. If
        several programs call it at the same time, one makes the object and all get that one.
        **Initial values are used only by the program that makes the object**: all others ignore
        theirs. So a program that needs a default which an older version did not give adds it
        afterwards: ``d.setdefault(key, value)``, or ``if not hasattr(ns, "x"): ns.x = value``
        under ``get_lock()``. A program that only reads, and should not decide what is made, uses
        ``space.wait_for(name)`` or ``space[name]``. ``space`` is where to look: by default
        ``Space("default")``, which all programs of this user share. The object stays, even when
        no process uses it, until its name is deleted (``del space[name]``).

        A program that knows the object exists needs no arguments. An option that is omitted, or
        None, matches anything; to make the object it means the default. One that is given must be
        what the object has: the type of a value, the element type and shape of an array, the
        ``maxsize`` and ``maxbytes`` of a queue, the ``maxlen`` of a deque, the parties of a
        barrier, the bound of a BoundedSemaphore, the lock of a condition. ``maxsize`` and
        ``maxlen`` may be set later: what they are now counts. What the ``__init__`` of a subclass
        asks for by itself, if ``named`` got no arguments, is for these used only to make it.

        Some tens of microseconds. Raises WrongType, which says both, if the name is that of
        another type, or if an option differs from the object's; ValueError for what cannot be
        a name; SpaceFull. A process killed meanwhile has made the object whole, or not at all.

        >>> import courtyard as cy
        >>> cy.Dict.named("colours", {"sky": "blue"})
        <courtyard.Dict 'colours': {'sky': 'blue'}>
        >>> cy.Dict.named("colours", {"sky": "grey"})["sky"]
        'blue'
        >>> cy.Queue.named("colours")
        Traceback (most recent call last):
        courtyard.WrongType: 'colours' is a Dict in courtyard.Space('default'), not a Queue: ...
        >>> del cy.Space("default")["colours"]
        """
        found: Self = obtain(cls, name, initial, options, space)
        return found

    @property
    def space(self) -> Space:
        """The space that it lives in."""
        return Space._of(_native.place_of(self))

    @classmethod
    def _named_as(cls, *_initial: Any, **_options: Any) -> Any:
        return cls

    @classmethod
    def _asked(cls, *_initial: Any, **_options: Any) -> tuple[Any, ...]:
        return ()

    def _details(self) -> tuple[Any, ...]:
        return ()

    @classmethod
    def _gathered(cls, *initial: Any) -> tuple[Any, ...]:
        return initial

    @classmethod
    def _filled(cls, initial: Any, options: Any) -> tuple[Any, Any]:
        return initial, options

    @classmethod
    def _agrees(cls, asked: tuple[Any, ...], found: tuple[Any, ...]) -> bool:
        same = [want is None or want == have for want, have in zip(asked, found, strict=False)]
        return len(asked) == len(found) and all(same)

    @classmethod
    def _remedy(cls, asked: tuple[Any, ...], found: tuple[Any, ...]) -> str:
        """Say how an object becomes what was asked for; ``""`` if it cannot."""
        return ""

    @classmethod
    def _shown(cls, details: tuple[Any, ...]) -> str:
        return ", ".join(str(detail) for detail in details if detail is not None)

    @classmethod
    def _wanted(cls, asked: tuple[Any, ...]) -> str:
        return cls._shown(asked)

    @classmethod
    def _arrive(cls, details: Any, address: Any, companion: Any, initial: Any, options: Any) -> Any:
        return cls._load(address)

    @classmethod
    def _companion(cls, _made: Any) -> Any:
        """Return another object that this one cannot do without."""
        return None


def without_none(initial: Any, options: Any) -> tuple[Any, Any]:
    """Return the arguments of a constructor that takes options only, without those left open."""
    given = {name: option for name, option in options.items() if option is not None}
    return tuple(option for option in initial if option is not None), given


def _telling_of_spaces(make: Any, takes_any: bool) -> Any:
    """Return a constructor whose error says what ``space=`` is written as.

    One that takes any keywords as data refuses only a space itself.
    """

    def told(cls: Any, /, *args: Any, **keywords: Any) -> Any:
        if "space" in keywords and (not takes_any or isinstance(keywords["space"], Space)):
            raise unexpected(cls if isinstance(cls, type) else type(cls), keywords)
        return make(cls, *args, **keywords)

    told.__name__, told.__qualname__, told.__doc__ = make.__name__, make.__qualname__, make.__doc__
    told.__wrapped__ = make  # type: ignore[attr-defined]  # whose signature help() shows
    return told


def unexpected(cls: type, keywords: dict[str, Any]) -> TypeError:
    """Return the error for keywords that a constructor does not take."""
    title = title_of(cls)
    if "space" not in keywords:
        name = next(iter(keywords))
        return TypeError(f"{title}.__new__() got an unexpected keyword argument {name!r}")
    hint = factory_of(title)
    if not hint.startswith("space.named"):
        hint += f", {title}.named(name, ..., space=space) one with a name"
    return TypeError(f"{title}() takes no space: {hint}")


def quoted(obj: Any) -> str:
    """Return an object's name as reprs have it, after a space; nothing if it has none."""
    try:
        name = own_class(obj).name.__get__(obj)
    except Exception:  # a repr that fails helps nobody
        return ""
    return "" if name is None else f" {name!r}"


def obtain(
    cls: Any,
    name: str,
    initial: tuple[Any, ...],
    options: dict[str, Any],
    space: Space | None,
    by_default: bool = False,
) -> Any:
    """Return the object of that name, made if need be.

    ``by_default``: the arguments are what a subclass asks for by itself.
    """
    check_name(name)
    if space is not None and not isinstance(space, Space):
        raise TypeError(f"space: expected a courtyard.Space, found {space!r}")
    if is_made_later(cls):

        def find_it(base: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            return obtain(base, name, arguments, keywords, space, not initial and not options)

        return by_name(cls, find_it, initial, options)
    make, (cls, asked) = cls, _declaration(cls, initial, options)  # before anything is made
    if by_default and cls._changes:
        asked = (asked[0], *(None for _ in asked[1:]))
    if space is None:
        try:
            space = default(create=False)
        except NotFound:
            initial = cls._gathered(*initial)
            _rehearse(make, cls, name, initial, options)
            space = default()
    native = space._opened()
    while True:
        found = native.lookup(name)
        if found is None:
            made = _made(native, make, initial, options)
            if _bound(native, cls, name, made):
                return made
            continue  # another made it meanwhile; ours goes
        declared = found[0]
        if declared[0] == asked[0] and (cls._changes or cls._agrees(asked[1:], declared[1:])):
            arrived = load(cls, native, name, found, initial, options)
            if arrived is None:
                continue
            if cls._changes:
                declared = (declared[0], *arrived._details())
            if cls._agrees(asked[1:], declared[1:]):
                return arrived
        found_as, wanted = _article(declared, "_shown"), _article(asked, "_wanted")
        remedy = cls._remedy(asked[1:], declared[1:]) if declared[0] == asked[0] else ""
        raise WrongType(
            f"{name!r} is {found_as} in {space!r}, not {wanted}: {remedy}use another name, or "
            "delete this one first (del space[name])"
        )


def _bound(native: _native.Space, cls: Any, name: str, made: Any) -> bool:
    """Give an object its name; say whether no other had it."""
    declared = (title_of(cls), *(() if cls._changes else cls._details(made)))
    return native.bind(name, declared, made, cls._companion(made))


def _rehearse(make: Any, cls: Any, name: str, initial: Any, options: Any) -> None:
    """Make the object in a space that goes at once, so that wrong arguments leave none behind."""
    from contextlib import suppress

    with Space() as space, suppress(SpaceFull):  # there may be room for one of them
        native = space._opened()
        _bound(native, cls, name, _made(native, make, initial, options))


def _made(native: _native.Space, make: Any, initial: Any, options: Any) -> Any:
    try:
        return native.call(make, *make._filled(initial, options))
    except TypeError as error:
        message, changes = _by_name(make, error, "__new__|__init__")
        if not changes:
            raise
        raise TypeError(message) from None


def _by_name(cls: Any, error: TypeError, methods: str) -> tuple[str, int]:
    """Return the message, about the call that the user wrote, and whether it was about another."""
    import re

    return re.subn(rf"\w+\.({methods})\(\)", f"{cls.__name__}.named()", str(error))


def _declaration(cls: Any, initial: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    """Return the class that is made of such arguments, and what it is asked to be."""
    if any(isinstance(argument, Space) for argument in initial):
        raise TypeError(
            f"{cls.__name__}.named() takes the space by keyword: named(name, ..., space=space)"
        )
    try:
        made = cls._named_as(*initial, **options)
        return made, (title_of(made), *made._asked(*initial, **options))
    except TypeError as error:
        raise TypeError(_by_name(cls, error, "_asked|_named_as")[0]) from None


def _article(declared: tuple[Any, ...], how: str) -> str:
    """Return what a description says, as a person would write it."""
    title, *details = declared
    shown = getattr(find(title) or Named, how)(tuple(details))
    return with_article(title) + (f"({shown})" if shown else "")
