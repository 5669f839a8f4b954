"""Classes of programs that extend courtyard's."""

import pickle
from typing import Any

import pytest

import courtyard as cy


def test_a_subclass_has_its_own_special_methods() -> None:
    """Slots are inherited: each method that a class defines is called, and no other."""

    class Loud(cy.Dict[Any, Any]):
        def __getitem__(self, key: Any) -> Any:
            return "got", super().__getitem__(key)

        def __contains__(self, key: object) -> bool:
            return key == "everything" or super().__contains__(key)

    class Deaf(Loud):
        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, ("set", value))

    class Sticky(cy.Dict[Any, Any]):
        def __delitem__(self, key: Any) -> None:
            self[key] = "deleted"

    class Quiet(cy.Dict[Any, Any]):
        pass

    loud, deaf, sticky, quiet = Loud(a=1), Deaf(), Sticky(a=1), Quiet(a=1)
    deaf["a"] = 2
    assert (loud["a"], "everything" in loud, "b" in loud) == (("got", 1), True, False)
    assert (deaf["a"], "everything" in deaf) == (("got", ("set", 2)), True)
    del sticky["a"], deaf["a"], quiet["a"]
    assert (dict(sticky.items()), len(deaf), len(quiet)) == ({"a": "deleted"}, 0, 0)
    with pytest.raises(KeyError):
        quiet["a"]

    class Row(cy.List[Any]):
        def __len__(self) -> int:
            return 7

    class Column(cy.Array):
        def __setitem__(self, index: Any, value: Any) -> None:
            super().__setitem__(index, value + 1)

    row, column = Row([1, 2]), Column("i", 3)
    row[0], column[1] = 5, 5
    del row[1]
    assert (len(row), row[0], row.copy(), column[:]) == (7, 5, [5], [0, 6, 0])


KINDS = ["Dict", "NestedDict", "Set", "List", "Lock", "Queue", "Value", "Array"]
COMMON = ("_title", "_parts", "_content", "_entries", "_set", "_has", "_name", "_store", "_home")


@pytest.mark.parametrize("name", KINDS)
def test_common_names_with_an_underscore_are_the_programs(name: str) -> None:
    cls: Any = type("Mine", (getattr(cy, name),), dict.fromkeys(COMMON, 5))
    globals()["Mine"] = cls  # where its pickles look for it
    made = cls(*{"Value": ("i", 1), "Array": ("i", 1)}.get(name, ()))
    if name == "NestedDict":
        made["a"] = {"b": 1}
    if name == "Set":
        assert 1 not in made
    assert repr(made) and str(made) and made._title == 5
    assert made.statistics().type.startswith(("Mine", name))
    loaded = pickle.loads(pickle.dumps(made))
    assert type(loaded) is cls and loaded._identity() == made._identity()
