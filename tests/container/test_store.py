"""What containers mean is written over a protocol: they do the same in a store of builtins."""

import collections
import inspect
from typing import TYPE_CHECKING, Any

import pytest

import courtyard as cy
from courtyard import NotMade, _native
from courtyard._public import in_store
from tests.container import test_counter, test_deque, test_dict, test_list, test_set
from tests.support import builtin, store

PLAIN = {
    store.Dict: dict,
    store.NestedDict: dict,
    store.Counter: collections.Counter,
    store.Set: set,
    store.List: list,
    store.Deque: collections.deque,
}
PUBLIC = ["Dict", "NestedDict", "Counter", "Namespace", "Set", "List", "Deque"]

if TYPE_CHECKING:  # what checkers see of it: the native classes provide the protocols
    from courtyard._container.store import DequeStore, KeyStore, ListStore, MappingStore

    keys: type[KeyStore[Any]] = _native.Table
    mapping: type[MappingStore[Any, Any]] = _native.Dict
    row: type[ListStore[Any]] = _native.List
    ends: type[DequeStore[Any]] = _native.Deque


@pytest.fixture(autouse=True)
def compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "BUILTINS", {**builtin.BUILTINS, **PLAIN})


def test_a_dict() -> None:
    content = {"a": 1, "b": 2.5, 2: None}
    builtin.compare(store.Dict(content), content, test_dict.READS)
    builtin.compare(store.Dict(), {}, test_dict.CHANGES)
    for size in (5, 100):
        full = {n: n for n in range(size)}
        builtin.compare(store.Dict(full), full, [*test_dict.READS, *test_dict.CHANGES])


def test_a_set() -> None:
    builtin.compare(store.Set(), set(), test_set.CHANGES)
    for other in ({1, 2, "z"}, frozenset([1]), [1, "z"], {"a": 1}, 5, range(3)):
        begun: list[Any] = [[], [1, 2, "a"], range(100)]
        for initial in begun:
            for methods in (test_set.METHODS, test_set.UPDATES):
                operations = [test_set.place(name, other) for name in methods]
                builtin.compare(store.Set(initial), set(initial), operations)


def test_stores_meet() -> None:
    """Sets, dicts and lists of two stores are compared and joined as plain ones."""
    ours, theirs = cy.Set([1, 2, 3]), store.Set([3, 4])
    assert (ours | theirs, ours & theirs, theirs - ours) == ({1, 2, 3, 4}, {3}, {4})
    assert ours != theirs and theirs == cy.Set([4, 3]) and theirs <= store.Set(range(9))
    assert cy.Dict(a=1) == store.Dict(a=1) and store.Dict(a=1) | cy.Dict(b=2) == {"a": 1, "b": 2}
    assert cy.List([1]) == store.List([1]) and store.List([1]) + cy.List([2]) == [1, 2]
    ours.update(theirs)
    assert len(ours) == 4


def test_a_counter() -> None:
    counted: list[Any] = ["", "abracadabra", {"a": -2, "b": 0, "c": 1.5}]
    for initial in counted:
        theirs: Any = collections.Counter(initial)
        builtin.compare(store.Counter(initial), theirs, test_counter.OPERATIONS)
    counts = store.Counter("aab")
    assert isinstance(counts, store.Dict) and isinstance(counts, cy.Counter)
    assert counts.most_common(1) == [("a", 2)]


def test_a_list() -> None:
    for initial in ([1, 2, 3], [], list(range(100))):
        builtin.compare(store.List(initial), list(initial), test_list.READS)
        builtin.compare(store.List(initial), list(initial), test_list.CHANGES)


@pytest.mark.parametrize("maxlen", [None, 0, 3])
def test_a_deque(maxlen: int | None) -> None:
    begun: list[Any] = [[], range(10)]
    for initial in begun:
        theirs = collections.deque(initial, maxlen)
        builtin.compare(store.Deque(initial, maxlen), theirs, test_deque.OPERATIONS)


def test_a_nested_dict() -> None:
    d = store.NestedDict(a={"n": 1}, l=[1, {"x": 2}])
    d["a"]["n"] += 1
    d["a"]["more"] = {"deep": []}
    d["a"]["more"]["deep"].append({"y": 1})
    d["l"].insert(0, [5])
    assert type(d["a"]["more"]) is store.NestedDict and isinstance(d["l"], store.List)
    assert d["a"].increment("n") == 3
    plain = {"a": {"n": 3, "more": {"deep": [{"y": 1}]}}, "l": [[5], 1, {"x": 2}]}
    assert d == plain
    found = d.to_plain()
    assert found == plain and type(found["a"]) is dict and type(found["l"]) is list


def test_a_namespace() -> None:
    n = store.Namespace(x=1, name="mine")
    n.y = [2]
    assert (n.x, n.y, n.name, dir(n)) == (1, [2], "mine", ["name", "x", "y"])
    assert repr(n) == "Namespace(x=1, name='mine', y=[2])"
    del n.x
    assert not hasattr(n, "x") and n == store.Namespace(name="mine", y=[2])


@pytest.mark.parametrize("name", PUBLIC)
def test_an_object_of_another_store_is_one_of_the_public_class(name: str) -> None:
    public, cls = getattr(cy, name), getattr(store, name)
    made = cls()
    assert isinstance(made, public) and issubclass(cls, public)
    assert not isinstance(public(), cls)
    if name != "Namespace":
        assert repr(made).startswith(f"<courtyard.{name}: ")


def test_what_a_programs_class_overrides_holds_in_another_store() -> None:
    class Shouting(cy.Dict[str, str]):
        def __setitem__(self, key: str, value: str) -> None:
            super().__setitem__(key, value.upper())

        def loudest(self) -> str:
            return max(self.values(), key=len)

    for cls in (Shouting, in_store(Shouting, store.Dict)):
        d = cls()
        d["a"] = "hello"
        d.update(b="hi")
        assert isinstance(d, Shouting) and d.copy() == {"a": "HELLO", "b": "HI"}
        assert d.loudest() == "HELLO"


def test_what_a_store_forgets_is_no_object() -> None:
    """It raises, and never touches shared memory."""
    forgetful = store.local("Dict", store.Local, cy.Dict)
    forgetful._builtin = dict
    d = forgetful()
    for use in (lambda: d["a"], lambda: d.increment("a"), d.copy, lambda: "a" in d):
        with pytest.raises(NotMade):
            use()


def test_calls_of_one_key_go_straight_to_the_native_class() -> None:
    """No function of Python's stands between: what a call costs is the engine's."""
    hot = {
        cy.Dict: ["__getitem__", "__setitem__", "__delitem__", "__contains__", "get", "pop"],
        cy.List: ["__getitem__", "__setitem__", "append", "pop"],
        cy.Deque: ["append", "appendleft", "pop", "popleft"],
        cy.Queue: ["put", "get", "put_nowait", "get_nowait", "qsize"],
        cy.Value: ["get", "set", "increment", "value"],
        cy.Array: ["__getitem__", "__setitem__"],
        cy.Lock: ["acquire", "release", "__enter__", "__exit__"],
        cy.Event: ["set", "is_set"],
    }
    for cls, names in hot.items():
        assert not [name for name in names if inspect.isfunction(getattr(cls, name))], cls
        assert type(cls) is type, "a metaclass would be asked at each isinstance()"
