"""The members of courtyard's public classes, and what each is called with.

Both are derived: a class is public if ``courtyard.__all__`` has it, a member is whatever it does
not inherit from ``object``, and its arguments follow from the names of its parameters. A class
without a specimen, or a parameter that no table knows, is an error that says so: so what is new
is tried like all else, or somebody is told.
"""

import collections
import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import courtyard as cy
from courtyard._object.name import Named

Visit = Callable[[], object]
SOON = 0.05  # seconds that a call may wait which has a timeout


def nobody() -> None:
    """Do nothing: the visitor of those who want none."""


class Guest:
    """A value that calls its visitor wherever Python lets a value run code."""

    visit: Visit = staticmethod(nobody)

    def __reduce__(self) -> Any:
        Guest.visit()
        return arrive, ()

    def __eq__(self, other: object) -> bool:
        Guest.visit()
        return isinstance(other, Guest)

    def __lt__(self, other: object) -> bool:
        Guest.visit()
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __hash__(self) -> int:
        Guest.visit()
        return 7

    def __index__(self) -> int:
        Guest.visit()
        return 0

    def __float__(self) -> float:
        Guest.visit()
        return 0.0

    def __iter__(self) -> Iterator[Any]:
        Guest.visit()
        return iter((1, 2))

    def __call__(self, *arguments: Any) -> Any:
        Guest.visit()
        return arguments[0] if arguments else True

    def __add__(self, other: Any) -> Any:
        Guest.visit()
        return self

    __radd__ = __add__

    def __repr__(self) -> str:
        Guest.visit()
        return "a guest"


def arrive() -> Guest:
    """Load a guest."""
    Guest.visit()
    return Guest()


def invite(visit: Visit) -> None:
    """Have all guests call this visitor."""
    Guest.visit = staticmethod(visit)


def _queue(kind: Any) -> Any:
    # Those that are bounded in bytes have a slower way of their own.
    queue = kind() if kind is cy.SimpleQueue else kind(9, maxbytes=_BYTES.get(kind))
    queue.put(Guest())
    return queue


def _held(kind: Any) -> Any:
    lock = kind()
    lock.acquire()
    return lock


def _filled(kind: Any) -> Any:
    return kind([1, Guest(), "text", Guest()])


_BYTES: dict[Any, int] = {cy.JoinableQueue: 10_000, cy.LifoQueue: 10_000}

# An object of each class, with guests in it wherever they can be.
SPECIMENS: dict[str, Callable[[], Any]] = {
    "Array": lambda: cy.Array("i", 5),
    "Barrier": lambda: cy.Barrier(1, action=Guest()),
    "BoundedSemaphore": lambda: cy.BoundedSemaphore(1),
    "Condition": lambda: _held(cy.Condition),
    "Counter": lambda: cy.Counter({"k": 1, Guest(): 2}),
    "Deque": lambda: _filled(cy.Deque),
    "Dict": lambda: cy.Dict({"k": 1, "g": Guest(), Guest(): 2}),
    "Event": cy.Event,
    "JoinableQueue": lambda: _queue(cy.JoinableQueue),
    "LifoQueue": lambda: _queue(cy.LifoQueue),
    "List": lambda: _filled(cy.List),
    "Lock": cy.Lock,
    "Namespace": lambda: cy.Namespace(k=1, g=Guest()),
    "NestedDict": lambda: cy.NestedDict({"k": 1, "g": Guest(), "d": {"x": Guest()}}),
    "PriorityQueue": lambda: _queue(cy.PriorityQueue),
    "Queue": lambda: _queue(cy.Queue),
    "RLock": cy.RLock,
    "RawArray": lambda: cy.RawArray("i", 5),
    "RawValue": lambda: cy.RawValue(object, Guest()),
    "Semaphore": lambda: cy.Semaphore(1),
    "Set": lambda: _filled(cy.Set),
    "SimpleQueue": lambda: _queue(cy.SimpleQueue),
    "Value": lambda: cy.Value(object, Guest()),
}
# What `object` has is no member of ours; and what only says how Python treats a class.
_PASSED_OVER = {
    *("__annotations__", "__class_getitem__", "__dict__", "__doc__", "__getattribute__"),
    *("__init__", "__init_subclass__", "__module__", "__new__", "__orig_bases__", "__slots__"),
    *("__subclasshook__", "__weakref__", "__missing__", "__array_interface__", "__exit__"),
    *("__getstate__", "__setstate__"),  # what pickle calls: it is written
    *("__annotate__", "__annotate_func__", "__annotations_cache__"),
    *("__buffer__", "__release_buffer__"),  # what memoryview calls; it has tests of its own
    *("__setattr__", "__delattr__", "__dlpack__", "__dlpack_device__", "__copy__", "__deepcopy__"),
    "named",  # makes objects: the constructors' affair
}
# Instead of some of these, as users write it.
_WRITTEN: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda specimen: pickle.loads(pickle.dumps(specimen)),
    "copy.copy": copy.copy,
    "with": lambda specimen: use(specimen),
}

