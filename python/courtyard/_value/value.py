"""``Value`` and ``RawValue``: one shared value among processes."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.name import quoted, unexpected
from courtyard._object.object import Object, recursive_repr
from courtyard._object.subclass import closed, home_of, own_class, turn_into
from courtyard._pickle import carry
from courtyard._value.declaration import portable, require_lock, resolve, restored, show
from courtyard._value.variant import lock_of, variant

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from ctypes import Array, Structure, Union, _SimpleCData, c_char
    from typing import Any, Literal, overload

    from typing_extensions import TypeVar

    from courtyard._object.watch import Watch
    from courtyard._value.declaration import Declaration, Declared

    _T = TypeVar("_T", default=Any)
    _Bytes = Literal["c"]
    _Text = Literal["u"]
    _Integer = Literal["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]
    _Float = Literal["f", "d"]


class _AnyValue(Object):
    """What a Value and a RawValue say of themselves."""

    __slots__ = ()

    @recursive_repr
    def __repr__(self) -> str:
        """Say what it is and what it holds."""
        title = own_class(self)._title(self)
        if _native.RawValue._closed.__get__(self):
            return f"<courtyard.{title}, {closed(self)}>"
        try:
            value = _native.showing(lambda: _native.RawValue.get(_typed(self)))
            return f"<courtyard.{title}{quoted(self)}: {value!r}>"
        except Exception as error:
            return f"<courtyard.{title}: {type(error).__name__}>"

    def _title(self) -> str:
        name = "Value" if isinstance(self, _native.Value) else "RawValue"
        return f"{name}({show(_declared(self))})"

    def _parts(self, handle: Any) -> tuple[Any, ...]:
        return portable(_declared(self)), handle, lock_of(self)

    def watch(self) -> Watch[Any, Any]:
        """Follow the value: ``for value in v.watch()``.

        What it returns has a ``state``, the value as it is now, and gives each value after that as
        it comes, without using the CPU meanwhile: see ``courtyard.Watch``. A slow watcher may miss
        values in between, never the last one.

        >>> import courtyard as cy
        >>> v = cy.Value("i", 1)
        >>> values = v.watch()
        >>> v.value = 2
        >>> values.state, values.get()
        (1, 2)
        """
        from courtyard._object.watch import States

        return States(self, lambda: _native.RawValue.get(_typed(self)))

    def __copy__(self) -> Any:
        """Return another shared value of this type, which holds the same, for ``copy.copy``."""
        return carry(_beside(self, _native.RawValue.get(_typed(self))), self)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return another shared value, with a copy of what this holds, for ``copy.deepcopy``."""
        from copy import deepcopy

        made = _beside(self, deepcopy(_native.RawValue.get(_typed(self)), memo))
        return carry(made, self, memo)

    def __int__(self) -> int:
        """Raise TypeError, as the standard class does: ``value`` is the number."""
        raise _no_number("int", self)

    def __float__(self) -> float:
        """Raise TypeError, as the standard class does: ``value`` is the number."""
        raise _no_number("float", self)

    def _getvalue(self) -> Any:
        """Return what ``get()`` does: for programs written for a Manager."""
        return _native.RawValue.get(_typed(self))

    @classmethod
    def _load(cls, declared: Any, address: Any = None, lock: Any = None) -> Any:  # type: ignore[override]
        return _make(cls, restored(declared), (), address, lock)

    @classmethod
    def _unmade(cls, address: Any) -> Any:
        return _open(cls, resolve(int), int, address)

    def _take_over(self, made: Any) -> None:
        declared, lock = _declared(made), lock_of(made)
        turn_into(self, _class_for(type(self), resolve(declared), lock))
        super()._take_over(made)

    @classmethod
    def _named_as(cls, *_initial: Any, lock: Any = True, **_options: Any) -> Any:
        """Return the class of which a value is made with this lock."""
        if lock is False and issubclass(cls, _native.Value):
            return RawValue
        if lock is not True and lock is not None:
            raise TypeError("a value with a name has a lock of its own: give no other")
        return cls

    @classmethod
    def _asked(cls, type_: Any = None, /, *_initial: Any, lock: Any = True) -> tuple[Any, ...]:
        from courtyard._value import description

        if type_ is None:
            return (None,)
        resolve(type_)
        return (description.describe(type_),)

    def _details(self) -> tuple[Any, ...]:
        from courtyard._value import description

        return (description.describe(_declared(self)),)

    @classmethod
    def _agrees(cls, asked: tuple[Any, ...], found: tuple[Any, ...]) -> bool:
        from courtyard._value import description

        return asked[0] is None or description.agree(asked[0], found[0])

    @classmethod
    def _shown(cls, details: tuple[Any, ...]) -> str:
        from courtyard._value import description

        return "" if details[0] is None else description.shown(details[0])

    @classmethod
    def _arrive(cls, details: Any, address: Any, companion: Any, initial: Any, options: Any) -> Any:
        from courtyard._value import description

        given = initial[0] if initial else None
        declared = description.restore(details[0]) if given is None else given
        return _make(cls, declared, (), address)

    if TYPE_CHECKING:  # the fields of structures and the elements of arrays

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def __len__(self) -> int: ...
        def __getitem__(self, index: Any) -> Any: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...


