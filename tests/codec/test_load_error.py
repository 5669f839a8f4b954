"""``LoadError``: which value of which object, what class; and reprs that show a placeholder."""

import copy
import enum
import gc
import importlib
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import run_script


class Picky(Exception):
    """Pickles, but does not load, as errors of clients of services often do."""

    def __init__(self, a: int, *, b: int) -> None:
        super().__init__(a)


class Moved:
    """One whose class is gone when it is loaded."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moved)

    def __hash__(self) -> int:
        return 1


class Outer:
    def __init__(self, inner: object) -> None:
        self.inner = inner


class Stateful:
    def __getstate__(self) -> int:
        return 1

    def __setstate__(self, state: object) -> None:
        raise raises


raises: BaseException = RuntimeError("no state")
CLASS = Moved


@pytest.fixture
def _gone(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what to call when all is stored: from then on the class cannot be found."""
    return lambda: monkeypatch.delattr(sys.modules[__name__], "Moved")


def table(value: Any) -> Any:
    d: Any = cy.Dict(first=1)
    d["key"] = value
    return d


def keyed() -> Any:
    d: Any = cy.Dict()
    d[CLASS()] = 1
    return d


def queue(cls: Any, value: Any) -> Any:
    q = cls()
    q.put(value)
    return q


def namespace() -> Any:
    return cy.Namespace(a=CLASS())


def nested() -> Any:
    d: Any = cy.NestedDict()
    d["in"] = {"k": [1, CLASS()]}
    return d


PLACES: list[tuple[Callable[[], Any], Callable[[Any], Any], str]] = [
    (lambda: table(CLASS()), lambda d: d["key"], "the value of key 'key' of Dict"),
    (lambda: table([CLASS()]), lambda d: d.get("key"), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: d.pop("key"), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: d.popitem(), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: list(d.items()), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: list(d.values()), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: d == {"first": 1, "key": 2}, "the value of key 'key' of"),
    (lambda: table(CLASS()), lambda d: dict(d), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: d.copy(), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: copy.deepcopy(d), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: d.mutate("key", str), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: d.increment("key"), "the value of key 'key' of Dict"),
    (lambda: table(CLASS()), lambda d: d.setdefault("key", 1), "the value of key 'key' of Dict"),
    (
        lambda: table(CLASS()),
        lambda d: d.compare_exchange("key", 1, 2),
        "the value of key 'key' of Dict",
    ),
    (keyed, list, "a key of Dict"),
    (keyed, lambda d: d.popitem(), "a key of Dict"),
    (keyed, lambda d: d.items() == 1 or d.copy(), "a key of Dict"),
    (lambda: cy.Set([(1, CLASS())]), list, "a key of Set"),
    (lambda: cy.Set([(1, CLASS())]), lambda s: s.pop(), "a key of Set"),
    (nested, lambda d: d.to_plain(), "the value at index 1 of NestedList"),
    (lambda: cy.Counter({CLASS(): 2}), lambda c: c.most_common(), "a key of Counter"),
    (namespace, lambda n: n.a, "the value of key 'a' of Namespace"),
    (lambda: cy.List([1, CLASS()]), lambda x: x[1], "the value at index 1 of List"),
    (lambda: cy.List([1, CLASS()]), lambda x: x[-1], "the value at index -1 of List"),
    (lambda: cy.List([1, CLASS()]), lambda x: x[::-1], "the value at index 1 of List"),
    (lambda: cy.List([1, 2, CLASS()]), lambda x: x[1:], "the value at index 2 of List"),
    (lambda: cy.List([1, CLASS()]), lambda x: x.pop(), "the value at index -1 of List"),
    (lambda: cy.List([1, CLASS()]), list, "the value at index 1 of List"),
    (lambda: cy.List([1, CLASS()]), lambda x: x.index(5), "the value at index 1 of List"),
    (lambda: cy.Deque([1, CLASS()]), lambda x: x.pop(), "the value at index -1 of Deque"),
    (lambda: cy.Deque([CLASS(), 1]), lambda x: x.popleft(), "the value at index 0 of Deque"),
    (lambda: cy.Deque([1, CLASS()]), list, "the value at index 1 of Deque"),
    (lambda: cy.Value(object, CLASS()), lambda v: v.value, "the value of a Value"),
    (lambda: cy.Value(object, CLASS()), lambda v: v.exchange(1), "the value of a Value"),
    *(
        (lambda cls=cls: queue(cls, CLASS()), call, f"{what} of {cls.__name__}")
        for cls in (cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.SimpleQueue)
        for call, what in (
            (lambda q: q.get(), "the first item"),
            (lambda q: q.get_nowait(), "the first item"),
            (lambda q: q.get(timeout=5), "the first item"),
            (lambda q: q.get_many(3), "item 0"),
            (lambda q: q.lease().__enter__(), "the leased item"),
        )
    ),
]


