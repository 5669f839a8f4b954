"""What every object can do, as functions: a Structure's own field names hide the methods."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.object import Object
from courtyard._object.subclass import home_of, own_class

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

    from courtyard._object.watch import Watch
    from courtyard._space import Space
    from courtyard._statistics import ObjectStatistics


def _class_of(obj: Any, find: Any = home_of) -> Any:
    if not isinstance(obj, Object):
        raise TypeError(f"expected a courtyard object, found {type(obj).__name__}")
    return find(obj)


def wait_for(obj: Any, x: Any, timeout: float | None = None) -> Any:
    """Wait until a condition on a shared object holds; return what it returned, or False.

    ``x`` is called with the value (of a Value) or the object (any other) if it can be called,
    else compared with that. It sleeps without using the CPU, is woken by the change, and gives
    up after ``timeout`` seconds. Ctrl-C works at once. If a writer dies, waiters are still woken.

    >>> import courtyard as cy
    >>> cy.wait_for(cy.Value("i", 3), lambda n: n > 2)
    True
    """
    return _class_of(obj).wait_for(obj, x, timeout)


def watch(obj: Any, keys: Any = None) -> Watch[Any, Any]:
    """Follow the changes of a value or container: of all, or of the keys that are given.

    What it returns has a ``state``, the content as it is now, and gives each change after that as
    it comes, without using the CPU meanwhile: see ``courtyard.Watch``.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(stage="load")
    >>> changes = cy.watch(ns)
    >>> ns.stage = "train"
    >>> changes.state, changes.get()
    ({'stage': 'load'}, Change(key='stage', value='train'))
    """
    method = _method(obj, "watch")
    if keys is None:
        watched: Watch[Any, Any] = method(obj)
    elif isinstance(obj, _native.Table):
        watched = method(obj, keys)
    else:
        raise TypeError(
            f"a courtyard.{_class_of(obj).__name__} has no keys: watch() follows all of it"
        )
    return watched


def _method(obj: Any, name: str) -> Any:
    cls = _class_of(obj)
    method = getattr(cls, name, None)
    if method is None:
        raise TypeError(f"a courtyard.{cls.__name__} has no {name}()")
    for home in type(obj).__mro__:
        if "_given_lock" in vars(home):  # made for a lock of the user's: its methods take that
            own = vars(home).get(name)
            return own if callable(own) else method
    return method


def get_lock(obj: Any) -> Any:
    """Return the lock of a container or a value, for ``with``: all other writers wait meanwhile.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(done=0, left=9)
    >>> with cy.get_lock(ns):
    ...     ns.done += 1; ns.left -= 1
    """
    return _method(obj, "get_lock")(obj)


def increment(obj: Any, /, *arguments: Any, **keywords: Any) -> Any:
    """Add to a number atomically and return the sum: a Value's, or that under a key or attribute.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(done=0)
    >>> cy.increment(ns, "done"), cy.increment(ns, "seen", 5, default=10)
    (1, 15)
    """
    return _method(obj, "increment")(obj, *arguments, **keywords)


def compare_exchange(obj: Any, /, *arguments: Any, **keywords: Any) -> Any:
    """Store a value if the current one equals the expected one, atomically; return whether it did.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(state="idle")
    >>> cy.compare_exchange(ns, "state", "idle", "busy"), ns.state
    (True, 'busy')
    """
    return _method(obj, "compare_exchange")(obj, *arguments, **keywords)


def mutate(obj: Any, /, *arguments: Any, **keywords: Any) -> Any:
    """Replace a value by what a function returns for it, atomically, and return that.

    The value is a Value's, or that under a key or attribute. The function returns the new value.
    It may be called again, if another writer changed the value in between. Each call gets a copy of
    its own, of the value or of the default.

    Raises TypeError if the function returns None for what can be changed in place: all that
    ``edit`` takes.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(seen=("a",))
    >>> cy.mutate(ns, "seen", lambda seen: (*seen, "b"))
    ('a', 'b')
    """
    return _method(obj, "mutate")(obj, *arguments, **keywords)


def edit(obj: Any, /, *arguments: Any, **keywords: Any) -> Any:
    """Change a value in place, for ``with``: a Value's, or that under a key or attribute.

    All other writers wait until the block ends. Then the value is stored, unless the block raised:
    what this thread itself stored in its place meanwhile, other than by the value, is lost. For a
    missing key or attribute the block gets a copy of the default, if there is one.

    Raises TypeError for what cannot be changed in place, as a number, a text or a tuple of these.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(seen=["a"])
    >>> with cy.edit(ns, "seen") as seen:
    ...     seen.append("b")
    >>> ns.seen
    ['a', 'b']
    """
    return _method(obj, "edit")(obj, *arguments, **keywords)


def version(obj: Any) -> int:
    """Return a number that changes with every change of the object.

    >>> import courtyard as cy
    >>> v = cy.Value("i"); before = cy.version(v); v.value = 1
    >>> cy.version(v) != before
    True
    """
    found: int = _class_of(obj, own_class).version.__get__(obj)
    return found


def name(obj: Any) -> str | None:
    """Return the name that an object is found by; None for an anonymous one.

    >>> import courtyard as cy
    >>> cy.name(cy.Lock())
    """
    found: str | None = _class_of(obj, own_class).name.__get__(obj)
    return found


def space(obj: Any) -> Space:
    """Return the space that an object lives in.

    >>> import courtyard as cy
    >>> place = cy.Space()
    >>> cy.space(place.Namespace(x=1)) == place
    True
    """
    found: Space = _class_of(obj, own_class).space.__get__(obj)
    return found


def close(obj: Any) -> None:
    """Close a handle in this process; the object lives on while another holds it.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(close="mine"); cy.close(ns)
    """
    _class_of(obj, own_class).close(obj)


def statistics(obj: Any) -> ObjectStatistics:
    """Return the figures of an object and its space, and the processes that use it, frozen.

    Costs about a millisecond, however large the object is, and one for each 100,000 handles that
    processes have in the space. No other process waits for it. ``nbytes`` and ``blocks`` are
    estimates for an object with more than 4096 entries, and approximate if the object changes at
    the same time; see ``ObjectStatistics``. What dead processes held is given back first. Raises
    CorruptError if the space is inconsistent.

    >>> import courtyard as cy, os
    >>> d = cy.Dict(a=1, b=2)
    >>> with d.get_lock():
    ...     found = cy.statistics(d)
    >>> found.entries, found.holder.pid == os.getpid(), found.waiters, found.contention
    (2, True, (), 0)
    """
    found: ObjectStatistics = _class_of(obj).statistics(obj)
    return found


def check(obj: Any) -> None:
    """Raise CorruptError if the object's space is inconsistent; O(space).

    >>> import courtyard as cy
    >>> cy.check(cy.Lock())
    """
    _class_of(obj).check(obj)
