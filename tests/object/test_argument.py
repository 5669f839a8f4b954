"""What is said of wrong arguments: it names the classes that users know."""

import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
import courtyard.multiprocessing as drop_in

MAKERS: dict[str, Callable[[], Any]] = {
    "Value": lambda: cy.Value("i", 1),
    "RawValue": lambda: cy.RawValue("i", 1),
    "Array": lambda: cy.Array("i", 3),
    "RawArray": lambda: cy.RawArray("i", 3),
    "Dict": lambda: cy.Dict(a=1),
    "NestedDict": lambda: cy.NestedDict(a=1),
    "Counter": lambda: cy.Counter("ab"),
    "Set": lambda: cy.Set("ab"),
    "List": lambda: cy.List("ab"),
    "Deque": lambda: cy.Deque("ab"),
    "Queue": cy.Queue,
    "LifoQueue": cy.LifoQueue,
    "PriorityQueue": cy.PriorityQueue,
    "SimpleQueue": cy.SimpleQueue,
    "JoinableQueue": cy.JoinableQueue,
    "Lock": cy.Lock,
    "RLock": cy.RLock,
    "Semaphore": cy.Semaphore,
    "BoundedSemaphore": cy.BoundedSemaphore,
    "Condition": cy.Condition,
    "Event": cy.Event,
    "Barrier": lambda: cy.Barrier(2),
    "Space": cy.Space,
    "Manager": drop_in.Manager,
}
# A call or an attribute as messages of Python and PyO3 have them: `Map.get() takes ...`, `'name'
# of 'courtyard._native.RawValue' objects`.
NAMED = re.compile(r"^(\w+)\.\w+\(\)|of '([\w.]+)' objects")
PUBLIC = {name for name in cy.__all__ if isinstance(getattr(cy, name), type)}
PUBLIC |= {"Manager", "Mapping"}  # and a base of Space
# What takes any arguments, or any value.
TAKES_ALL = {"named", "update", "subtract", "dict", "Namespace", "Counter", "Value", "set_many"}
SETTABLE = {"value", "maxlen", "maxsize", "raw"}


# What a SyncManager has of its server, and ours has not.
SERVERS = {"address", "connect", "get_server", "register"}


@pytest.mark.parametrize("kind", MAKERS)
def test_messages_name_the_public_class(kind: str) -> None:
    obj, messages = MAKERS[kind](), []
    for name in dir(type(obj)):
        if name.startswith("_") or name in TAKES_ALL | SETTABLE:
            continue
        if kind == "Manager" and name in SERVERS:
            assert not hasattr(obj, name)
            continue
        if not callable(getattr(obj, name)):
            with pytest.raises(AttributeError) as refused:
                setattr(obj, name, 1)
            messages.append(str(refused.value))
            continue
        for arguments in [(), range(20)]:
            with pytest.raises((TypeError, NotImplementedError)) as wrong:
                getattr(obj, name)(*arguments, nobody_has_this=1)
            messages.append(str(wrong.value))
    named = [(found[1] or found[2], text) for text in messages if (found := NAMED.search(text))]
    assert len(named) > 5
    assert [text for name, text in named if name not in PUBLIC] == []


def test_messages_name_the_class_that_was_used() -> None:
    class Jobs(cy.Dict[str, int]):
        pass

    ns = cy.Namespace()
    calls: dict[str, Callable[[], Any]] = {
        "Dict.edit() missing 1 required positional argument: 'key'": lambda: cy.Dict().edit(),  # type: ignore[call-arg]
        "Dict.get() missing 1 required positional argument: 'key'": lambda: Jobs().get(),  # type: ignore[call-overload]
        "Counter.mutate() missing 2 required positional arguments: 'key' and 'fn'": (
            lambda: cy.Counter().mutate()  # type: ignore[call-arg]
        ),
        "Deque.insert() takes 2 positional arguments but 3 were given": (
            lambda: cy.Deque().insert(1, 2, 3)  # type: ignore[call-arg]
        ),
        "List.extend() takes 2 positional arguments but 3 were given": (
            lambda: cy.List().extend([], 2)  # type: ignore[call-arg]
        ),
        "Namespace.increment() missing 1 required positional argument: 'key'": (
            lambda: cy.increment(ns)
        ),
        "List.named() missing 1 required positional argument: 'name'": lambda: cy.List.named(),  # type: ignore[call-arg]
        "Manager.Lock() takes 1 positional argument but 2 were given": (
            lambda: drop_in.Manager().Lock(1)  # type: ignore[call-arg]
        ),
        "Space.Lock() takes 1 positional argument but 2 were given": lambda: cy.Space().Lock(1),  # type: ignore[call-arg]
        "DefaultContext.Lock() takes 1 positional argument but 2 were given": (
            lambda: drop_in.Lock(1)  # type: ignore[call-arg]
        ),
        "Event.wait() got an unexpected keyword argument 'x'": lambda: drop_in.Event().wait(x=1),  # type: ignore[call-arg]
        "edit() is for one value: expected an index, found a slice": (
            lambda: cy.List([1]).edit(slice(1))  # type: ignore[arg-type]
        ),
    }
    for message, call in calls.items():
        with pytest.raises(TypeError) as raised:
            call()
        assert str(raised.value) == message


