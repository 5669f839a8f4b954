"""Values and locks among processes, by whatever way these came to be."""

import concurrent.futures
import ctypes
import gc
import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import die_with_parent, join, run_script, start

Value: Any = cy.Value
RawValue: Any = cy.RawValue


class Place(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("title", ctypes.c_char * 8)]


def one_of_each() -> dict[str, Any]:
    return {
        "word": Value("i", 1),
        "raw": RawValue("d", 0.5),
        "exact": Value(int, 2**40),
        "text": Value(ctypes.c_char * 10, b"text"),
        "array": Value(ctypes.c_int * 3, 1, 2, 3),
        "matrix": Value((ctypes.c_int * 2) * 2),
        "place": Value(Place, 4, b"here"),
        "object": Value(object, {"a": [1, 2]}),
        "large": RawValue(object, "x" * 100_000),
        "swapped": Value(ctypes.c_int.__ctype_be__, 9),
        "lock": cy.Lock(),
    }


def use(objects: dict[str, Any]) -> None:
    assert objects["word"].increment(4) == 5
    assert objects["raw"].increment() == 1.5
    assert objects["exact"].increment() == 2**40 + 1
    assert objects["text"].exchange(b"other") == b"text"
    objects["array"][1] = 7
    objects["matrix"][1][0] = 8
    place = objects["place"]
    assert (place.x, place.title) == (4, b"here")
    place.title = b"there"
    assert objects["object"].exchange(["b"]) == {"a": [1, 2]}
    assert objects["large"].exchange("y" * 200_000) == "x" * 100_000
    assert objects["swapped"].exchange(10) == 9
    objects["lock"].acquire()


def assert_used(objects: dict[str, Any]) -> None:
    assert objects["word"].value == 5
    assert objects["raw"].value == 1.5
    assert objects["exact"].value == 2**40 + 1
    assert objects["text"].value == b"other"
    assert objects["array"][:] == [1, 7, 3]
    assert objects["matrix"][1][0] == 8
    assert (objects["place"].x, objects["place"].title) == (4, b"there")
    assert objects["object"].value == ["b"]
    assert objects["large"].value == "y" * 200_000
    assert objects["swapped"].value == 10
    assert objects["lock"].acquire(timeout=20) and objects["lock"].recovered
    objects["word"].check()


def test_as_arguments_of_a_process(ctx: BaseContext) -> None:
    objects = one_of_each()
    join(start(ctx, use, objects))
    assert_used(objects)


def test_through_a_pipe_and_a_queue(ctx: BaseContext) -> None:
    objects = one_of_each()
    ours, theirs = ctx.Pipe()
    queue: Any = ctx.Queue()
    child = start(ctx, use_sent, theirs, queue)
    ours.send(objects)
    assert ours.recv() == "used"
    returned = queue.get(timeout=30)
    assert returned["lock"].locked()
    ours.send("seen")
    join(child)
    queue.close()
    assert_used(objects)
    returned["lock"].release()
    returned["object"].value = "by another handle"
    assert objects["object"].value == "by another handle"


def use_sent(pipe: Any, queue: Any) -> None:
    objects = pipe.recv()
    use(objects)
    pipe.send("used")
    queue.put(objects)
    assert pipe.recv() == "seen"


def increment(value: Any) -> Any:
    value.increment()
    return value


def test_through_a_pool(ctx: BaseContext) -> None:
    values = [Value("i", number) for number in range(20)]
    with ctx.Pool(2, initializer=die_with_parent) as pool:
        returned = pool.map(increment, values)
        assert [value.value for value in returned] == list(range(1, 21))
        assert [value.value for value in values] == list(range(1, 21))
        values[0].value = 100
        assert returned[0].value == 100
        assert pool.apply(increment, (values[0],)).value == 101
        assert values[0].value == 101


kept: Any = None


def keep(value: Any) -> None:
    global kept
    die_with_parent()
    kept = value


def increment_kept(n: int) -> int:
    return int(kept.increment(n))


def new_value(n: int) -> Any:
    """Return a worker's own value, which only the result holds on to."""
    value = Value("i", n)
    return [value, value]


def test_through_an_executor(ctx: BaseContext) -> None:
    value = Value("q")
    with concurrent.futures.ProcessPoolExecutor(
        2, mp_context=ctx, initializer=keep, initargs=(value,)
    ) as executor:
        list(executor.map(increment_kept, range(50)))
        assert value.value == sum(range(50))
        assert executor.submit(increment, value).result(30).value == value.value
        for number in range(5):
            one, same = executor.submit(new_value, number).result(30)
            assert one.increment() == number + 1
            assert same.value == number + 1


def test_a_childs_value_outlives_it(ctx: BaseContext) -> None:
    ours, theirs = ctx.Pipe()
    child = start(ctx, send_new, theirs)
    value, lock, text = ours.recv()
    join(child)
    assert value.increment() == 8
    assert text.value == "from a child"
    assert lock.acquire(timeout=20)


def send_new(pipe: Any) -> None:
    value = Value("i", 7)
    pipe.send([value, cy.Lock(), Value(object, "from a child")])


def test_a_childs_value_that_is_read_after_its_death(ctx: BaseContext) -> None:
    """The pickle lies in the pipe when its sender is gone, and with it its whole space."""
    ours, theirs = ctx.Pipe()
    join(start(ctx, send_new, theirs))
    value, lock, text = ours.recv()
    assert (value.value, text.value) == (7, "from a child")
    assert lock.acquire(False)


