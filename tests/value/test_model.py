"""Values beside a plain model, through operations in any order."""

import ctypes
import pickle
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import courtyard as cy

Value: Any = cy.Value
integers = st.integers(-(2**66), 2**66) | st.integers(-3, 3)
plain = st.recursive(
    st.none()
    | st.booleans()
    | integers
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.binary(max_size=20)
    | st.binary(min_size=3000, max_size=9000),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=4,
)
TYPES: dict[str, tuple[Any, Any, Any]] = {
    # What it is declared as, what is stored in it, what it begins as.
    "b": ("b", integers, 0),
    "I": ("I", integers, 0),
    "q": ("q", integers, 0),
    "int": (int, st.integers(-(2**63), 2**63 - 1), 0),
    "float": (float, st.floats(allow_nan=False), 0.0),
    "chars": (ctypes.c_char * 20, st.binary(max_size=20).map(lambda b: b.split(b"\0")[0]), b""),
    "long": (ctypes.c_char * 900, st.binary(max_size=900).map(lambda b: b.split(b"\0")[0]), b""),
    "object": (object, plain, None),
}
C_TYPES: dict[str, Any] = {"b": ctypes.c_byte, "I": ctypes.c_uint, "q": ctypes.c_longlong}


class Model(RuleBasedStateMachine):
    """Every operation through either of two handles, or one more that a pickle made."""

    @initialize(kind=st.sampled_from(sorted(TYPES)), lock=st.booleans())
    def make(self, kind: str, lock: bool) -> None:
        declared, self.stored, self.model = TYPES[kind]
        self.kind = kind
        self.handles = [Value(declared, lock=lock)]
        self.handles.append(pickle.loads(pickle.dumps(self.handles[0])))

    def wrap(self, value: Any) -> Any:
        return C_TYPES[self.kind](value).value if self.kind in C_TYPES else value

    def handle(self, data: st.DataObject) -> Any:
        return data.draw(st.sampled_from(self.handles))

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        found = self.handle(data).value
        assert (type(found), found) == (type(self.model), self.model)

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        handle, new = self.handle(data), data.draw(self.stored)
        before = handle.version
        handle.value = new
        self.model = self.wrap(new)
        assert handle.version != before
        assert self.handle(data).value == self.model

    @rule(data=st.data())
    def exchange(self, data: st.DataObject) -> None:
        new = data.draw(self.stored)
        assert self.handle(data).exchange(new) == self.model
        self.model = self.wrap(new)

    @rule(data=st.data(), right=st.booleans())
    def compare_exchange(self, data: st.DataObject, right: bool) -> None:
        new = data.draw(self.stored)
        expected = self.model if right else data.draw(self.stored)
        done = self.handle(data).compare_exchange(expected, new)
        assert done == (expected == self.model)
        if done:
            self.model = self.wrap(new)

    @rule(data=st.data(), times=st.integers(0, 3))
    def mutate(self, data: st.DataObject, times: int) -> None:
        """While another writes so many times."""
        handle, other = self.handle(data), self.handle(data)
        seen, new = [], data.draw(self.stored)
        written = [data.draw(self.stored) for _ in range(times)]

        def function(now: Any) -> Any:
            seen.append(now)
            if len(seen) <= times:
                other.value = written[len(seen) - 1]
            return new

        before = self.model
        assert handle.mutate(function) == self.wrap(new)
        stages = [before, *map(self.wrap, written)]
        assert seen == stages[: len(seen)]
        # A write of what is there already may go unseen; any other means another call.
        assert self.handle(data).value == self.wrap(new)
        assert len(seen) == times + 1 or stages[len(seen)] == stages[len(seen) - 1]
        self.model = self.wrap(new)

    @rule(data=st.data(), step=st.integers(-(2**40), 2**40))
    def increment(self, data: st.DataObject, step: int) -> None:
        try:
            new = self.model + step
            if self.kind == "int" and not -(2**63) <= new < 2**63:
                raise OverflowError
        except (TypeError, OverflowError) as error:
            expected: Any = type(error)
        else:
            expected = None
        try:
            found = self.handle(data).increment(step)
        except (TypeError, OverflowError) as error:
            assert type(error) is expected
        else:
            assert expected is None
            self.model = self.wrap(new)
            assert found == self.model

    @rule(data=st.data())
    def wait_for(self, data: st.DataObject) -> None:
        other = data.draw(self.stored)
        assert self.handle(data).wait_for(self.model, 0) is True
        assert self.handle(data).wait_for(other, 0) is (other == self.model)

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        self.handles.append(pickle.loads(pickle.dumps(self.handle(data))))
        if len(self.handles) > 4:
            self.handles.pop(0).close()

    def teardown(self) -> None:
        for handle in getattr(self, "handles", []):
            handle.check()


Model.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
test_a_value_is_its_model = Model.TestCase
