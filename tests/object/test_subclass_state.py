"""What subclasses add to shared objects: pickles carry it, as the standard protocol has it."""

import copy
import copyreg
import pickle
import threading
from collections.abc import Callable
from ctypes import Structure, c_int
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
import courtyard.multiprocessing as multiprocessing
from courtyard.multiprocessing import queues, sharedctypes, synchronize
from tests.support.children import join, start


class Point(Structure):
    _fields_ = (("x", c_int),)


class Labelled:
    """Attributes of an instance; with an underscore, so that a Namespace may have them too."""

    _label: str = "none"
    _of_the_class = 1


class Slots:
    __slots__ = ()


def both(base: Any) -> tuple[Any, Any]:
    """Return a subclass with attributes, and one with slots."""
    name = f"{base.__module__}_{base.__name__}".replace(".", "_")
    with_dict = type(f"Dict_{name}", (Labelled, base), {"__module__": __name__})
    body = {"__slots__": ("_label", "_unset", "__private"), "__module__": __name__}
    with_slots = type(f"Slots_{name}", (Slots, base), body)
    for made in (with_dict, with_slots):
        globals()[made.__name__] = made
    return with_dict, with_slots


BASES: dict[Any, tuple[Any, ...]] = {
    cy.Queue: (7,),
    cy.LifoQueue: (),
    cy.PriorityQueue: (),
    cy.JoinableQueue: (),
    cy.SimpleQueue: (),
    cy.Semaphore: (3,),
    cy.BoundedSemaphore: (3,),
    cy.Lock: (),
    cy.RLock: (),
    cy.Event: (),
    cy.Condition: (),
    cy.Barrier: (3,),
    cy.Value: ("i", 5),
    cy.RawValue: ("d", 0.5),
    cy.Array: ("c", b"ab"),
    cy.RawArray: ("i", [1, 2]),
    cy.Deque: ("abc", 2),
    cy.List: ("ab",),
    cy.Dict: ({"a": 1},),
    cy.NestedDict: ({"a": {}},),
    cy.Counter: ("aab",),
    cy.Set: ("ab",),
    cy.Namespace: (),
    queues.Queue: (7,),
    queues.JoinableQueue: (),
    queues.SimpleQueue: (),
    synchronize.Lock: (),
    synchronize.RLock: (),
    synchronize.Semaphore: (3,),
    synchronize.BoundedSemaphore: (3,),
    synchronize.Condition: (),
    synchronize.Event: (),
    synchronize.Barrier: (3,),
    sharedctypes.Value: (Point, 5),
    sharedctypes.Array: ("i", [1, 2]),
}
CLASSES = [(cls, arguments) for base, arguments in BASES.items() for cls in both(base)]
every = pytest.mark.parametrize(
    ("cls", "arguments"), CLASSES, ids=[cls.__name__ for cls, _ in CLASSES]
)


def make(cls: Any, arguments: tuple[Any, ...]) -> Any:
    obj = cls(*arguments)
    obj._label = ["mine", cy.Value("i", 5)]
    return obj


def expect(obj: Any, cls: Any) -> None:
    assert isinstance(obj, cls)
    label, number = obj._label
    assert (label, number.value) == ("mine", 5)
    assert not hasattr(obj, "_unset")


@every
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle(cls: Any, arguments: Any, protocol: int) -> None:
    obj = make(cls, arguments)
    loaded = pickle.loads(pickle.dumps(obj, protocol))
    expect(loaded, cls)
    cy.close(obj)
    again = pickle.loads(pickle.dumps(loaded, protocol))
    expect(again, cls)
    cy.check(again)