def test_children_of_one_child(ctx: BaseContext) -> None:
    value = Value("i")
    join(start_with_children(ctx, value))
    assert value.value == 7
    assert value.increment() == 8


def start_with_children(ctx: BaseContext, value: Any) -> Any:
    process = ctx.Process(  # type: ignore[attr-defined]
        target=count_and_fork, args=(ctx.get_start_method(), value, 2)
    )
    process.start()
    return process


def count_and_fork(method: str, value: Any, depth: int) -> None:
    die_with_parent()
    context: Any = multiprocessing.get_context(method)
    value.increment()
    if depth:
        children = [
            context.Process(target=count_and_fork, args=(method, value, depth - 1))
            for _ in range(2)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0


def increment_when(value: Any, go: Any) -> None:
    assert go.wait_for(1, 30)
    assert value.increment() == 6
    value.check()


@pytest.mark.usefixtures("own_home")
def test_start_and_del(ctx: BaseContext) -> None:
    """The parent's handle goes before the child looks at its own."""
    go, probe = Value("i"), Value("i")
    value = Value("i", 5)
    objects = count_objects(probe)
    child = start(ctx, increment_when, value, go)
    child._args = ()  # type: ignore[attr-defined]
    del value
    gc.collect()
    for _ in range(10):  # what is freed too early is soon something else
        Value("i", 99)
    go.value = 1
    join(child)
    child.close()
    assert eventually(lambda: count_objects(probe) <= objects - 1)


def count_objects(probe: Any) -> int:
    """Count the living objects of the space that ``probe`` is in."""
    gc.collect()
    return int(probe.statistics().space.objects)


def eventually(condition: Callable[[], bool], limit: float = 10) -> bool:
    """Tell whether a condition comes true that no object tells of."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_many_starts_and_dels() -> None:
    context = multiprocessing.get_context("fork")
    go = Value("i")
    children = []
    for _ in range(10):
        value = Value("i", 5)
        children.append(start(context, increment_when, value, go))
        del value
    go.value = 1
    join(*children)


# Any program of the same user, told by nothing but the pickle on its standard input.
STRANGER = """
import pickle, sys
value, text, lock = pickle.loads(bytes.fromhex(sys.stdin.read()))
print(value.increment(), text.value, lock.acquire(False), flush=True)
text.value = "from a stranger"
value.increment()
"""


def test_a_process_that_is_no_child() -> None:
    value, text, lock = Value("i", 1), Value(object, "to a stranger"), cy.Lock()
    lock.acquire()
    result = run_script(STRANGER, input=pickle.dumps((value, text, lock)).hex())
    assert result.stdout == "2 to a stranger False\n"
    assert (value.value, text.value) == (3, "from a stranger")


def in_fork(function: Callable[[], object]) -> int:
    """Run a function in a child of a bare os.fork(); return its exit status."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            die_with_parent()
            function()
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_two_unrelated_spaces() -> None:
    """A process may hold values of several other processes' spaces, and pass them on."""
    context = multiprocessing.get_context("spawn")
    pipes, children = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        children.append(start(context, send_and_check, theirs))
        pipes.append(ours)
    values = [pipe.recv() for pipe in pipes]
    assert [value.increment() for value in values] == [1, 1]
    assert in_fork(lambda: [value.increment() for value in values]) == 0
    for pipe, other in zip(pipes, reversed(values), strict=True):
        pipe.send(other)
    join(*children)
    assert [value.value for value in values] == [3, 3]


def send_and_check(pipe: Any) -> None:
    value = Value("i")
    pipe.send(value)
    other = pipe.recv()
    other.increment()
    assert value.wait_for(3, 20)


EARLIER: dict[str, list[Any]] = {
    "_primitive": [
        lambda: cy.Lock(),
        lambda: cy.Condition(),
        lambda: cy.Barrier(2),
        lambda: cy.Dict(a=1),
        lambda: cy.NestedDict({"l": [1]})["l"],
    ],
    "_value": [lambda: cy.Value("i", 5), lambda: cy.RawValue(ctypes.c_char * 3, b"abc")],
    "_array": [lambda: cy.Array("i", [1, 2]), lambda: cy.RawArray("float32", shape=(2, 1))],
    "_space": [lambda: cy.Space()],
}


@pytest.mark.parametrize(
    ("module", "make"), [(module, make) for module, made in EARLIER.items() for make in made]
)
def test_a_pickle_of_an_earlier_build_of_this_version(module: str, make: Any) -> None:
    """Values in files name its modules, in which nothing else is."""
    obj = make()
    named = pickle.dumps(obj, 0)  # a protocol of lines
    earlier = named.replace(
        b"courtyard._pickle\nrebuild\n", f"courtyard.{module}\n_rebuild\n".encode()
    ).replace(b"courtyard._container.nested\n", b"courtyard._nested\n")
    assert earlier != named
    loaded = pickle.loads(earlier)
    assert type(loaded) is type(obj)
    assert loaded == obj if isinstance(obj, cy.Space) else loaded._identity() == obj._identity()
    assert b"courtyard._pickle\nrebuild\n" in pickle.dumps(loaded, 0), "what stays"