class RawValue(_AnyValue, _native.RawValue["_T"]):
    """One shared value without a lock: single-word operations are lock-free atomics.

    Like ``multiprocessing.RawValue``, and what ``Value(..., lock=False)`` makes. All of
    ``Value``'s operations but ``get_lock``, ``acquire``, ``release`` and ``with``; each of them
    is atomic by itself, and no read or write is ever torn.

    >>> import courtyard as cy
    >>> n = cy.RawValue("i", 5)
    >>> n.increment()
    6
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what is declared says what is held

        @overload
        def __new__(cls, type_: _Integer, /, *args: Any) -> RawValue[int]: ...
        @overload
        def __new__(cls, type_: _Float, /, *args: Any) -> RawValue[float]: ...
        @overload
        def __new__(cls, type_: _Bytes, /, *args: Any) -> RawValue[bytes]: ...
        @overload
        def __new__(cls, type_: _Text, /, *args: Any) -> RawValue[str]: ...
        @overload
        def __new__(cls, type_: type[_SimpleCData[_T]], /, *args: Any) -> RawValue[_T]: ...
        @overload
        def __new__(cls, type_: type[Array[c_char]], /, *args: Any) -> RawValue[bytes]: ...
        @overload
        def __new__(
            cls, type_: type[Array[Any] | Structure | Union], /, *args: Any
        ) -> RawValue[Any]: ...
        @overload
        def __new__(cls, type_: type[_T], /, *args: Any) -> RawValue[_T]: ...
        @overload
        def __new__(cls, type_: Any, /, *args: Any) -> RawValue[Any]: ...
        def __new__(cls, type_: Any, /, *args: Any) -> Any: ...

    else:

        def __new__(cls, type_, /, *args, **wrong):
            """Make the value; ``args`` initialise it as ``type_(*args)`` would."""
            if wrong:
                raise unexpected(cls, wrong)
            return _make(cls, type_, args)

        __new__.__wrapped__ = lambda cls, type_, /, *args: None  # as help() shows it


class Value(_AnyValue, _native.Value["_T"]):
    """One shared value, with a lock for more than one operation.

    Like ``multiprocessing.Value``, for every typecode and ctypes type, and for more:

    - a typecode (``"i"``, ``"d"``, ...) or a ctypes type: wraps as C does; ``c_char * n`` reads
      and writes ``bytes``; a ``Structure``'s fields are attributes of the value;
    - ``int`` (signed 64 bits, else OverflowError), ``float`` (64 bits), ``bool``;
    - ``object``, or any other class: any picklable object, starting as None, or as
      ``type_(*args)``.

    ``value`` (or ``get()`` and ``set()``) reads and writes, never torn, whatever the size.
    Reads never wait; writes of any kind wait while another holds ``get_lock()``. Each write
    wakes ``wait_for``. A write that returned survives the death of its process. A process that is
    killed in a write has written wholly or not at all. A lock held by a dead process is free.

    It is shared with every process that gets it: as an argument of a Process under any start
    method, by a fork, in any pickle. Its memory is free when the last process that holds it
    closed it or ended.

    ``increment``, ``exchange``, ``compare_exchange`` and ``mutate`` are atomic; ``with v.edit() as
    value:`` changes a list, an object or the like in place; ``get_lock()`` is for all else.

    A scalar is read in about 15 ns and written in 25 (no system call); with ``lock=False`` (a
    ``RawValue``) the lock is left out. ``lock=None`` means True, as in multiprocessing. A lock
    given as ``lock`` is what ``get_lock()`` and ``with`` use; writes take it too, so it must be
    recursive for writes within it.

    Raises TypeError for a type that cannot be shared, AttributeError for a lock that is not one,
    SpaceFull when there is no memory.

    >>> import courtyard as cy
    >>> counter = cy.Value("i", 41)
    >>> counter.increment()
    42
    >>> with counter.get_lock():
    ...     counter.value += 1
    >>> counter.value
    43
    >>> counter.compare_exchange(43, 0), counter.exchange(7), counter.value
    (True, 0, 7)
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what is declared says what is held

        @overload
        def __new__(cls, type_: _Integer, /, *args: Any, lock: Any = True) -> Value[int]: ...
        @overload
        def __new__(cls, type_: _Float, /, *args: Any, lock: Any = True) -> Value[float]: ...
        @overload
        def __new__(cls, type_: _Bytes, /, *args: Any, lock: Any = True) -> Value[bytes]: ...
        @overload
        def __new__(cls, type_: _Text, /, *args: Any, lock: Any = True) -> Value[str]: ...
        @overload
        def __new__(
            cls, type_: type[_SimpleCData[_T]], /, *args: Any, lock: Any = True
        ) -> Value[_T]: ...
        @overload
        def __new__(
            cls, type_: type[Array[c_char]], /, *args: Any, lock: Any = True
        ) -> Value[bytes]: ...
        @overload
        def __new__(
            cls,
            type_: type[Array[Any] | Structure | Union],
            /,
            *args: Any,
            lock: Any = True,
        ) -> Value[Any]: ...
        @overload
        def __new__(cls, type_: type[_T], /, *args: Any, lock: Any = True) -> Value[_T]: ...
        @overload
        def __new__(cls, type_: Any, /, *args: Any, lock: Any = True) -> Value[Any]: ...
        def __new__(cls, type_: Any, /, *args: Any, lock: Any = True) -> Any: ...

    else:

        def __new__(cls, type_, /, *args, lock=True, **wrong):
            """Make the value; ``args`` initialise it as ``type_(*args)`` would."""
            if wrong:
                raise unexpected(cls, wrong)
            if lock is True or lock is None:
                return _make(cls, type_, args)
            if lock is False:
                return _make(RawValue, type_, args)
            require_lock(lock)
            return _make(cls, type_, args, None, lock)

        __new__.__wrapped__ = lambda cls, type_, /, *args, lock=True: None  # as help() shows it


