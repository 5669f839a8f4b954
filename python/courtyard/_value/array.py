"""``Array`` and ``RawArray``: elements of one type, shared among processes."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.name import quoted, unexpected
from courtyard._object.object import Object
from courtyard._object.subclass import closed, home_of, own_class, turn_into
from courtyard._pickle import carry
from courtyard._value.declaration import portable, require_lock, restored, show
from courtyard._value.element import element_of, numpy
from courtyard._value.variant import lock_of, variant

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterator
    from ctypes import Array as CArray
    from ctypes import Structure, Union, _SimpleCData, c_char
    from typing import Any, Literal, overload

    from typing_extensions import TypeVar

    from courtyard._value.element import Element

    _T = TypeVar("_T", default=Any)
    _Bytes = Literal["c"]
    _Text = Literal["u"]
    _Integer = Literal["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]
    _Float = Literal["f", "d"]
    _Integers = _Integer | type[int]
    _Floats = _Float | type[float]
    _Chars = _Bytes | type[c_char]
    _Compound = type[CArray[Any] | Structure | Union]
    _Shape = int | tuple[int, ...] | None


class _AnyArray(Object):
    """What arrays have beside their elements."""

    __slots__ = ()

    def _title(self) -> str:
        array = _typed(self)
        name = "Array" if isinstance(self, _native.Array) else "RawArray"
        dtype = element_of(array._declared).dtype
        shape = array.shape if len(array.shape) > 1 else array.shape[0]
        return f"{name}({show(array._declared) if dtype is None else dtype}, {shape})"

    def _parts(self, handle: Any) -> tuple[Any, ...]:
        array = _typed(self)
        return portable(array._declared), array.shape, handle, lock_of(self)

    def _entries(self) -> int:
        return _typed(self).nbytes // _typed(self).itemsize

    def __repr__(self) -> str:
        """Say what it is and what it begins with."""
        title, array = own_class(self)._title(self), _typed(self)
        if array._closed:
            return f"<courtyard.{title}, {closed(self)}>"
        try:
            shown = repr(array[:7] if len(array) > 7 else self.tolist())
        except Exception as error:
            shown = type(error).__name__
        shown = " ".join(shown.split())
        shown = shown if len(shown) <= 70 else shown[:67]
        dots = "..." if len(array) > 7 or len(shown) == 67 else ""
        return f"<courtyard.{title}{quoted(self)}: {shown}{dots}>"

    def tolist(self) -> list[Any]:
        """Return all elements as a list, nested if they have more than one dimension.

        All are of one moment: a write of several elements is seen completely or not at all.
        Structures are copies.

        >>> import courtyard as cy
        >>> cy.Array("i", range(4), shape=(2, 2)).tolist()
        [[0, 1], [2, 3]]
        """
        from courtyard._value import index

        return index.to_list(_typed(self))

    def tobytes(self) -> bytes:
        r"""Return a copy of all bytes as they were at one moment.

        >>> import courtyard as cy
        >>> cy.Array("h", [1, 2]).tobytes()
        b'\x01\x00\x02\x00'
        """
        return _typed(self)._read(0, _typed(self).nbytes)

    @property
    def dtype(self) -> Any:
        """NumPy's dtype of the elements; ImportError where NumPy is not installed.

        >>> import courtyard as cy
        >>> cy.Array("float32", 3).dtype
        dtype('float32')
        """
        return _as_numpy(self).dtype

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The elements' memory, as NumPy and its friends take it."""
        from courtyard._value import index

        return index.interface(_typed(self))

    def __dlpack__(self, **keywords: Any) -> Any:
        """Return a DLPack capsule of the elements' memory, made by NumPy, which it needs."""
        return _as_numpy(self).__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's name of the memory that CPUs use."""
        return 1, 0

    def __copy__(self) -> Any:
        """Return another shared array of this type and shape, which holds the same."""
        return self._another(None)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return what ``copy.copy`` does: elements contain nothing else."""
        return self._another(memo)

    def _another(self, memo: dict[Any, Any] | None) -> Any:
        array = _typed(self)
        element = element_of(array._declared)
        what = (home_of(self), array._declared, element, array.shape, None, None)
        made = _native.place_of(self).call(_open, what, {})  # in the same space
        _native.RawArray._fill(made, _native.RawArray._read(array, 0, array.nbytes))
        return carry(made, self, memo)

    def __int__(self) -> int:
        """Raise TypeError, as the standard class does."""
        title = own_class(self)._title(self)
        raise TypeError(f"int() argument must be a string or a real number, not {title}")

    def __float__(self) -> float:
        """Raise TypeError, as the standard class does."""
        title = own_class(self)._title(self)
        raise TypeError(f"float() argument must be a string or a real number, not {title}")

    def __str__(self) -> str:
        """Return what ``str`` of an ``array.array`` does, as a Manager's Array has it.

        Of elements that ``array`` has no typecode for, ``repr``.
        """
        found = None if _typed(self)._closed else self._getvalue()
        return repr(self) if isinstance(found, list | None) else str(found)

    def _getvalue(self) -> Any:
        """Return a plain ``array.array``: for programs written for a Manager.

        Of elements that ``array`` has no typecode for, and of more dimensions, a list.
        """
        from array import array, typecodes

        vector = _typed(self)
        plain, declared = self.tolist(), vector._declared
        # A dtype is equal to its typecode, and no typecode.
        is_typecode = isinstance(declared, str) and declared in tuple(typecodes)
        return array(declared, plain) if is_typecode and len(vector.shape) == 1 else plain

    @classmethod
    def _load(  # type: ignore[override]
        cls, declared: Any, shape: Any = (), address: Any = None, lock: Any = None
    ) -> Any:
        declared = restored(declared)  # a dtype is never a tuple, as what `portable` took apart is
        return _open(cls, declared, element_of(declared), shape, address, lock)

    @classmethod
    def _unmade(cls, address: Any) -> Any:
        return _open(cls, int, element_of(int), (1,), address, None)

    def _take_over(self, made: Any) -> None:
        array = _typed(made)
        element = element_of(array._declared)
        turn_into(self, _class_for(type(self), element, array.shape, lock_of(made)))
        super()._take_over(made)

    @classmethod
    def _named_as(cls, *_initial: Any, lock: Any = True, **_options: Any) -> Any:
        """Return the class of which an array is made with this lock."""
        if lock is False and issubclass(cls, _native.Array):
            return RawArray
        if lock is not True and lock is not None:
            raise TypeError("an array with a name has a lock of its own: give no other")
        return cls

    @classmethod
    def _asked(
        cls, type_: Any = None, size_or_init: Any = None, /, *, lock: Any = True, shape: Any = None
    ) -> tuple[Any, ...]:
        from courtyard._value import description, index

        if type_ is None and size_or_init is None and shape is None:
            return None, None, None
        element = element_of(type_)
        asked = index.shape_asked(element, size_or_init, shape)
        return description.describe_element(type_, element.dtype), asked, element.code

    def _details(self) -> tuple[Any, ...]:
        from courtyard._value import description

        array = _typed(self)
        element = element_of(array._declared)
        declared = description.describe_element(array._declared, element.dtype)
        return declared, array.shape, element.code

    @classmethod
    def _agrees(cls, asked: tuple[Any, ...], found: tuple[Any, ...]) -> bool:
        from courtyard._value import description

        if asked[0] is None:
            return True
        one_word = asked[2] == found[2] != "raw"
        same = one_word or description.agree(asked[0], found[0])
        return same and (asked[1] is None or asked[1] == found[1])

    @classmethod
    def _shown(cls, details: tuple[Any, ...]) -> str:
        from courtyard._value import description

        element, shape, _ = details
        parts = [] if element is None else [description.shown(element)]
        if shape is not None:
            parts.append(str(shape[0] if len(shape) == 1 else shape))
        return ", ".join(parts)

    @classmethod
    def _arrive(cls, details: Any, address: Any, companion: Any, initial: Any, options: Any) -> Any:
        from courtyard._value import description

        given = initial[0] if initial else None
        declared = description.restore(details[0]) if given is None else given
        return _open(cls, declared, element_of(declared), details[1], address, None)

    if TYPE_CHECKING:  # of arrays of characters
        value: Any
        raw: Any

        def __iter__(self) -> Iterator[Any]: ...

    # What the native class leaves to us: elements that are no word, and more than one dimension.

    def _item(self, key: Any) -> Any:
        from courtyard._value import index

        return index.get(_typed(self), key)

    def _set_item(self, key: Any, value: Any) -> None:
        from courtyard._value import index

        index.set_(_typed(self), key, value)

    def _equals(self, other: Any) -> bool:
        from courtyard._value import index

        return index.equals(_typed(self), other)


class RawArray(_AnyArray, _native.RawArray["_T"]):
    """Shared elements without a lock: reading or writing one is a lock-free atomic.

    Like ``multiprocessing.RawArray``, and what ``Array(..., lock=False)`` makes: an ``Array``
    without ``get_lock``, ``get_obj``, ``acquire``, ``release`` and ``with``. Slices are written
    wholly or not at all, as in an ``Array``. Reading a slice may return some of the single
    elements that another process writes at the same time, and not others.

    >>> import courtyard as cy
    >>> a = cy.RawArray("i", 3)
    >>> a[0] = 7
    >>> a[:]
    [7, 0, 0]
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what is declared says what is held

        @overload
        def __new__(
            cls, type_: _Integers, init: Any = None, /, *, shape: _Shape = None
        ) -> RawArray[int]: ...
        @overload
        def __new__(
            cls, type_: _Floats, init: Any = None, /, *, shape: _Shape = None
        ) -> RawArray[float]: ...
        @overload
        def __new__(
            cls, type_: _Chars, init: Any = None, /, *, shape: _Shape = None
        ) -> RawArray[bytes]: ...
        @overload
        def __new__(
            cls, type_: _Text, init: Any = None, /, *, shape: _Shape = None
        ) -> RawArray[str]: ...
        @overload
        def __new__(
            cls, type_: type[_SimpleCData[_T]], init: Any = None, /, *, shape: _Shape = None
        ) -> RawArray[_T]: ...
        @overload
        def __new__(
            cls, type_: _Compound, init: Any = None, /, *, shape: _Shape = None
        ) -> RawArray[Any]: ...
        @overload
        def __new__(
            cls, type_: Any, init: Any = None, /, *, shape: _Shape = None
        ) -> RawArray[Any]: ...
        def __new__(cls, type_: Any, init: Any = None, /, *, shape: _Shape = None) -> Any: ...

    else:

        def __new__(cls, type_, size_or_init=None, /, *, shape=None, **wrong):
            """Make the array, zero or as the initializer says."""
            if wrong:
                raise unexpected(cls, wrong)
            return _make(cls, type_, size_or_init, shape)

        # As help() shows it.
        __new__.__wrapped__ = lambda cls, type_, size_or_init=None, /, *, shape=None: None