@pytest.mark.parametrize(("make", "call", "place"), PLACES)
def test_says_where(
    make: Callable[[], Any], call: Callable[[Any], Any], place: str, _gone: Any
) -> None:
    found = make()
    _gone()
    with pytest.raises(cy.LoadError) as caught:
        call(found)
    error = caught.value
    assert f"cannot load {place}" in str(error)
    assert f"{__name__}.Moved cannot be found in this process" in str(error)
    assert ("can still drop(), move() or requeue() it" in str(error)) == ("item" in place)
    assert error.class_name == f"{__name__}.Moved"
    assert isinstance(error.__cause__, AttributeError)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.class_name == error.class_name


def test_what_it_is() -> None:
    d = table(Picky(1, b=2))
    for known in (cy.CourtyardError, pickle.UnpicklingError, cy.LoadError):
        with pytest.raises(known):
            d["key"]
    assert cy.LoadError.__module__ == "courtyard"
    assert "LoadError" in cy.__all__


def test_name_of_the_object() -> None:
    with cy.Space() as space:
        named = cy.Dict.named("sessions", space=space)
        named["k"] = Picky(1, b=2)
        with pytest.raises(
            cy.LoadError, match=r"of key 'k' of Dict \"sessions\": .*Picky cannot be"
        ):
            named["k"]
        value = cy.Value.named("v", object, Picky(1, b=2), space=space)
        with pytest.raises(cy.LoadError, match=r"the value of Value \"v\": "):
            value.get()


def test_item_of_many(_gone: Any) -> None:
    q = cy.Queue()
    q.put_many([1, "two", CLASS(), 4])
    _gone()
    with pytest.raises(cy.LoadError, match="cannot load item 2 of Queue"):
        q.get_many(4)
    assert q.qsize() == 4


def test_module_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shortlived_module.py").write_text("class Job:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    shortlived_module = importlib.import_module("shortlived_module")

    d = table([Outer(shortlived_module.Job())])
    (tmp_path / "shortlived_module.py").unlink()
    del sys.modules["shortlived_module"]
    with pytest.raises(cy.LoadError, match=r"shortlived_module\.Job cannot be found") as caught:
        d["key"]
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert "<cannot load: shortlived_module.Job>" in repr(d)


def test_class_that_fails() -> None:
    """The one that fails is named, not the one around it."""
    for value, name in (
        ([Outer(Picky(1, b=2))], "Picky"),
        ({"a": Outer(1), "b": Stateful()}, "Stateful"),
    ):
        d = table(value)
        with pytest.raises(cy.LoadError, match=rf"\.{name} cannot be built"):
            d["key"]
        assert (
            repr(d) == f"<courtyard.Dict: {{'first': 1, 'key': <cannot load: {__name__}.{name}>}}>"
        )


def test_long_key_is_cut() -> None:
    d: Any = cy.Dict()
    d["x" * 1000] = Picky(1, b=2)
    with pytest.raises(cy.LoadError) as caught:
        d["x" * 1000]
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), GeneratorExit(), cy.CorruptError("x"), cy.Closed("y"), cy.SpaceFull("z")],
)
def test_what_stays_as_it_is(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "raises", error)
    d, x = table(Stateful()), cy.List([Stateful()])
    for call in (lambda: d["key"], lambda: list(d.items()), lambda: x[0], lambda: x.pop()):
        with pytest.raises(type(error)) as caught:
            call()
        assert caught.value is error


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (MemoryError(), MemoryError),
        (ModuleNotFoundError("m"), ImportError),
        (SystemExit(3), None),
        (AttributeError("a"), None),
    ],
    ids=lambda each: type(each).__name__,
)
def test_it_is_also_what_a_caller_catches(
    error: BaseException, also: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "raises", error)
    with pytest.raises(cy.LoadError) as caught:
        _ = cy.Namespace(x=Stateful()).x
    found = caught.value
    assert found.__cause__ is error and found.class_name == f"{__name__}.Stateful"
    said = f"cannot load the value of key 'x' of Namespace: {__name__}.Stateful cannot be built: "
    assert str(found).startswith(said + type(error).__name__)
    for each in (found, copy.copy(found), pickle.loads(pickle.dumps(found))):
        assert [isinstance(each, kind) for kind in (MemoryError, ImportError)] == [
            also is MemoryError,
            also is ImportError,
        ]
        assert isinstance(each, cy.LoadError) and isinstance(each, pickle.UnpicklingError)
        assert not isinstance(each, AttributeError | SystemExit)  # hasattr() would hide it; it ends
        assert str(each) == str(found) and each.class_name == found.class_name
        assert f"{type(each).__module__}.{type(each).__qualname__}" == "courtyard.LoadError"