_native.install(RawValue)
_native.install(Value)


def _make(
    cls: Any, type_: Declared, args: tuple[Any, ...], address: Any = None, lock: Any = None
) -> Any:
    declaration = resolve(type_)
    obj = _open(cls, declaration, type_, address, lock)
    if address is None and (args or (declaration.code == "object" and type_ is not object)):
        _native.RawValue.set(obj, _initial(declaration, type_, args))
    return obj


def _open(
    cls: Any, declaration: Declaration, type_: Declared, address: Any = None, lock: Any = None
) -> Any:
    """Return a value: a new one, of zeros, or that with this address."""
    cls = _class_for(cls, declaration, lock)
    base = _native.Value if issubclass(cls, _native.Value) else _native.RawValue
    obj = base.__new__(cls, declaration.code, declaration.length, type_, declaration.ctype, address)
    if lock is not None:
        cls._given_lock.__set__(obj, lock)
    return obj


def filled(cls: Any, obj: Any, value: Any) -> Any:
    """Return another value of the type that ``obj`` was declared as."""
    made = _open(cls, resolve(_declared(obj)), _declared(obj))
    _native.RawValue.set(made, value)
    return made


def _beside(obj: Any, value: Any) -> Any:
    """Return another value of the type of ``obj``, in its space: it may hold objects of that."""
    return _native.place_of(obj).call(filled, (home_of(obj), obj, value), {})


def _no_number(wanted: str, obj: Any) -> TypeError:
    return TypeError(
        f"{wanted}() argument must be a string or a real number, not {type(obj).__name__!r}: "
        "what it holds is its .value"
    )


def _initial(declaration: Declaration, type_: Declared, args: tuple[Any, ...]) -> Any:
    """Return the first value, as the declared type's own constructor has it."""
    if declaration.shape == "chars":
        return declaration.ctype(*args).raw if len(args) != 1 else args[0]
    if declaration.shape == "array" and len(args) == 1 and isinstance(args[0], str):
        return args[0]
    if declaration.ctype is not None:
        made = declaration.ctype(*args)
        return made.value if declaration.shape == "scalar" else made
    if len(args) == 1 and (type_ is object or isinstance(args[0], type_)):
        return args[0]
    if type_ is object:
        raise TypeError(f"Value(object) takes one initial value, found {len(args)}")
    return type_(*args)


def _typed(obj: Any) -> _native.RawValue[Any]:
    """Return the object as what it is, whatever its fields are named."""
    return obj  # type: ignore[no-any-return]


def _declared(obj: Any) -> Any:
    return _native.RawValue._declared.__get__(obj)


# What writes a value, beside the fields and elements that it may have.
_WRITERS = ("set", "increment", "exchange", "compare_exchange", "mutate", "__setitem__", "value")


def _class_for(cls: Any, declaration: Declaration, lock: Any) -> Any:
    """Return the subclass for a ctypes type with elements or fields, and for a given lock."""
    if declaration.shape == "scalar" and lock is None:
        return cls

    def members() -> dict[str, Any]:
        from courtyard._value import compound

        return compound.members(declaration)

    kind = None if declaration.shape == "scalar" else declaration.ctype
    return variant(cls, kind, members, _WRITERS, lock)
