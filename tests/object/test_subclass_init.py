"""Subclasses with an ``__init__`` of their own, which says to ours with what an object is made."""

import gc
import pickle
import threading
from ctypes import Structure, c_int
from typing import Any

import pytest

import courtyard as cy
import courtyard.multiprocessing as multiprocessing
from courtyard.multiprocessing import queues, sharedctypes, synchronize


class Point(Structure):
    _fields_ = (("x", c_int), ("y", c_int))


class Place(cy.Value[Any]):
    def __init__(self, label: str, lock: Any = True) -> None:
        super().__init__(Point, 1, 2, lock=lock)
        self.label = label


class Text(cy.Array[Any]):
    def __init__(self, text: bytes, lock: Any = True) -> None:
        super().__init__("c", text, lock=lock)


def seen(obj: Any) -> Any:
    """Return what says with which arguments an object was made."""
    for name in ("maxsize", "parties", "maxlen"):
        if hasattr(obj, name):
            return getattr(obj, name)
    if isinstance(obj, cy.Semaphore):
        return obj.get_value()
    if isinstance(obj, cy.Value | cy.RawValue):
        return obj.value
    if isinstance(obj, cy.Array | cy.RawArray | cy.List | cy.Deque):
        return obj[:] if not isinstance(obj, cy.Deque) else list(obj)
    if isinstance(obj, cy.Dict | cy.Counter):
        return dict(obj)
    return sorted(obj) if isinstance(obj, cy.Set) else None


MADE: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = [
    (cy.Queue, (7,), {}, 7),
    (cy.Queue, (), {"maxsize": 7}, 7),
    (cy.LifoQueue, (7,), {}, 7),
    (cy.PriorityQueue, (7,), {}, 7),
    (cy.JoinableQueue, (7,), {}, 7),
    (cy.SimpleQueue, (), {}, 0),
    (cy.Semaphore, (3,), {}, 3),
    (cy.BoundedSemaphore, (3,), {}, 3),
    (cy.Lock, (), {}, None),
    (cy.RLock, (), {}, None),
    (cy.Event, (), {}, None),
    (cy.Condition, (), {}, None),
    (cy.Barrier, (3,), {"timeout": 5.0}, 3),
    (cy.Value, ("i", 5), {}, 5),
    (cy.Value, (object, [1]), {}, [1]),
    (cy.RawValue, ("d", 0.5), {}, 0.5),
    (cy.Array, ("i", [1, 2]), {}, [1, 2]),
    (cy.Array, ("c", b"ab"), {}, b"ab"),
    (cy.RawArray, ("i", [1, 2]), {}, [1, 2]),
    (cy.Deque, ("abc", 2), {}, 2),
    (cy.List, ("ab",), {}, ["a", "b"]),
    (cy.Dict, (), {"a": 1}, {"a": 1}),
    (cy.NestedDict, (), {"a": 1}, {"a": 1}),
    (cy.Counter, ("aab",), {}, {"a": 2, "b": 1}),
    (cy.Set, ("ab",), {}, ["a", "b"]),
    (cy.Namespace, (), {"a": 1}, None),
    (queues.Queue, (7,), {"ctx": multiprocessing.get_context()}, 7),
    (queues.JoinableQueue, (7,), {"ctx": None}, 7),
    (queues.SimpleQueue, (), {"ctx": None}, 0),
    (synchronize.Lock, (), {"ctx": None}, None),
    (synchronize.RLock, (), {"ctx": None}, None),
    (synchronize.Semaphore, (3,), {"ctx": None}, 3),
    (synchronize.BoundedSemaphore, (3,), {"ctx": None}, 3),
    (synchronize.Condition, (), {"ctx": None}, None),
    (synchronize.Event, (), {"ctx": None}, None),
    (synchronize.Barrier, (3,), {"ctx": None}, 3),
    (sharedctypes.Value, ("i", 5), {"ctx": None}, 5),
    (sharedctypes.Array, ("i", [1, 2]), {"ctx": None}, [1, 2]),
]
IDS = [f"{base.__module__}.{base.__name__}-{number}" for number, (base, *_) in enumerate(MADE)]
CONTAINERS = (cy.Dict, cy.List, cy.Set, cy.Namespace)  # made empty, and filled by __init__
NAMES = ("base", "arguments", "keywords", "expected")
made = pytest.mark.parametrize(NAMES, MADE, ids=IDS)
made_by_init = pytest.mark.parametrize(
    NAMES, [case for case in MADE if not issubclass(case[0], CONTAINERS)]
)