class Speechless(Exception):
    class_name = 5

    def __str__(self) -> str:
        raise ZeroDivisionError


def test_what_has_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "raises", Speechless())
    d = table(Stateful())
    with pytest.raises(cy.LoadError, match="Speechless: <its __str__ raised ZeroDivisionError>"):
        d["key"]
    assert f"<cannot load: {__name__}.Stateful>" in repr(d)


def test_a_value_for_which_there_is_no_memory() -> None:
    """One that is no pickle, too."""
    done = run_script(NO_MEMORY, limit=50)
    assert done.stdout.splitlines() == [
        "True cannot load the value of key 'k' of Dict: MemoryError",
        "True cannot load the leased item of Queue: MemoryError; the lease can still drop(), "
        "move() or requeue() it",
        "1 0",
    ]


NO_MEMORY = """
import resource, courtyard as cy
size = 64 << 20
d, q = cy.Dict(k=bytes(size)), cy.Queue()
q.put(bytes(size))
try: d["j"]
except KeyError: pass
try: raise cy.LoadError
except cy.LoadError: pass
import courtyard._codec.loading, pickletools
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + size // 2, resource.RLIM_INFINITY))
try: d["k"]
except cy.LoadError as error: print(isinstance(error, MemoryError), error)
lease = q.lease()
try: lease.__enter__()
except cy.LoadError as error: print(isinstance(error, MemoryError), error)
print(lease.attempts, q.qsize())
lease.drop()
"""


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue, cy.PriorityQueue])
def test_an_object_of_another_space_that_is_gone(cls: Any) -> None:
    with cy.Space() as other:
        q = cls()
        for shape in (lambda lock: lock, lambda lock: (1, [lock]), Outer):
            q.put(shape(other.Lock()))
            with pytest.raises(ValueError, match="failed"), q.lease():
                raise ValueError("failed")  # its ticket is taken: nothing keeps the lock any more
            gc.collect()
            for get in (q.get_nowait, lambda: q.get_many(1)):
                with pytest.raises(cy.LoadError, match="gone") as caught:
                    get()
                assert isinstance(caught.value.__cause__, cy.NotFound)
            assert q.qsize() == 1
            lease = q.lease()
            with pytest.raises(cy.LoadError, match="gone"):
                lease.__enter__()
            lease.drop()
            assert (q.qsize(), q.empty()) == (0, True)


def test_lookups_that_fail_are_no_load_errors() -> None:
    """Also once one was raised."""
    d = table(Picky(1, b=2))
    with pytest.raises(cy.LoadError):
        d["key"]
    with pytest.raises(KeyError):
        d["other"]
    with pytest.raises(IndexError):
        cy.List()[0]


def test_one_inside_another() -> None:
    """The inner one says where it was: loading the outer reads another object."""
    global inner
    inner = table(Picky(1, b=2))
    d: Any = cy.Dict(outer=Reader())
    with pytest.raises(cy.LoadError, match="of key 'key' of Dict"):
        d["outer"]
    assert repr(d) == f"<courtyard.Dict: {{'outer': <cannot load: {__name__}.Picky>}}>"


class Reader:
    def __reduce__(self) -> Any:
        return read, ()


inner: Any = None


def read() -> Any:
    return inner["key"]


