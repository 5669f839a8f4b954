"""NumPy arrays whose pickle is remembered come back as what they are, whatever came before."""

import pickle
import random
from typing import Any

import numpy as np
import pytest

import courtyard as cy
from courtyard import _native


class Named(np.ndarray[Any, Any]):
    """A subclass with a state of its own."""

    label: str

    def __reduce__(self) -> Any:
        return rebuild, (np.asarray(self), self.label)


def rebuild(array: Any, label: str) -> Named:
    made = array.view(Named)
    made.label = label
    found: Named = made
    return found


def labelled(array: Any, label: str) -> Named:
    return rebuild(array, label)


def with_metadata() -> Any:
    return np.zeros(4, np.dtype("f8", metadata={"unit": "m"}))


def readonly(array: Any) -> Any:
    array.flags.writeable = False
    return array


ARRAYS: dict[str, Any] = {
    "float64": lambda: np.arange(6.0),
    "another float64": lambda: np.arange(6.0) + 1,
    "float32": lambda: np.arange(6, dtype="f4"),
    "int64": lambda: np.arange(6),
    "bool": lambda: np.arange(6) % 2 == 0,
    "2 by 3": lambda: np.arange(6.0).reshape(2, 3),
    "3 by 2": lambda: np.arange(6.0).reshape(3, 2),
    "columns first": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "one number": lambda: np.array(5.0),
    "nothing": lambda: np.zeros((0, 3)),
    "every other": lambda: np.arange(12.0)[::2],
    "big endian": lambda: np.arange(6, dtype=">f8"),
    "text": lambda: np.array(["a", "bc"]),
    "longer text": lambda: np.array(["a", "bcd"]),
    "days": lambda: np.array(["2020-01-01", "2021-01-01"], "M8[D]"),
    "seconds": lambda: np.array(["2020-01-01", "2021-01-01"], "M8[s]"),
    "records": lambda: np.zeros(3, [("a", "i4"), ("b", "f8")]),
    "objects": lambda: np.array([1, "a", None], object),
    "metadata": with_metadata,
    "like metadata": lambda: np.zeros(4),
    "readonly": lambda: readonly(np.arange(6.0)),
    "subclass": lambda: labelled(np.arange(6.0), "x"),
    "matrix": lambda: np.arange(6.0).reshape(2, 3).view(np.matrix),
    "loaded": lambda: pickle.loads(pickle.dumps(np.arange(6.0), 5)),
}


def same(found: Any, array: Any) -> None:
    assert type(found) is type(array)
    assert found.dtype == array.dtype
    assert found.dtype.metadata == pickle.loads(pickle.dumps(array, 5)).dtype.metadata
    assert found.shape == array.shape
    assert found.flags.f_contiguous == pickle.loads(pickle.dumps(array, 5)).flags.f_contiguous
    assert found.tolist() == array.tolist()
    assert found.flags.writeable
    if isinstance(array, Named):
        assert found.label == array.label


@pytest.mark.parametrize("seed", range(5))
def test_in_any_order(seed: int) -> None:
    chance = random.Random(seed)
    v, d = cy.Value(object), cy.Dict()
    for _ in range(200):
        array = ARRAYS[chance.choice(list(ARRAYS))]()
        v.value = array
        same(v.value, array)
        d["x"] = [array]
        same(d["x"][0], array)


@pytest.mark.parametrize("name", ARRAYS)
def test_it_is_the_pickle_that_was_made_first(name: str) -> None:
    first, second = _native._encode(ARRAYS[name]()), _native._encode(ARRAYS[name]())
    assert first == second


def test_more_kinds_than_are_remembered() -> None:
    v = cy.Value(object)
    for turn in range(3):
        for length in range(100):
            v.value = np.full(length, turn)
            assert v.value.tolist() == [turn] * length