_PLAIN: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("key", "name", "expected"), lambda: "k"),
    **dict.fromkeys(("index", "start"), lambda: 0),
    **dict.fromkeys(("n", "times", "mode"), lambda: 1),
    **dict.fromkeys(("value", "item", "element", "new", "default", "v", "other"), lambda: 1),
    **dict.fromkeys(("iterable", "values", "others", "keys"), lambda: [1, "k"]),
    "items": lambda: [1, 2],
    "mapping": lambda: {"k": 1},
    "max": lambda: 2,
    "stop": lambda: 3,
    "timeout": lambda: SOON,
    "blocking": lambda: True,
    "block": lambda: True,
    **dict.fromkeys(("immediate", "reverse", "copy"), lambda: False),
    "last": lambda: True,
    **dict.fromkeys(("x", "predicate", "fn"), Guest),
}
_GUESTS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("key", "index", "start", "expected", "n"), Guest),
    **dict.fromkeys(("value", "item", "element", "new", "default", "v", "other"), Guest),
    **dict.fromkeys(("iterable", "values", "others", "keys", "items"), lambda: [1, Guest()]),
    "mapping": lambda: {"k": Guest(), Guest(): 1},
}
# What two operands of an operator are, by the class of the first.
_LIKE: dict[str, Callable[[Any], Any]] = {
    "Counter": lambda items: collections.Counter(dict.fromkeys(items, 1)),
    "Set": set,
    "List": list,
    "Deque": collections.deque,
    "Dict": lambda items: dict.fromkeys(items, 1),
    "NestedDict": lambda items: dict.fromkeys(items, 1),
}
_SEQUENCES = ("Array", "Deque", "List", "RawArray")


class Unknown(Exception):
    """Something new, of which the tables here do not know how to try it."""


@dataclass(frozen=True)
class Member:
    """A member of a public class, and one of the ways to call it."""

    cls: str
    name: str
    with_guests: bool

    def __str__(self) -> str:
        return f"{self.cls}.{self.name}" + ("(guests)" if self.with_guests else "")

    def specimen(self) -> Any:
        """Make an object on which it can be called."""
        specimen = SPECIMENS[self.cls]()
        if self.name == "release" and self.cls != "Condition":
            specimen.acquire()
        if self.name in ("join", "task_done"):
            specimen.get()
        if self.name == "join":
            specimen.task_done()
        return specimen

    def call(self, specimen: Any) -> Any:
        """Call it, and use what it gives."""
        return use(self.begin(specimen))

    def begin(self, specimen: Any) -> Any:
        """Call it."""
        if self.name in _WRITTEN:
            return _WRITTEN[self.name](specimen)
        found = getattr(specimen, self.name)
        if not callable(found):
            return found
        arguments, keywords = self.arguments()
        return found(*arguments, **keywords)

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return what it is called with; Unknown names a parameter that no table has."""
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter in self.parameters():
            if parameter.kind is parameter.VAR_KEYWORD:
                continue
            value = self.argument(parameter.name)
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional.append(value)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                if parameter.name != "block":  # another name of `blocking`
                    keywords[parameter.name] = value
            else:
                positional.append(value)
        return positional, keywords

    def parameters(self) -> list[inspect.Parameter]:
        """Return what it takes, but for itself."""
        if self.name in _WRITTEN:
            return []
        cls = getattr(cy, self.cls)
        found = getattr(cls, self.name)
        if not callable(found):
            return []
        parameters = list(inspect.signature(found).parameters.values())
        is_bound = isinstance(inspect.getattr_static(cls, self.name), (classmethod, staticmethod))
        return parameters[not is_bound and parameters[:1] != [] :]

    def argument(self, parameter: str) -> Any:
        """Return what a parameter of this name is given; Unknown if no table has it."""
        if parameter == "key" and self.name == "sort":
            return Guest() if self.with_guests else None
        if parameter == "key" and not self.with_guests and self.cls in _SEQUENCES:
            return 0
        is_value = self.name in ("__setitem__", "__contains__", "__mul__", "__rmul__", "__imul__")
        if self.cls in _LIKE and not is_value:
            is_operand = parameter == "value" and self.name.startswith("__")
            if parameter == "other" or is_operand:
                return _LIKE[self.cls]([1, Guest()] if self.with_guests else [1, "k"])
        if parameter == "default" and self.name == "pop":
            return 1
        tables = (_GUESTS, _PLAIN) if self.with_guests else (_PLAIN,)
        for table in tables:
            if parameter in table:
                return table[parameter]()
        raise Unknown(
            f"{self}: no table of tests/sides/member.py says what parameter {parameter!r} is given"
        )


def use(result: Any) -> Any:
    """Do with a result what its type is for: what it holds back comes then."""
    if isinstance(result, (str, bytes)):
        return result
    if hasattr(result, "__enter__") and hasattr(result, "__exit__"):
        with result:
            pass
    elif isinstance(result, Iterator) or hasattr(result, "__iter__"):
        list(islice(iter(result), 20))
    return result


def classes() -> dict[str, Any]:
    """Return the public classes of what is shared, each with a specimen."""
    found = {name: getattr(cy, name) for name in cy.__all__}
    shared = {
        name: cls for name, cls in found.items() if isinstance(cls, type) and issubclass(cls, Named)
    }
    if missing := set(shared) ^ set(SPECIMENS):
        raise Unknown(
            f"tests/sides/member.py has a specimen of each public class, and not of {missing}"
        )
    return shared


def members(cls: str) -> list[Member]:
    """Return all members of a public class, in each way to call them."""
    names = [*_WRITTEN]
    for name in dir(getattr(cy, cls)):
        is_object = getattr(object, name, None) is getattr(getattr(cy, cls), name)
        if is_object or name in _PASSED_OVER or (name[0] == "_" and name[:2] != "__"):
            continue
        names.append(name)
    if not hasattr(getattr(cy, cls), "__enter__"):
        names.remove("with")
    found = []
    for name in names:
        if name in ("__enter__", "__reduce__"):
            continue  # written
        plain = Member(cls, name, False)
        found.append(plain)
        if any(parameter.name in _GUESTS for parameter in plain.parameters()):
            found.append(Member(cls, name, True))
    return found