REPRS: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: table(CLASS()), "<courtyard.Dict: {'first': 1, 'key': $}>", "{'first': 1, 'key': $}"),
    (lambda: table(CLASS()).keys(), "dict_keys(['first', 'key'])", "dict_keys(['first', 'key'])"),
    (lambda: table(CLASS()).values(), "dict_values([1, $])", "dict_values([1, $])"),
    (
        lambda: table(CLASS()).items(),
        "dict_items([('first', 1), ('key', $)])",
        "dict_items([('first', 1), ('key', $)])",
    ),
    (keyed, "<courtyard.Dict: {$: 1}>", "{$: 1}"),
    (lambda: keyed().keys(), "dict_keys([$])", "dict_keys([$])"),
    (lambda: cy.Set([(1, CLASS())]), "<courtyard.Set: {(1, $)}>", "{(1, $)}"),
    (lambda: cy.Counter({CLASS(): 2}), "<courtyard.Counter: Counter({$: 2})>", "Counter({$: 2})"),
    (namespace, "Namespace(a=$)", "Namespace(a=$)"),
    (lambda: cy.List([1, CLASS()]), "<courtyard.List: [1, $]>", "[1, $]"),
    (lambda: cy.Deque([CLASS()]), "<courtyard.Deque: deque([$])>", "deque([$])"),
    (
        lambda: cy.Value(object, CLASS()),
        "<courtyard.Value(object): $>",
        "<courtyard.Value(object): $>",
    ),
    (
        nested,
        "<courtyard.NestedDict: {'in': "
        "<courtyard.NestedDict: {'k': <courtyard.NestedList: [1, $]>}>}>",
        "{'in': <courtyard.NestedDict: {'k': <courtyard.NestedList: [1, $]>}>}",
    ),
]


@pytest.mark.parametrize(("make", "shown", "plain"), REPRS)
def test_repr(make: Callable[[], Any], shown: str, plain: str, _gone: Any) -> None:
    found = make()
    _gone()
    placeholder = f"<cannot load: {__name__}.Moved>"
    assert repr(found) == shown.replace("$", placeholder)
    assert str(found) == f"{found}" == plain.replace("$", placeholder)


@pytest.mark.parametrize(
    "error", [ValueError(), cy.NotFound("x"), MemoryError(), SystemExit(), KeyboardInterrupt()]
)
def test_repr_of_other_errors(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "raises", error)
    x = cy.List([Stateful()])
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(type(error)):
            repr(x)
    else:
        assert repr(x) == f"<courtyard.List: [<cannot load: {__name__}.Stateful>]>"


class Color(enum.Enum):
    RED = 1


def test_repr_of_a_key_that_is_kept_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    d: Any = cy.Dict()
    d[(True, Color.RED)] = 1
    monkeypatch.delattr(sys.modules[__name__], "Color")
    assert repr(d) == f"<courtyard.Dict: {{<cannot load: {__name__}.Color>: 1}}>"
    with pytest.raises(cy.LoadError, match="a key of Dict"):
        list(d)


def test_repr_where_pickle_is_refused(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/refused.cy"
    with cy.Space(url) as space:
        d: Any = cy.Dict.named("d", space=space)
        d["k"] = Outer(1)
    code = (
        "import courtyard as cy\n"
        f"with cy.Space({url!r}, pickle=False) as space:\n"
        "    d = space['d']\n"
        "    print(d)\n"
        "    try: d['k']\n"
        "    except cy.NotTrusted: print('refused')\n"
    )
    done = run_script(code)
    assert done.stdout == f"{{'k': <cannot load: {__name__}.Outer>}}\nrefused\n", done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_in_another_process(method: str, tmp_path: Path) -> None:
    """A class of the main script that the child does not define."""
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "import courtyard as cy\n"
        "if __name__ == '__main__':\n"
        "    class Job: pass\n"
        "def child(d):\n"
        "    if 'fork' == sys.argv[1]: del globals()['Job']\n"
        "    print(d, flush=True)\n"
        "    try: d['k']\n"
        "    except cy.LoadError as error: print(error.class_name.rpartition('.')[2], flush=True)\n"
        "if __name__ == '__main__':\n"
        "    d = cy.Dict(k=Job())\n"
        "    c = multiprocessing.get_context(sys.argv[1])\n"
        "    p = c.Process(target=child, args=(d,)); p.start(); p.join()\n"
    )
    done = run_script(script, method, limit=50, env={"PYTHONWARNINGS": "ignore"})
    assert done.stdout == "{'k': <cannot load: __main__.Job>}\nJob\n", done.stderr


