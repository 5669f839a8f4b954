"""Arrays among processes: all start methods, slices that are never torn, locks, deaths."""

import array
import ctypes
import multiprocessing
import os
import pickle
import random
import struct
import time
from multiprocessing.context import BaseContext
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import courtyard as cy
from tests.support.children import join, start
from tests.support.structure import Coordinates

Array: Any = cy.Array
RawArray: Any = cy.RawArray
both = pytest.mark.parametrize("make", [Array, RawArray])
KILLS = {"small": 300, "full": 5000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 25)


def double(numbers: Any, text: Any, points: Any, grid: Any) -> None:
    for index in range(len(numbers)):
        numbers[index] *= 2
    text.value = text.value * 2
    for point in points:
        point.x *= 2
    grid[1] *= 2


@both
def test_as_arguments_of_a_process(ctx: BaseContext, make: Any) -> None:
    numbers, text = make("d", range(10)), make("c", 20)
    points, grid = make(Coordinates, [(1, 2), (3, 4)]), make("float32", range(6), shape=(2, 3))
    text.value = b"hello"
    join(start(ctx, double, numbers, text, points, grid))
    assert numbers[:] == [2 * number for number in range(10)]
    assert text.value == b"hellohello"
    assert [point.x for point in points] == [2, 6]
    assert grid.tolist() == [[0, 1, 2], [6, 8, 10]]


def write_rows(numbers: Any, step: int, stop: Any) -> None:
    """Have all elements that `step` reaches say the same, one number after the other."""
    length, turn = len(numbers[::step]), 0
    while not stop.value:
        turn += 1
        numbers[::step] = [turn % 100] * length


@both
@pytest.mark.parametrize("code", "bhiq")
@pytest.mark.parametrize(("size", "step"), [(20, 1), (5, 1), (3000, 1), (64, 3), (3000, 2)])
def test_a_slice_is_never_torn(make: Any, code: str, size: int, step: int) -> None:
    numbers, stop = make(code, size), cy.Value("b")
    child = start(multiprocessing.get_context("fork"), write_rows, numbers, step, stop)
    seen: set[int] = set()
    reads = 0
    while len(seen) < 10 or reads < 300:
        found = set(numbers[::step])
        assert len(found) == 1, found
        seen |= found
        reads += 1
    stop.value = 1
    join(child)
    assert all(number == 0 for index, number in enumerate(numbers) if index % step)


def write_pairs(numbers: Any, times: int) -> None:
    """Write one element after the other, the first one first."""
    for turn in range(1, times):
        numbers[0] = turn
        numbers[-1] = turn


def test_a_slice_is_of_one_moment_beside_single_elements() -> None:
    numbers = Array("q", 40)
    child = start(multiprocessing.get_context("fork"), write_pairs, numbers, 60_000)
    while child.is_alive():
        found = numbers[:]
        assert found[0] - found[-1] in (0, 1), found
    join(child)


def own_part(numbers: Any, first: int, how: str, times: int) -> None:
    """Write a part that is ours alone; it must hold what we wrote last."""
    view = memoryview(numbers)
    for turn in range(times):
        number = turn % 100
        if how == "view":
            view[first] = view[first + 1] = number
        elif how == "element":
            numbers[first] = numbers[first + 1] = number
        elif how == "slice":
            numbers[first : first + 2] = [number, number]
        else:
            numbers[first : first + 4 : 2] = [number, number]
            numbers[first + 1] = number
        assert numbers[first] == numbers[first + 1] == number


@both
@pytest.mark.parametrize(
    ("one", "other"),
    [("view", "slice"), ("element", "slice"), ("view", "steps"), ("slice", "steps")],
)
def test_neighbours_in_a_word_do_not_disturb_each_other(make: Any, one: str, other: str) -> None:
    numbers = make("b", 16)
    context = multiprocessing.get_context("fork")
    # The parts lie in one word; what steps write is beyond the other's.
    join(
        start(context, own_part, numbers, 1, one, 8000),
        start(context, own_part, numbers, 3, other, 8000),
    )


def write_under_lock(numbers: Any, entered: Any) -> None:
    entered.value = 1
    numbers[0] = 5
    numbers[1:3] = [6, 7]
    entered.value = 2