class Array(_AnyArray, _native.Array["_T"]):
    """Shared elements of one type, with a lock for more than one operation.

    Like ``multiprocessing.Array``: ``Array(type, size)`` is zero at first, ``Array(type,
    sequence)`` holds what the sequence does. The type is a typecode (``"i"``, ``"d"``, ...) or a
    ctypes type, Structures too, and beyond that ``int``, ``float``, ``bool`` or a NumPy dtype,
    named as NumPy takes it (``"float32"``, ``np.float32``, ``"i4,f8"``). ``shape`` makes it an
    array of more dimensions.

    Elements are read and written by index and by slice. One element is one atomic access. A
    slice is never seen in part: it is read as it was at one moment, and written wholly or not at
    all, even if the writer is killed. Reads never wait; writes wait while another process or
    thread holds ``get_lock()``. Each write wakes ``wait_for``.

    Slices of one dimension are lists, or ``bytes`` of ``"c"`` and ``str`` of ``"u"``, whose
    ``value`` (and of ``"c"`` the ``raw``) is all of it. A Structure is returned as a view. With
    a dtype, or more dimensions, a part that is not a single element is returned as NumPy's view.

    ``np.asarray(a)``, ``memoryview(a)``, ``np.from_dlpack(a)`` and ``get_obj()`` are views of the
    shared memory. They stay valid as long as they exist, even after the array is closed. Access
    through them is as fast as NumPy, but takes no lock and wakes no waiter, and a write may be
    left half done by a kill. Use them for bulk: a slice written to the array is copied twice.

    ``lock=False`` makes a ``RawArray``. A lock given as ``lock`` is what ``get_lock()`` and
    ``with`` use; writes take it too, so it must be recursive for writes within it.

    It is shared as a ``Value`` is. Reading an element takes about 20 ns, writing one 25.

    Raises TypeError for a type that cannot be shared, ValueError for an initializer that does
    not fit the shape, SpaceFull when there is no memory.

    >>> import courtyard as cy
    >>> a = cy.Array("i", [1, 2, 3])
    >>> a[0] = 7
    >>> a[1:] = [8, 9]
    >>> a[0], a[-1], a[:], len(a)
    (7, 9, [7, 8, 9], 3)
    >>> with a.get_lock():
    ...     a[0] += 1
    >>> import numpy as np
    >>> view = np.asarray(a)
    >>> view *= 2
    >>> a[:]
    [16, 16, 18]
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what is declared says what is held

        @overload
        def __new__(
            cls, type_: _Integers, init: Any = None, /, *, lock: Any = True, shape: _Shape = None
        ) -> Array[int]: ...
        @overload
        def __new__(
            cls, type_: _Floats, init: Any = None, /, *, lock: Any = True, shape: _Shape = None
        ) -> Array[float]: ...
        @overload
        def __new__(
            cls, type_: _Chars, init: Any = None, /, *, lock: Any = True, shape: _Shape = None
        ) -> Array[bytes]: ...
        @overload
        def __new__(
            cls, type_: _Text, init: Any = None, /, *, lock: Any = True, shape: _Shape = None
        ) -> Array[str]: ...
        @overload
        def __new__(
            cls,
            type_: type[_SimpleCData[_T]],
            init: Any = None,
            /,
            *,
            lock: Any = True,
            shape: _Shape = None,
        ) -> Array[_T]: ...
        @overload
        def __new__(
            cls, type_: _Compound, init: Any = None, /, *, lock: Any = True, shape: _Shape = None
        ) -> Array[Any]: ...
        @overload
        def __new__(
            cls, type_: Any, init: Any = None, /, *, lock: Any = True, shape: _Shape = None
        ) -> Array[Any]: ...
        def __new__(
            cls, type_: Any, init: Any = None, /, *, lock: Any = True, shape: _Shape = None
        ) -> Any: ...

    else:

        def __new__(cls, type_, size_or_init=None, /, *, lock=True, shape=None, **wrong):
            """Make the array, zero or as the initializer says."""
            if wrong:
                raise unexpected(cls, wrong)
            if lock is True or lock is None:
                return _make(cls, type_, size_or_init, shape)
            if lock is False:
                return _make(RawArray, type_, size_or_init, shape)
            require_lock(lock)
            return _make(cls, type_, size_or_init, shape, lock)

        # As help() shows it.
        __new__.__wrapped__ = lambda cls, type_, size_or_init=None, /, *, lock=True, shape=None: 0

    def get_obj(self) -> Any:
        """Return a ctypes array of the shared memory itself, as in multiprocessing.

        For an array declared by a NumPy dtype, return a NumPy array. It stays valid when the array
        is closed or collected.

        >>> import courtyard as cy
        >>> cy.Array("i", [1, 2]).get_obj()[:]
        [1, 2]
        """
        from courtyard._value import index

        return index.plain(_typed(self))


class _Plan:
    """What the native class asks for."""

    __slots__ = ("code", "ctype", "layout", "numpy", "shape", "size")

    def __init__(self, element: Element, shape: tuple[int, ...]) -> None:
        self.code, self.size, self.layout = element.code, element.size, element.layout
        self.numpy, self.shape, self.ctype = element.dtype is not None, shape, element.ctype


_native.install(RawArray)
_native.install(Array)


def _make(cls: Any, type_: Any, init: Any, shape: Any, lock: Any = None) -> Any:
    from courtyard._value import index

    element = element_of(type_)
    shape, data = index.begin(element, init, shape)
    made = _open(cls, type_, element, shape, None, lock)
    if data:
        _native.RawArray._fill(made, data)
    return made


def _open(
    cls: Any, type_: Any, element: Element, shape: tuple[int, ...], address: Any, lock: Any
) -> Any:
    declared = type_ if element.dtype is None else element.dtype
    variant = _class_for(cls, element, shape, lock)
    guarded = issubclass(cls, _native.Array)
    base = _native.Array if guarded else _native.RawArray
    made: Any = base.__new__(variant, _Plan(element, shape), declared, address)
    if lock is not None:
        made._given_lock = lock
    return made


def _class_for(cls: Any, element: Element, shape: tuple[int, ...], lock: Any) -> Any:
    """Return the subclass for arrays of characters, and for those with a lock of the user's."""
    is_text = len(shape) == 1 and element.dtype is None and element.code in "cu"

    def members() -> dict[str, Any]:
        from courtyard._value import text

        return text.members(element.code)

    return variant(cls, element.code if is_text else None, members, ("__setitem__",), lock, True)


def _typed(array: Any) -> _native.RawArray[Any]:
    return array  # type: ignore[no-any-return]


def _as_numpy(array: Any) -> Any:
    np = numpy()
    if np is None:
        raise ImportError("this needs NumPy, which is not installed: pip install numpy")
    return np.asarray(array)
