"""Looking for a value compares each value once, as the builtins do."""

from typing import Any

import numpy as np
import pytest

import courtyard as cy


class Counting:
    """Equal to a number; counts how often it is compared."""

    def __init__(self, number: int) -> None:
        self.number, self.compared = number, 0

    def __eq__(self, other: object) -> bool:
        self.compared += 1
        return self.number == other

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("cls", [cy.List, cy.Deque])
@pytest.mark.parametrize("length", [1, 32, 33, 1000])
def test_each_value_is_compared_once(cls: Any, length: int) -> None:
    x = cls(range(length))
    for place in {0, length // 2, length - 1}:
        for call in (x.index, x.__contains__):
            counting = Counting(place)
            assert call(counting) in (place, True)
            assert counting.compared == place + 1
    counting = Counting(-1)
    assert counting not in x
    assert counting.compared == length
    counting = Counting(length - 1)
    x.remove(counting)
    assert (counting.compared, len(x)) == (length, length - 1)


@pytest.mark.parametrize("cls", [cy.List, cy.Deque])
def test_what_a_comparison_raises_comes_through(cls: Any) -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("odd")

        __hash__ = None  # type: ignore[assignment]

    x = cls([1, np.zeros(2), 3])
    for call in (x.index, x.__contains__, x.remove):
        with pytest.raises(ValueError, match="odd"):
            call(Odd())
        with pytest.raises(ValueError, match="ambiguous"):
            call(3)
        assert call(1) in (0, True, None)
    for call in (cls("ab").index, cls("ab").remove):
        with pytest.raises(ValueError, match="not in"):
            call("c")


@pytest.mark.parametrize("plain", [set, frozenset])
def test_a_plain_set_and_a_shared_one(plain: Any) -> None:
    small, large = cy.Set(range(3)), cy.Set(range(100))
    for s in (small, large):
        found = plain(range(2, 20)) & s
        assert found == set(range(2, 20)) & set(s)
        assert type(found) is plain
    assert type({1: 2, 3: 4}.keys() & small) is set