@every
def test_inside_containers(cls: Any, arguments: Any) -> None:
    obj = make(cls, arguments)
    containers: list[tuple[Any, Callable[[Any], Any]]] = [
        (cy.Dict(a=obj), lambda c: c["a"]),
        (cy.Dict(a=[obj, obj]), lambda c: c["a"][1]),
        (cy.NestedDict(a={"b": obj}), lambda c: c["a"]["b"]),
        (cy.List([obj]), lambda c: c[0]),
        (cy.Deque([obj]), lambda c: c[0]),
        (cy.Value(object, obj), lambda c: c.value),
        (cy.Namespace(a=obj), lambda c: c.a),
    ]
    for container, get in containers:
        expect(get(container), cls)
    for queue in (cy.Queue[Any](), cy.LifoQueue[Any](), queues.Queue[Any]()):
        queue.put(obj)
        queue.put((1, [obj]))
        found = [queue.get(), queue.get()]
        for item in found:
            expect(item[1][0] if isinstance(item, tuple) else item, cls)
        queue.put(obj)
        with queue.lease() as item:
            expect(item, cls)
    store = cy.Dict(a=obj)
    cy.close(obj)
    del obj
    expect(store["a"], cls)  # kept by the container alone


@every
def test_copies(cls: Any, arguments: Any) -> None:
    obj = make(cls, arguments)
    plain = (cy.Dict, cy.List, cy.Deque, cy.Set, cy.Namespace)
    if isinstance(obj, plain):
        return  # copies are builtins: see _copy
    copied = copy.copy(obj)
    expect(copied, cls)
    assert copied._label is obj._label
    deep = copy.deepcopy(obj)
    expect(deep, cls)
    assert deep._label is not obj._label


def look(objects: list[Any]) -> None:
    for obj in objects:
        expect(obj, type(obj))
        assert type(obj).__name__.startswith(("Dict_", "Slots_"))
        obj._label[1].increment()


def test_arguments_of_a_process(ctx: BaseContext) -> None:
    objects = [make(cls, arguments) for cls, arguments in CLASSES]
    join(start(ctx, look, objects))
    assert all(obj._label[1].value == 6 for obj in objects)


def label_of(obj: Any) -> Any:
    return obj._label, type(obj).__name__


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_tasks_of_a_pool(method: str) -> None:
    objects = []
    for cls, arguments in CLASSES:
        obj = cls(*arguments)
        obj._label = "mine"
        objects.append(obj)
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.map_async(label_of, objects).get(60)
    assert found == [("mine", cls.__name__) for cls, _ in CLASSES]


class Chooses(cy.Queue[Any]):
    def __init__(self, label: str) -> None:
        super().__init__(3)
        self.label, self.thread_lock = label, threading.Lock()

    def __getstate__(self) -> Any:
        return (self.label, "sent")

    def __setstate__(self, state: Any) -> None:
        self.label, self.sent = state


class Slotted(cy.Semaphore):
    __slots__ = ("__mine", "given")

    def __init__(self) -> None:
        super().__init__(2)
        self.__mine = "m"

    def mine(self) -> str:
        return self.__mine


class More(Slotted):
    pass


class Nothing(cy.Lock):
    def __getstate__(self) -> Any:
        return None

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("there is no state")


class False_(cy.Lock):
    got: Any = None

    def __getstate__(self) -> Any:
        return 0

    def __setstate__(self, state: Any) -> None:
        self.got = state


def ways(obj: Any) -> list[Any]:
    """Return what an object arrives as."""
    loaded = [pickle.loads(pickle.dumps(obj, protocol)) for protocol in range(6)]
    return [*loaded, cy.Dict(a=obj)["a"], cy.List([(obj,)])[0][0], copy.copy(obj)]


def test_getstate_and_setstate() -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(Chooses("x").thread_lock)
    for found in ways(Chooses("x")):
        assert (found.label, found.sent, found.maxsize) == ("x", "sent", 3)
        assert not hasattr(found, "thread_lock")
    for nothing in ways(Nothing()):
        nothing.acquire()
        nothing.release()
    for false in ways(False_()):
        assert false.got == 0


def test_private_slots_and_attributes_together() -> None:
    more = More()
    more.given, more.attribute = 1, 2  # type: ignore[attr-defined]
    for found in ways(more):
        assert (found.mine(), found.given, found.attribute) == ("m", 1, 2)
        assert found.get_value() == 2
    assert Slotted().__getstate__() == (None, {"_Slotted__mine": "m"})