def derived(base: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return a class whose __init__ has other parameters than ``base``."""

    class Derived(base):  # type: ignore[misc]
        def __init__(self, _label: str, *, _more: int = 0) -> None:
            super().__init__(*arguments, **keywords)
            self._label = _label, _more

    return Derived


@made
def test_init_passes_its_arguments_on(
    base: Any, arguments: Any, keywords: Any, expected: Any
) -> None:
    obj = derived(base, arguments, keywords)("x", _more=2)
    assert (obj._label, seen(obj)) == (("x", 2), expected)
    assert isinstance(obj, base) and "at 0x" not in repr(obj).partition(" at 0x")[0]
    obj.check() if base is not cy.Namespace else cy.check(obj)


@made
def test_the_same_parameters(base: Any, arguments: Any, keywords: Any, expected: Any) -> None:
    class Derived(base):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._label = "x"

    class Further(Derived):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._further = self._label

    class Plain(Derived):
        pass

    for cls in (Derived, Further, Plain):
        assert seen(cls(*arguments, **keywords)) == expected
    assert Further(*arguments, **keywords)._further == "x"


@made_by_init
def test_use_before_it_is_made(base: Any, arguments: Any, keywords: Any, expected: Any) -> None:
    class Hasty(base):  # type: ignore[misc]
        def __init__(self) -> None:
            assert "not made yet" in repr(self)
            self.close()  # there is nothing to close
            uses: list[Any] = [lambda: pickle.dumps(self), lambda: self.name, lambda: self.version]
            names = (
                "acquire",
                "put",
                "get",
                "set",
                "notify",
                "wait",
                "append",
                "tolist",
                "popleft",
            )
            arguments = {"put": (1,), "append": (1,)}
            if issubclass(base, cy.Value | cy.RawValue):
                arguments["set"] = (1,)
            for name in names:
                if hasattr(base, name):
                    uses.append(lambda n=name: getattr(self, n)(*arguments.get(n, ())))
            for use in uses:
                with pytest.raises(RuntimeError, match=r"Hasty\.__init__\(\) must call super"):
                    use()
            if not issubclass(base, cy.Condition):  # whose predicate is asked first
                with pytest.raises(RuntimeError, match="must call"):
                    self.wait_for(lambda *_: True)

    hasty = Hasty()
    with pytest.raises(RuntimeError, match="must call"):
        hasty.check()
    base.__init__(hasty, *arguments, **keywords)  # late, but here it is
    assert seen(hasty) == expected
    hasty.check()


def test_an_array_that_is_not_made_has_no_elements() -> None:
    class Hasty(cy.Array):
        def __init__(self) -> None:
            uses: list[Any] = [
                lambda: self[0],
                lambda: self[:],
                lambda: self.__setitem__(0, 1),
                lambda: memoryview(self),  # type: ignore[arg-type]
                lambda: self.tobytes(),
                lambda: self.get_obj(),
                lambda: self.get_lock().acquire(),
            ]
            for use in uses:
                with pytest.raises((RuntimeError, BufferError, TypeError)):
                    use()

    Hasty()


@made
def test_init_twice(base: Any, arguments: Any, keywords: Any, expected: Any) -> None:
    """The object is others' too by then."""
    loaded = pickle.loads(pickle.dumps(base(*arguments, **keywords)))
    objects = base(*arguments, **keywords), derived(base, arguments, keywords)("x"), loaded
    for obj in objects:
        if issubclass(base, (*CONTAINERS, cy.Deque)):
            base.__init__(obj, *arguments, **keywords)  # filled anew, as builtins are
        else:
            with pytest.raises(RuntimeError, match="was called before"):
                base.__init__(obj, *arguments, **keywords)
        if base is not cy.Counter:  # which counts again, as collections.Counter does
            assert seen(obj) == expected


def test_an_init_before_in_the_order_and_one_behind() -> None:
    class Labelled:
        def __init__(self, *args: Any, label: str = "", **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.label = label

    class First(Labelled, cy.Queue[Any]):
        pass

    class Last(cy.Queue[Any], Labelled):
        def __init__(self, maxsize: int, label: str) -> None:
            cy.Queue.__init__(self, maxsize)
            self.label = label

    class Thread(threading.Thread, cy.Semaphore):
        def __init__(self, permits: int) -> None:
            threading.Thread.__init__(self)
            cy.Semaphore.__init__(self, permits)

    first, last, thread = First(5, label="f"), Last(6, "l"), Thread(2)
    assert (first.maxsize, first.label, last.maxsize, last.label) == (5, "f", 6, "l")
    assert (thread.get_value(), thread.is_alive()) == (2, False)


def test_a_new_of_ones_own_makes_it() -> None:
    class Jobs(cy.Queue[Any]):
        def __new__(cls, _label: str, maxsize: int) -> Any:
            return super().__new__(cls, maxsize)

        def __init__(self, label: str, _maxsize: int) -> None:
            self.label = label

    class More(Jobs):
        def __init__(self, label: str, maxsize: int) -> None:
            super().__init__(label, maxsize)
            cy.Queue.__init__(self, maxsize)  # nothing is left to do

    for jobs in (Jobs("x", 3), More("x", 3)):
        assert (jobs.label, jobs.maxsize) == ("x", 3)


def test_what_is_wrong_with_arguments() -> None:
    class Jobs(cy.Queue[Any]):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    with pytest.raises(
        TypeError, match=r"^Queue.__init__\(\) got an unexpected keyword argument 'x'"
    ):
        Jobs(x=1)
    with pytest.raises(TypeError, match=r"Jobs.__init__\(\) takes 1 positional argument"):
        Jobs(1)  # type: ignore[call-arg]

    class Permits(cy.Semaphore):
        def __init__(self, n: int) -> None:
            super().__init__(n)

    with pytest.raises(ValueError, match="must be >= 0"):
        Permits(-1)

    class Count(cy.Value[int]):
        def __init__(self) -> None:
            super().__init__("i", lock=False)

    with pytest.raises(TypeError, match="a RawValue is made: derive Count from that"):
        Count()


def test_what_is_made_has_its_declared_type() -> None:
    lock = cy.RLock()
    for place in (Place("x"), Place("x", lock), pickle.loads(pickle.dumps(Place("x", lock)))):
        place.y += 5
        assert (place.x, place.y, place.label) == (1, 7, "x")
        assert isinstance(place, Place)
        with place.get_lock():
            assert place.value.x == 1
    for text in (Text(b"ab"), Text(b"ab", lock), pickle.loads(pickle.dumps(Text(b"ab", lock)))):
        text.value = b"c"
        assert (text.value, text.raw, isinstance(text, Text)) == (b"c", b"c\0", True)
    lock.acquire()
    child = threading.Thread(target=lambda: setattr(Place("y", lock), "x", 5))
    child.start()
    child.join(0.2)
    assert child.is_alive()  # it waits for the lock that it was given
    lock.release()
    child.join(30)
    assert not child.is_alive()


def test_only_the_object_itself_is_finalized() -> None:
    ended: list[str] = []

    class Jobs(cy.Queue[Any]):
        def __init__(self, label: str) -> None:
            super().__init__(3)
            self.label = label

        def __del__(self) -> None:
            ended.append(self.label)

    jobs = Jobs("x")
    assert ended == []
    del jobs
    gc.collect()
    assert ended == ["x"]


@pytest.mark.usefixtures("own_home")
def test_nothing_stays_of_what_was_not_made() -> None:
    keep = cy.Lock()

    class Jobs(cy.Queue[Any]):
        def __init__(self, fail: bool) -> None:
            if fail:
                raise KeyError("no")
            super().__init__(3)

    Jobs(False)
    gc.collect()
    before = keep.space.statistics()
    for _ in range(50):
        with pytest.raises(KeyError):
            Jobs(True)
        Jobs(False)
    gc.collect()
    after = keep.space.statistics()
    assert (after.objects, after.used) == (before.objects, before.used)
    keep.space.check()


def test_by_its_name(title: str) -> None:
    class Jobs(cy.Queue[Any]):
        def __init__(self, label: str, maxsize: int) -> None:
            super().__init__(maxsize)
            self.label = label

    class Lazy(cy.Queue[Any]):
        def __init__(self, _n: int) -> None: ...

    class Room(cy.Array[Any]):
        def __init__(self, label: str) -> None:
            super().__init__("c", b"ab")
            self.label = label

    with cy.Space(title) as space:
        one = Jobs.named("jobs", "one", 3, space=space)
        two = space.named("jobs", Jobs, "two", maxsize=3)
        one.put(1)
        assert (two.get(), one.label, two.label, two.name) == (1, "one", "two", "jobs")
        assert isinstance(space["jobs"], cy.Queue)
        with pytest.raises(cy.WrongType, match=r"'jobs' is a Queue\(3\)"):
            Jobs.named("jobs", "three", 4, space=space)
        with pytest.raises(RuntimeError, match="must call super"):
            Lazy.named("lazy", 1, space=space)
        rooms = [Room.named("room", label, space=space) for label in "xy"]
        rooms[0].value = b"z"
        assert (rooms[1].value, rooms[1].label) == (b"z", "y")
        assert space.names() == ["jobs", "room"]
        space.check()


def test_the_object_of_another_class_is_not_taken_over() -> None:
    from courtyard import _native

    class Jobs(cy.Queue[Any]):
        def __init__(self) -> None: ...

    unmade, lock, jobs = Jobs(), cy.Lock(), cy.Queue[Any]()
    others: list[Any] = [lock, cy.Value("i"), cy.Array("i", 1), unmade, 5]
    for other in others:
        with pytest.raises(TypeError):
            _native.adopt(unmade, other)
    with pytest.raises(TypeError):
        _native.adopt(jobs, cy.Queue())
    _native.adopt(unmade, jobs)
    unmade.put(1)
    with pytest.raises(RuntimeError):
        jobs.get()


@pytest.mark.parametrize(
    "base",
    [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue, cy.SimpleQueue, cy.Semaphore,
     cy.BoundedSemaphore, cy.Lock, cy.RLock, cy.Event, cy.Condition, cy.Barrier],
)  # fmt: skip
def test_wrong_keywords_are_told_as_those_of_its_init(base: Any) -> None:
    class Own(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(wrong=1)

    with pytest.raises(TypeError, match=rf"^{base.__name__}\.__init__\(\)"):
        Own()