def made_in(space: cy.Space, name: str) -> Callable[[], Any]:
    arguments: dict[str, tuple[Any, ...]] = {
        **dict.fromkeys(("Value", "RawValue", "Array", "RawArray"), ("i", 1)),
        "Barrier": (1,),
    }
    return lambda: getattr(cy, name)(*arguments.get(name, ()), space=space)


@pytest.mark.parametrize(
    "name",
    [name for name in cy.__all__ if hasattr(getattr(cy, name), "named") and name != "Space"],
)
def test_a_constructor_that_is_given_a_space_says_what_takes_it(name: str) -> None:
    with cy.Space() as space:
        with pytest.raises(TypeError) as raised:
            made_in(space, name)()
        said = str(raised.value)
        assert said.startswith(f"{name}() takes no space: space.") and re.search(
            rf" makes an? {name}", said
        )
        assert not re.search(r"\ba [AEIOU]|\ban [^AEIOUR]", said)
        hint = said.partition(": ")[2]
        if hint.startswith("space.named"):
            assert not hasattr(space, name) and f"courtyard.{name}" in hint
        else:
            assert hasattr(space, hint.removeprefix("space.").partition("(")[0])
            assert hint.endswith(f", {name}.named(name, ..., space=space) one with a name")
        assert space.statistics().objects == 0


@pytest.mark.parametrize("name", ["Dict", "NestedDict", "Counter", "Namespace"])
def test_a_key_may_be_called_space(name: str) -> None:
    with cy.Space() as space:
        found = getattr(cy, name)(space=1)
        assert (found.space if name == "Namespace" else found["space"]) == 1
        kind = getattr(cy, name)
        with pytest.raises(TypeError, match=rf"^{name}\(\) takes no space: space\."):
            kind(a=1, space=space)
        made = kind.named("x", a=1, space=space)
        assert cy.space(made) == space if name == "Namespace" else made.space == space


def test_a_subclass_that_is_given_a_space_is_told_of_its_type() -> None:
    class Jobs(cy.PriorityQueue[int]):
        def __init__(self, place: cy.Space) -> None:
            super().__init__(space=place)

    for make in (lambda: cy.Queue(3, space=1), lambda: Jobs(cy.Space())):  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"Queue\(\) takes no space: space\."):
            make()
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'size'$"):
        cy.Queue(size=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["Queue", "Value", "RawArray", "Lock", "Barrier", "Condition"])
def test_help_shows_the_arguments_of_a_constructor(name: str) -> None:
    shown = inspect.signature(getattr(cy, name))
    assert "keywords" not in shown.parameters and "space" not in shown.parameters
    assert name == "Lock" or shown.parameters


def test_errors_of_the_users_code_stay_as_they_are() -> None:
    def refuse(*_: Any) -> Any:
        raise TypeError("Map.mutate() is what the function says")

    with pytest.raises(TypeError, match=r"^Map.mutate\(\) is what the function says$") as raised:
        cy.Dict(a=1).mutate("a", refuse)
    assert raised.traceback[-1].name == "refuse"
    try:
        try:
            raise KeyError("first")
        except KeyError:
            cy.Dict(a=1).edit()  # type: ignore[call-arg]
    except TypeError as error:
        assert isinstance(error.__context__, KeyError)


def test_inherited_functions_pickle_by_their_public_name() -> None:
    for function in (cy.List.extend, cy.Deque.extend, cy.Dict.edit, cy.Value.exchange):
        assert pickle.loads(pickle.dumps(function)) == function
    assert cy.List.extend.__qualname__ == "List.extend"
    assert cy.List.extend.__doc__ and cy.List.insert.__doc__


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cy.Counter, "pop"), (cy.JoinableQueue, "clear"), (cy.NestedDict, "edit")],
    ids=["Counter", "JoinableQueue", "NestedDict"],
)
def test_a_class_between_two_does_not_lend_its_name(cls: Any, name: str) -> None:
    """In any order: it was named after the other in every second process or so."""
    assert getattr(cls, name).__qualname__ == f"{cls.__name__}.{name}"
    assert name in vars(cls)
