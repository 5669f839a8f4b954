"""What a signal handler raises while a value is loaded comes through as it is; nothing is lost."""

import functools
import pickle
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import courtyard as cy


class Late(Exception):
    """What the handlers raise."""


class Slow:
    """A signal comes while it is loaded, if this is to be."""

    comes = False

    def __getstate__(self) -> int:
        return 1

    def __setstate__(self, state: object) -> None:
        if Slow.comes:
            signal.raise_signal(signal.SIGUSR1)
        self.loaded = True

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slow)


def plain(signum: int, frame: Any) -> None:
    raise Late


def once(signum: int, frame: Any) -> None:
    signal.signal(signum, signal.SIG_DFL)
    raise Late


def any_arguments(*arguments: Any) -> None:
    raise Late


def through(signum: int, frame: Any) -> None:
    plain(signum, None)


def captured(signum: int, frame: Any) -> None:
    def inner() -> None:
        raise Late(frame.f_lineno)

    inner()


class Handler:
    def method(self, signum: int, frame: Any) -> None:
        raise Late

    def __call__(self, signum: int, frame: Any) -> None:
        raise Late


HANDLERS: list[Any] = [
    plain,
    once,
    any_arguments,
    through,
    captured,
    Handler().method,
    Handler(),
    functools.partial(lambda _more, signum, frame: plain(signum, frame), "more"),
]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    Slow.comes = False
    signal.signal(signal.SIGUSR1, before)


def interrupted(handler: Any, call: Callable[[], Any]) -> None:
    """Call it twice: the first time the handler raises."""
    signal.signal(signal.SIGUSR1, handler)
    Slow.comes = True
    with pytest.raises(Late):
        call()
    Slow.comes = False


@pytest.mark.parametrize("handler", HANDLERS)
def test_handlers_of_all_kinds(handler: Any) -> None:
    d = cy.Dict(a=Slow())
    interrupted(handler, lambda: d["a"])
    assert d["a"].loaded


def test_ctrl_c() -> None:
    d = cy.Dict(a=Slow())
    signal.signal(signal.SIGUSR1, signal.default_int_handler)
    Slow.comes = True
    with pytest.raises(KeyboardInterrupt):
        _ = d["a"]


def filled(q: Any) -> Any:
    q.put(Slow())
    return q


def entered(q: Any) -> Any:
    with q.lease() as item:
        return item


CALLS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "Dict.get": (lambda: cy.Dict(a=Slow()), lambda d: d.get("a")),
    "Dict.pop": (lambda: cy.Dict(a=Slow()), lambda d: d.pop("a")),
    "Dict.items": (lambda: cy.Dict(a=Slow()), lambda d: list(d.items())),
    "Dict.mutate": (lambda: cy.Dict(a=Slow()), lambda d: d.mutate("a", lambda x: x)),
    "repr": (lambda: cy.Dict(a=Slow()), repr),
    "key": (lambda: cy.Set([Slow()]), list),
    "Namespace": (lambda: cy.Namespace(a=Slow()), lambda ns: ns.a),
    "List": (lambda: cy.List([Slow()]), lambda x: x[0]),
    "List.pop": (lambda: cy.List([Slow()]), lambda x: x.pop()),
    "Deque": (lambda: cy.Deque([Slow()]), lambda x: x.popleft()),
    "Value": (lambda: cy.Value(object, Slow()), lambda v: v.value),
    "nested": (lambda: cy.NestedDict(a={"b": Slow()}), lambda d: d["a"]["b"]),
    "Queue.get": (lambda: filled(cy.Queue()), lambda q: q.get_nowait()),
    "LifoQueue.get": (lambda: filled(cy.LifoQueue()), lambda q: q.get_nowait()),
    "PriorityQueue.get": (lambda: filled(cy.PriorityQueue()), lambda q: q.get_nowait()),
    "Queue.get_many": (lambda: filled(cy.Queue()), lambda q: q.get_many(3)),
    "Queue.peek": (lambda: filled(cy.Queue()), lambda q: q.peek()),
    "Queue.lease": (lambda: filled(cy.Queue()), entered),
}


@pytest.mark.parametrize("name", CALLS)
def test_it_comes_through_and_nothing_is_lost(name: str) -> None:
    make, call = CALLS[name]
    obj = make()
    interrupted(plain, lambda: call(obj))
    assert call(obj) is not None


def test_an_error_of_the_class_is_a_load_error_still() -> None:
    class Odd:
        def __reduce__(self) -> Any:
            return divide, (signal.SIGUSR1, 0)

    d = cy.Dict(a=Odd())
    signal.signal(signal.SIGUSR1, plain)
    with pytest.raises(cy.LoadError) as raised:
        _ = d["a"]
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert isinstance(raised.value, pickle.UnpicklingError)


def divide(signum: int, frame: int) -> float:
    return signum / frame