def test_writes_wait_for_the_holder_of_the_lock(ctx: BaseContext) -> None:
    numbers, entered = Array("i", 3), cy.Value("i")
    with numbers.get_lock():
        child = start(ctx, write_under_lock, numbers, entered)
        assert entered.wait_for(1, 20)
        assert not entered.wait_for(2, 0.2)
        numbers[:] = [1, 2, 3]
        assert numbers[:] == [1, 2, 3]
        raw = memoryview(numbers)
        raw[0] = 4  # past the lock
    join(child)
    assert numbers[:] == [5, 6, 7]


def add_all(numbers: Any, times: int) -> None:
    for _ in range(times):
        with numbers.get_lock():
            numbers[:] = [number + 1 for number in numbers]


def test_processes_count_under_the_lock(ctx: BaseContext) -> None:
    numbers = Array("i", 5)
    join(*(start(ctx, add_all, numbers, 200) for _ in range(2)))
    assert numbers[:] == [400] * 5


def set_later(numbers: Any, values: Any) -> None:
    time.sleep(0.1)
    numbers[:] = values


@both
def test_every_change_wakes(make: Any) -> None:
    context = multiprocessing.get_context("fork")
    for numbers, values in (
        (make("i", 3), [1, 2, 3]),
        (make("f4", shape=(2, 2)), [[1, 2], [3, 4]]),
        (make("c", 3), b"abc"),
    ):
        child = start(context, set_later, numbers, values)
        assert numbers.wait_for(values, 20)
        join(child)


def hold_and_die(numbers: Any) -> None:
    numbers.get_lock().acquire()
    numbers[0] = 5
    os.kill(os.getpid(), 9)


def test_the_death_of_a_holder(ctx: BaseContext) -> None:
    numbers = Array("i", 2)
    child = start(ctx, hold_and_die, numbers)
    child.join(20)
    assert numbers[0] == 5
    with numbers.get_lock() as held:
        assert held and numbers.get_lock().recovered
    assert not numbers.get_lock().acquire(False) or numbers.get_lock().release() is None


def rewrite(numbers: Any, step: int, done: Any) -> None:
    length = len(numbers[::step])
    while True:
        with numbers.get_lock():
            turn = numbers[0] + 1
            numbers[::step] = [turn] * length
        done.increment()


@pytest.mark.parametrize(
    ("code", "size", "step"), [("q", 20, 1), ("i", 501, 1), ("h", 999, 3), ("q", 4000, 1)]
)
@pytest.mark.limit(60 + KILLS)
def test_killed_writers_leave_whole_slices(code: str, size: int, step: int) -> None:
    """No slice is torn, no acknowledged one lost, nobody is stuck, no block leaks."""
    context, chance = multiprocessing.get_context("fork"), random.Random(size)
    numbers, done = Array(code, size), cy.Value("q")
    for _ in range(KILLS):
        before, acknowledged = numbers[0], done.value
        children = [start(context, rewrite, numbers, step, done) for _ in range(2)]
        assert done.wait_for(lambda n, a=acknowledged: n > a + 3, 20), "a writer is stuck"
        time.sleep(chance.random() * 0.005)
        for child in children:
            child.kill()
        for child in children:
            child.join(20)
            child.close()
        with numbers.get_lock():  # what a dead writer had committed is there by now
            found = set(numbers[::step])
        assert len(found) == 1
        change = (numbers[0] - before) % 2**16 if code == "h" else numbers[0] - before
        # A death may fall between the slice and its count.
        assert 0 <= change - (done.value - acknowledged) <= 2
        assert all(numbers[index] == 0 for index in range(size) if index % step)
    with numbers.get_lock():
        numbers[:] = [1] * size
    numbers.check()
    space = numbers.statistics().space
    assert space.participants == 1


@pytest.mark.parametrize("length", [0, 1, 39, 41, 2**40, 2**56 - 1])
def test_a_scribbled_length_is_refused(length: int) -> None:
    """Another process wrote nonsense over the shape: an error, and no crash."""
    numbers = Array("i", range(10))
    sent = pickle.dumps(numbers)
    path = numbers._address()[0]
    view = memoryview(numbers)
    content = view.tobytes()
    with open(path, "r+b") as file:
        found = file.read()
        at = found.index(content)
        shape = struct.pack("=Q", 40 << 8 | 2)
        head = found.rindex(shape, 0, at)
        file.seek(head)
        file.write(struct.pack("=Q", length << 8 | 2))
        file.flush()
        with pytest.raises((cy.WrongType, cy.CorruptError)):
            pickle.loads(sent)
        # Who has it open goes on with what it knows.
        assert numbers[:] == list(range(10))
        numbers[9] = 4
        numbers[1:4] = [0, 0, 0]
        assert numbers[-1] == 4
        file.seek(head)
        file.write(shape)
    assert pickle.loads(pickle.dumps(numbers))[9] == 4
    numbers.check()