def test_the_state_of_a_plain_object_is_none() -> None:
    for base, arguments in BASES.items():
        state = base(*arguments).__getstate__()
        assert state in (None, (None,))
        assert len(base(*arguments).__reduce__()) == 2
    lock = cy.Lock()
    assert cy.Value("i", lock=cy.RLock()).__getstate__() is None
    assert pickle.loads(pickle.dumps(cy.Condition(lock))).locked() is False


def test_what_a_subclass_of_ours_reduces_to_by_itself() -> None:
    class Own(cy.Queue[Any]):
        def __reduce__(self) -> Any:
            return str, ("not a queue",)

    found: list[Any] = [pickle.loads(pickle.dumps(Own())), cy.Dict[Any, Any](a=Own())["a"]]
    assert found == ["not a queue", "not a queue"]


class Registered(cy.Queue[Any]):
    label = "none"
    other: Any = None


def open_registered(label: str, reduced: Any) -> Any:
    function, arguments = reduced
    made = function(*arguments)
    made.label = label
    return made


def reduce_registered(obj: Registered) -> Any:
    return open_registered, (f"{obj.label} by copyreg", cy.Queue.__reduce__(obj)[:2])


def test_copyreg() -> None:
    copyreg.pickle(Registered, reduce_registered)
    try:
        obj = Registered(4)
        obj.label = "x"
        for found in ways(obj):
            assert (found.label, found.maxsize, type(found)) == ("x by copyreg", 4, Registered)
    finally:
        del copyreg.dispatch_table[Registered]


def test_objects_that_refer_to_each_other() -> None:
    one, other = Registered(1), Registered(2)
    one.other, other.other = other, one
    found = pickle.loads(pickle.dumps(one))
    assert found.other.other is found and found.other.maxsize == 2
    kept = cy.Dict(a=one)["a"]
    assert kept.other.other is kept and kept.other.maxsize == 2


class SharedCounter:
    """Of the recipe that is copied most widely for a queue with a qsize() everywhere."""

    def __init__(self, n: int = 0) -> None:
        self.count = multiprocessing.Value("i", n)

    def increment(self, n: int = 1) -> None:
        with self.count.get_lock():
            self.count.value += n

    @property
    def value(self) -> int:
        found: int = self.count.value
        return found


class SharedQueue(multiprocessing.queues.Queue[Any]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, ctx=multiprocessing.get_context(), **kwargs)
        self.size = SharedCounter(0)

    def __getstate__(self) -> Any:
        return {"parent_state": super().__getstate__(), "size": self.size}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state["parent_state"])
        self.size = state["size"]

    def put(self, *args: Any, **kwargs: Any) -> None:
        super().put(*args, **kwargs)
        self.size.increment(1)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        item = super().get(*args, **kwargs)
        self.size.increment(-1)
        return item

    def qsize(self) -> int:
        return self.size.value


class TupleQueue(SharedQueue):
    def __getstate__(self) -> Any:
        return (*multiprocessing.queues.Queue.__getstate__(self), self.size)

    def __setstate__(self, state: Any) -> None:
        multiprocessing.queues.Queue.__setstate__(self, state[:-1])
        self.size = state[-1]


def put_and_get(queue: Any) -> None:
    queue.put("b")
    queue.put("c")
    assert queue.get() == "a"


@pytest.mark.parametrize("cls", [SharedQueue, TupleQueue])
def test_the_recipe_of_a_queue_that_counts(ctx: BaseContext, cls: Any) -> None:
    queue = cls(5)
    queue.put("a")
    join(start(ctx, put_and_get, queue))
    assert (queue.qsize(), queue.maxsize, queue.get(), queue.qsize()) == (2, 5, "b", 1)


class Room(cy.Space):
    def __init__(self, label: str, url: str | None = None, **options: Any) -> None:
        super().__init__(url, **options)
        self.label = label


def test_a_subclass_of_space(title: str) -> None:
    with Room("mine", title) as room:
        made = room.named("n", cy.Value, "i", 5)
        found = pickle.loads(pickle.dumps(room))
        assert (found.label, type(found), found == room) == ("mine", Room, True)
        assert found["n"].value == made.value == 5
    with pytest.raises(TypeError):
        Room("x", title, colour="red")
