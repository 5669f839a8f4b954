"""``Space``: a place where shared objects live, found by its name or its file."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping, ValuesView

from courtyard import _error, _native, _public
from courtyard._codec.loading import Unloadable
from courtyard._error import Closed, CourtyardError, NotFound, NotMade
from courtyard._pickle import Stateful, carried, rebuild
from courtyard._space.factory import Factories, factory_of
from courtyard._space.name import check_name, open_named
from courtyard._space.url import checked_limit, opened

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn, Self, TypeVar

    from courtyard._statistics import SpaceStatistics

    _T = TypeVar("_T")

_PRIVATE, _NAMED, _DURABLE = 1, 2, 3


class _Items(ItemsView):  # type: ignore[type-arg]
    _mapping: Space

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        space = self._mapping
        for name in space:
            try:
                found = space[name]
            except NotFound:  # deleted meanwhile
                continue
            except _error.LoadError as error:
                found = Unloadable(error.class_name)
            yield name, found


class _Values(ValuesView):  # type: ignore[type-arg]
    _mapping: Space

    def __iter__(self) -> Iterator[Any]:
        for _, obj in self._mapping.items():
            yield obj


class Space(Stateful, Factories, Mapping):  # type: ignore[type-arg]
    """A place where shared objects live, and a mapping of those that have a name.

    ``Space()`` is private: a new one, shared with the processes that get an object of it, gone with
    the last of them. ``Space("myapp")`` is found by every program of this user under that name (up
    to 255 characters of any script). ``Space("file:///var/lib/myapp.cy")`` is in that file, and its
    named objects survive a restart of all programs, killed ones too. (If the machine fails, data
    that was not yet on the disk is lost; the file is checked before it is used again.)

    ``pickle=False``: this process neither stores nor loads pickles there (NotTrusted), nor keys or
    courtyard objects, which are pickled too; give it where the process opens the space first.
    ``size_limit``: at most so many bytes, for all its processes, from now on; the file itself takes
    a little more. ``create=False``: NotFound if there is no such space.

    ``space["x"]`` is the object of that name, whatever its type; ``"x" in space``, ``len``,
    iteration, ``names("jobs-*")`` and ``del space["x"]`` are about names. ``space.named("x",
    cy.Dict)`` finds or makes one. With SyncManager's methods (``space.dict()``, ``space.Lock()``,
    ``space.Queue()``, ...) it makes anonymous objects, so ``with Space() as manager:`` does what
    ``with Manager() as manager:`` did, without a server. Of a type without such a method, make one
    with a name, hand it on or store it, and delete the name: ``del space["x"]``.

    A named space and a file stay until ``destroy()``, or ``courtyard rm``, however processes end.
    The locks of a killed process are free at once for whoever asks for them. Its memory is given
    back when another process opens the space, needs memory in it, waits in it, or asks for its
    ``statistics()``.

    Raises ValueError for what cannot be a name, CourtyardError for a folder or file of another
    user, LayoutMismatch for a file of another version or of something else, SpaceFull, OSError.

    >>> import courtyard as cy
    >>> with cy.Space("shop") as space:
    ...     stock = space.named("stock", cy.Counter, apples=3)
    ...     space.names("st*"), space["stock"]["apples"]
    (['stock'], 3)
    >>> cy.Space("shop").destroy()
    """

    __slots__ = ("__weakref__", "_closed", "_destroyed", "_here")

    _here: _native.Space
    _closed: bool
    _destroyed: bool

    def __init__(
        self,
        url: str | None = None,
        *,
        pickle: bool = True,
        size_limit: int | None = None,
        create: bool = True,
    ) -> None:
        """Open the space, or make it."""
        if size_limit is not None:
            size_limit = checked_limit(size_limit)
        self._begin(opened(url, create, size_limit, bool(pickle)))

    def _begin(self, native: _native.Space) -> None:
        self._here, self._closed, self._destroyed = native, False, False

    @classmethod
    def _of(cls, native: _native.Space) -> Self:
        made = object.__new__(cls)
        made._begin(native)
        return made

    if not TYPE_CHECKING:  # it has no attributes beyond those above

        def __getattr__(self, name: str) -> Any:
            if name in Space.__slots__:
                raise NotMade(f"{type(self).__name__}.__init__() must call super().__init__()")
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            told = f": {factory_of(name)}" if _public.find(name) else ""
            raise AttributeError(f"{message}{told}", name=name, obj=self)

    @classmethod
    def _load(cls, path: str, uuid: int) -> Self:
        return cls._of(_native.Space.attached(path, uuid))

    def _opened(self) -> _native.Space:
        if self._closed:
            told = f"open it again, with {self!r}"
            if self._here.kind == _PRIVATE:
                told = (
                    "a private space has no name to open it by; the space attribute of an object "
                    "in it gives it again, Space() makes another"
                )
            raise Closed(f"{self!r} was closed in this process: {told}")
        return self._here

    @property
    def name(self) -> str | None:
        """Its name; None for a private space or a file."""
        return self._here.title or None

    @property
    def url(self) -> str | None:
        """The argument with which Space() opens it; None for a private one."""
        if self._here.kind == _DURABLE:
            return self._here.path.absolute().as_uri()
        return self.name

    @property
    def size_limit(self) -> int | None:
        """The most bytes that its objects may take; None: what the file system holds."""
        return self._opened().limit

    # Names.

    def named(self, name: str, type_: type[_T], /, *initial: Any, **options: Any) -> _T:
        """Find the object of this name here, or make it: as ``type_.named`` does.

        >>> import courtyard as cy
        >>> space = cy.Space()
        >>> space.named("jobs", cy.Queue, maxsize=10).maxsize
        10
        """
        if not _public.is_type(type_):
            raise TypeError(
                f"the second argument is one of courtyard's types, as in space.named({name!r}, "
                f"courtyard.Dict); found {type_!r}"
            )
        if "space" in options:
            raise TypeError("space.named() makes the object in this space: leave space= out")
        made: _T = type_.named(name, *initial, space=self, **options)  # type: ignore[attr-defined]
        return made

    def names(self, glob: str | None = None, /) -> list[str]:
        """Return the names, sorted; those that match a pattern of ``*``, ``?`` and ``[...]``.

        >>> import courtyard as cy
        >>> space = cy.Space()
        >>> made = [space.named(name, cy.Lock) for name in ("b", "a-2", "a-1")]
        >>> space.names(), space.names("a-*")
        (['a-1', 'a-2', 'b'], ['a-1', 'a-2'])
        """
        names = sorted(self._opened().names())
        if glob is not None:
            from fnmatch import fnmatchcase

            names = [name for name in names if fnmatchcase(name, glob)]
        return names

    def __getitem__(self, name: str, /) -> Any:
        """Return the object of that name. Raises NotFound if there is none."""
        return open_named(self._opened(), name, repr(self))

    def __contains__(self, name: object, /) -> bool:
        """Say whether there is an object of that name."""
        native = self._opened()
        if not isinstance(name, str):
            return False
        try:
            return native.lookup(check_name(name)) is not None
        except ValueError:
            return False

    def wait_for(self, name: str, timeout: float | None = None) -> Any:
        """Wait until the object of that name exists; return it.

        For programs that only read, and leave it to another program to make the object. Returns at
        once if the object exists. Sleeps without using the CPU and is woken when a name is given;
        Ctrl-C works at once. A process that is killed while it makes the object has given it the
        name, and waiters are woken, or has not.

        Raises TimeoutError after ``timeout`` seconds (None: wait for as long as it takes), NotFound
        when the space is destroyed, ValueError for what cannot be a name or a timeout of
        NaN, and what ``space[name]`` raises.

        >>> import courtyard as cy
        >>> space = cy.Space()
        >>> made = space.named("jobs", cy.Queue, maxsize=10)
        >>> space.wait_for("jobs").maxsize
        10
        >>> space.wait_for("results", timeout=0.01)
        Traceback (most recent call last):
        TimeoutError: nobody has made 'results' in courtyard.Space() within 0.01 seconds
        """
        check_name(name)
        native = self._opened()

        def look() -> tuple[Any] | None:
            if native.lookup(name) is None:
                if not native.linked:
                    raise NotFound(
                        f"{self!r} was destroyed, and {name!r} can only come in a new one"
                    )
                return None
            try:
                return (self[name],)
            except NotFound:  # deleted again
                return None

        found = native.until_named(look, timeout)
        if found is None:
            raise TimeoutError(f"nobody has made {name!r} in {self!r} within {timeout} seconds")
        return found[0]

    def __iter__(self) -> Iterator[str]:
        """Iterate over a snapshot of the names."""
        return iter(self.names())

    def __len__(self) -> int:
        """Return how many names there are."""
        return self._opened().count()

    def items(self) -> ItemsView[str, Any]:
        """Return a view of names and objects, as a dict does.

        In place of an object whose class cannot be found here it shows
        ``<cannot load: module.Class>``.
        """
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """Return a view of the objects that have a name, as ``items()`` shows them."""
        return _Values(self)

    def __setitem__(self, name: str, value: object, /) -> NoReturn:
        """Refuse to give an object a name: ``named()`` makes an object that has one."""
        made = type(value).__name__ if type(value).__module__ == "courtyard" else "Dict"
        raise TypeError(
            f"an object cannot be given a name later: space.named({name!r}, courtyard.{made}) "
            "makes one in the space, or finds it"
        )

    def __delitem__(self, name: str, /) -> None:
        """Delete a name. Processes that hold the object keep it; it goes with the last of them.

        Raises NotFound if there is no such name.
        """
        if not self._opened().unbind(check_name(name)):
            raise NotFound(f"there is no {name!r} in {self!r} to delete")

    def __eq__(self, other: object) -> bool:
        """Say whether both are the same space."""
        if not isinstance(other, Space):
            return NotImplemented
        return self._here.identity == other._here.identity

    def __hash__(self) -> int:
        """Hash the space, not its names."""
        return hash(self._here.identity)

    def __bool__(self) -> bool:
        """Be true, also without names."""
        return True

    # Factories.

    def _make(self, kind: str, *arguments: Any, **keywords: Any) -> Any:
        return self._opened().call(_public.find(kind), arguments, keywords)

    def shutdown(self) -> None:
        """Close it, as ``close()`` does: for programs written for a Manager."""
        self.close()

    # What it says of itself.

    def statistics(self) -> SpaceStatistics:
        """Return what the space holds, frozen; first gives back what dead processes held.

        Blocks are counted by the chunk, not one by one: about a millisecond for a million of them.
        """
        from courtyard._statistics import SpaceStatistics

        return SpaceStatistics(*self._opened().census())

    def check(self) -> None:
        """Raise CorruptError if the space is inconsistent.

        It reads every block: about a second for a million of them. Until it is done, other
        processes wait when they make, name or free anything in the space.
        """
        self._opened().check()

    def trim(self) -> int:
        """Give free memory back to the system now, and return how many bytes went back.

        Memory also goes back automatically: a call that frees much returns it at once, except for
        up to 12 MiB, which the space keeps for later use. ``trim`` returns this part too, and what
        this process keeps for small objects. It costs about 0.1 ms for each MiB that goes back.
        When that memory is used again, getting it from the system costs about 0.4 ms for each MiB.

        Nothing in the space changes, and other processes continue. It waits only for the space's
        internal locks, usually a few microseconds. While another process is stopped (SIGSTOP) in
        the middle of a read, nothing goes back, and on a file system that cannot make holes in
        files nothing ever does: it returns 0. If a process is killed in this call, the next process
        that returns memory completes the work.

        Raises ``Closed`` after ``close()``.

        >>> import courtyard as cy
        >>> with cy.Space() as space:
        ...     numbers = space.list(range(100_000))
        ...     del numbers
        ...     space.trim() > 0
        True
        """
        return self._opened().trim()

    # Its end.

    def close(self) -> None:
        """Close it in this process; closing twice is allowed.

        The objects that this process holds go on working. A named space and a file stay; a private
        space ends with the last holder of an object in it, and gives its memory back.
        """
        self._closed = True
        self._here.close()

    def destroy(self, *, force: bool = False) -> None:
        """Remove the space with all in it.

        Raises CourtyardError while other processes use it. With ``force``, removes it anyway. All
        processes, this one too, keep the objects that they hold, and the memory is free when the
        last of these is gone. A program that opens the name later makes a new space. Destroying a
        space that is gone does nothing.

        >>> import courtyard as cy
        >>> space = cy.Space("old")
        >>> space.destroy()
        >>> cy.Space("old", create=False)
        Traceback (most recent call last):
        courtyard.NotFound: there is no space "old": ...
        """
        if self._destroyed:
            return
        if not self._opened().remove(force):
            raise CourtyardError(
                f"{self!r} is used by other processes: end them first, or destroy it with "
                "force=True; they then keep what they have"
            )
        self._destroyed = True
        self.close()

    def __enter__(self) -> Space:
        """Return the space."""
        self._opened()
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it in this process."""
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Send where it is: loading it opens the same space."""
        path, uuid = self._opened().address()
        return rebuild, (type(self), str(path), uuid), *carried(self)

    def __repr__(self) -> str:
        """Say which space it is."""
        url = self.url
        return "courtyard.Space()" if url is None else f"courtyard.Space({url!r})"


def default(*, create: bool = True) -> Space:
    """Return the space of ``named`` where none is given; NotFound if it is not to be made."""
    return Space("default", create=create)