CODES = "bBhHiIlLqQfd"
RANGES = {code: (0, 100) if code.isupper() else (-100, 100) for code in CODES}
positions = st.none() | st.integers(-14, 14)
slices = st.builds(slice, positions, positions, st.none() | st.sampled_from([1, 2, 3, -1, -2, 5]))


class Model(RuleBasedStateMachine):
    """Every operation through either of two handles, beside array.array."""

    @initialize(code=st.sampled_from(CODES), size=st.integers(0, 12), lock=st.booleans())
    def make(self, code: str, size: int, lock: bool) -> None:
        self.model = array.array(code, [0] * size)
        self.handles = [Array(code, size, lock=lock)]
        self.handles.append(pickle.loads(pickle.dumps(self.handles[0])))

    def handle(self, data: st.DataObject) -> Any:
        return data.draw(st.sampled_from(self.handles))

    def numbers(self, data: st.DataObject, count: int) -> list[int]:
        return data.draw(
            st.lists(st.integers(*RANGES[self.model.typecode]), min_size=count, max_size=count)
        )

    @rule(data=st.data(), index=st.integers(-14, 14))
    def one(self, data: st.DataObject, index: int) -> None:
        handle, (number,) = self.handle(data), self.numbers(data, 1)
        try:
            self.model[index] = number
        except IndexError:
            with pytest.raises(IndexError):
                handle[index]
            with pytest.raises(IndexError):
                handle[index] = number
        else:
            version = handle.version
            handle[index] = number
            assert handle.version != version
            assert self.handle(data)[index] == number

    @rule(data=st.data(), key=slices)
    def read(self, data: st.DataObject, key: slice) -> None:
        assert self.handle(data)[key] == self.model[key].tolist()

    @rule(data=st.data(), key=slices, as_array=st.booleans())
    def write(self, data: st.DataObject, key: slice, as_array: bool) -> None:
        values: Any = self.numbers(data, len(self.model[key]))
        typed = array.array(self.model.typecode, values)
        places = range(*key.indices(len(self.model)))
        for place, value in zip(places, values, strict=True):
            self.model[place] = value
        self.handle(data)[key] = typed if as_array else values

    @rule(data=st.data(), key=slices, extra=st.sampled_from([-1, 1, 3]))
    def write_another_number(self, data: st.DataObject, key: slice, extra: int) -> None:
        count = len(self.model[key]) + extra
        if count >= 0:
            with pytest.raises(ValueError, match="same size"):
                self.handle(data)[key] = [1] * count

    @rule(data=st.data())
    def compare(self, data: st.DataObject) -> None:
        handle = self.handle(data)
        assert list(handle) == handle.tolist() == self.model.tolist()
        assert handle.tobytes() == self.model.tobytes() == memoryview(handle).tobytes()
        assert len(handle) == len(self.model)
        assert handle.wait_for(self.model, 0)

    @rule(data=st.data(), index=st.integers(0, 11))
    def through_a_view(self, data: st.DataObject, index: int) -> None:
        if index < len(self.model):
            (number,) = self.numbers(data, 1)
            memoryview(self.handle(data))[index] = self.model[index] = number

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        self.handles.append(pickle.loads(pickle.dumps(self.handle(data))))
        if len(self.handles) > 4:
            self.handles.pop(0).close()

    def teardown(self) -> None:
        for handle in getattr(self, "handles", []):
            handle.check()


Model.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
test_an_array_is_its_model = Model.TestCase


def test_a_child_holds_what_its_parent_dropped(ctx: BaseContext) -> None:
    numbers, ready, go = Array("i", [1, 2, 3]), cy.Value("i"), cy.Value("i")
    child = start(ctx, look_later, numbers, ready, go)
    assert ready.wait_for(1, 20)
    numbers.close()
    del numbers
    others = [Array("i", [9, 9, 9]) for _ in range(20)]
    go.value = 1
    join(child)
    assert all(other[:] == [9, 9, 9] for other in others)


def look_later(numbers: Any, ready: Any, go: Any) -> None:
    view = memoryview(numbers)
    obj = ctypes.c_int.from_buffer(numbers)
    ready.value = 1
    assert go.wait_for(1, 20)
    numbers.close()
    assert view.tolist() == [1, 2, 3] and obj.value == 1