def test_import_stays_light() -> None:
    code = "import sys, courtyard; print('_pickle' in sys.modules, 'pickletools' in sys.modules)"
    done = run_script(code)
    assert done.stdout == "False False\n"


@pytest.mark.parametrize("cls", [cy.List, cy.Deque])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("far", [0, 200])
def test_who_finds_a_value_needs_not_load_what_comes_behind(
    cls: Any, nested: bool, far: int, _gone: Any
) -> None:
    moved: Any = [1, CLASS()] if nested else CLASS()
    x = cls([*range(far), "a", moved, "b"])
    _gone()
    assert "a" in x
    assert x.index("a") == far
    assert x.index("b", far + 2) == far + 2
    assert x.index("b", -1) == far + 2
    place = rf"the value at index {far + 1} of {cls.__name__}: .*Moved cannot be found"
    wanted = [1, 2] if nested else "b"  # what differs in its length is not compared
    for call in (
        lambda: wanted in x,
        lambda: x.index(wanted),
        lambda: x.remove(wanted),
        lambda: x.count("a"),
    ):
        with pytest.raises(cy.LoadError, match=place):
            call()
    x.remove("a")
    assert len(x) == far + 2
    with pytest.raises(cy.LoadError, match=rf"index {far} of"):
        x.remove(wanted)
    assert len(x) == far + 2


def test_a_view_finds_a_value_before_it(_gone: Any) -> None:
    d = cy.Dict(a=1, b=CLASS())
    _gone()
    assert 1 in d.values()
    assert ("a", 1) in d.items()
    with pytest.raises(cy.LoadError):
        2 in d.values()  # noqa: B015
    s = cy.Set([1, (2, CLASS.__name__)])
    assert 1 in s


DECLARED = """
import ctypes, sys
import courtyard as cy
sys.path.insert(0, sys.argv[1])
import shop
with cy.Space(sys.argv[2]) as space:
    cy.Value.named("order", shop.Order, shop.Order(), space=space)
    cy.Value.named("point", shop.Point, space=space)
    cy.Array.named("points", shop.Point, 3, space=space)
    cy.Value.named("n", "i", 5, space=space)
"""
SHOP = """
import ctypes
class Order:
    pass
class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int)]
"""


RECEIVED = """
import copy, pickle, sys
import courtyard as cy
sys.path.insert(0, sys.argv[1])
order = pickle.loads(bytes.fromhex(sys.argv[2]))
import shop
assert type(order.get()) is shop.Order and type(copy.copy(order).get()) is shop.Order
print(order._title())
"""


def test_what_was_declared_as_a_class_that_is_not_here(tmp_path: Path) -> None:
    """It fails alone, and says of which object."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "shop.py").write_text(SHOP)
    url = (tmp_path / "space").as_uri()
    run_script(DECLARED, str(tmp_path / "m"), url)
    with cy.Space(url) as space:
        why = r"shop\.{} cannot be found in this process: ModuleNotFoundError"
        for name, title, place in (
            ("point", "Value", "the value"),
            ("points", "Array", "the elements"),
        ):
            said = rf'cannot load {place} of {title} "{name}": ' + why.format("Point")
            with pytest.raises(cy.LoadError, match=said) as raised:
                space[name]
            assert raised.value.class_name == "shop.Point"
            with pytest.raises(cy.LoadError, match=said):
                getattr(cy, title).named(name, space=space)
        for order in (space["order"], cy.Value.named("order", space=space)):
            shown = "<cannot load: shop.Order>"
            assert repr(order) == f"<courtyard.Value(Order) 'order': {shown}>"
            with pytest.raises(cy.LoadError, match=f'of Value "order": {why.format("Order")}'):
                order.get()
        # A handle is of the class, too, in a process that finds it.
        sent = pickle.dumps(space["order"]).hex()
        assert run_script(RECEIVED, str(tmp_path / "m"), sent).stdout == "Value(Order)\n"
        found = dict(space.items())
        assert [*found] == ["n", "order", "point", "points"]
        assert found["n"].value == 5
        assert (
            repr([*space.values()][2:]) == "[<cannot load: shop.Point>, <cannot load: shop.Point>]"
        )
        space.destroy()
