"""Keys by themselves: which objects are the same key, and what comes back."""

from __future__ import annotations

import collections
import datetime
import gc
import math
import multiprocessing
import pickle
import struct
import sys
import threading
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import courtyard as cy
from courtyard import _native
from tests.support import children
from tests.support.key import (
    ASCII,
    DEPTH,
    FROZENSET,
    LONGEST,
    PICKLE,
    SAMPLES,
    Backwards,
    Bit,
    Bytes,
    Caseless,
    Color,
    Complex,
    Float,
    Group,
    Int,
    Letter,
    Number,
    Point,
    Rehashed,
    Row,
    Shy,
    Text,
    User,
    Word,
    form,
    look,
    nested,
    through,
)

# Texts of each width, with surrogates.
CHARACTERS = st.sampled_from("aZ0\0\x7f\x80éÿĀ漢\ud800\udfff\uffff😀\U0010ffff")
NUMBERS = st.integers(-3, 3) | st.sampled_from(
    [
        sign * (2**bits + more)
        for sign in (1, -1)
        for bits in (53, 63, 64, 200)
        for more in (-1, 0, 1)
    ]
)
FLOATS = st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 1e300]) | (
    st.floats(allow_nan=False)
)
PARTS = st.sampled_from([0.0, -0.0, 1.0, 0.5, math.inf])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.integers(),
    NUMBERS.map(Int),
    NUMBERS.map(Backwards),
    st.sampled_from([Number.ONE, Number.TWO, Bit.ONE, Bit.ONE | Bit.TWO, Letter.A, Word.A]),
    FLOATS,
    FLOATS.map(Float),
    st.builds(complex, PARTS, PARTS),
    st.builds(complex, PARTS, PARTS).map(Complex),
    st.text(CHARACTERS, max_size=3),
    st.text(CHARACTERS, max_size=3).map(Text),
    st.text("ab", min_size=120, max_size=130),
    st.binary(max_size=3),
    st.binary(max_size=3).map(Bytes),
)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(Row),
        st.builds(Point, inner, inner),
        st.lists(inner, max_size=4).map(frozenset),
        st.lists(inner, max_size=4).map(Group),
    ),
    max_leaves=8,
)


@st.composite
def twins(draw: st.DrawFn) -> tuple[Any, Any]:
    """Return two keys, which are often equal and seldom of the same type."""
    key = draw(PLAIN)
    return key, draw(st.just(disguised(key, draw(st.integers(0, 3)))) | PLAIN)


def disguised(key: Any, how: int) -> Any:
    """Return a key that equals this one, and is another object."""
    if isinstance(key, tuple):
        items = [disguised(item, how) for item in tuple.__iter__(key)]
        return tuple(items) if how % 2 else Row(items)
    if isinstance(key, frozenset):
        members = [disguised(item, how) for item in frozenset.__iter__(key)][::-1]
        return frozenset(members) if how % 2 else Group(members)
    if isinstance(key, str):
        return Text(key) if how % 2 else str.__str__(key)
    if isinstance(key, bytes):
        return Bytes(key) if how % 2 else bytes(bytearray(key))
    if not isinstance(key, int | float | complex):
        return key
    for other in ([complex, Float, Int, float], [Complex, bool, int], [Int], [float])[how]:
        try:
            changed = other(key)
        except (TypeError, ValueError, OverflowError):
            continue
        if changed == key:
            return changed
    return key


@given(twins())
@example((2**53 + 1, float(2**53 + 1)))
@example((2**63, 2.0**63))
@example((2**64, complex(2.0**64)))
@example((2**1023, 2.0**1023))
@example((0, -0.0))
@example((complex(-0.0, 1), complex(0.0, 1)))
@example((("a", "b"), ("ab",)))
@example(((1, (2,)), ((1, 2),)))
@example((b"a", "a"))
@example((frozenset([1, 2]), frozenset([2.0, True])))
@example((frozenset([(1, 2), "x"]), Group(["x", Point(True, 2.0)])))
@example(("é", b"\xe9"))
def test_equal_keys_are_the_same(keys: tuple[Any, Any]) -> None:
    first, second = keys
    assert (form(first) == form(second)) == (first == second)
    if first == second:
        assert hash(first) == hash(second)  # else it were no key of dict's


@given(PLAIN)
def test_the_key_itself_comes_back(key: Any) -> None:
    back = through(key)
    assert look(back) == look(key)
    assert type(back) is type(key)
    assert back == key
    assert form(back) == form(key)


@pytest.mark.parametrize(
    "key",
    ["", "a", "é", "漢", "😀", "\ud800", b"", None, 0, -1, 2**63, -(2**63), 2**200, 0.5, math.inf,
     1j, complex(0.5, -0.0 - 1), (), (1, "a", (None,)), frozenset(),
     pytest.param(frozenset([(1,), "a", 2**70]), id="frozenset")],
    ids=repr,
)  # fmt: skip
def test_exact_keys_need_nothing_beside_them(key: Any) -> None:
    tag, content, original = _native._key_encode(key)
    assert original is None
    assert look(_native._key_decode(tag, content)) == look(key)


@pytest.mark.parametrize(
    "key",
    [True, False, 1.0, -0.0, 2.0**64, 1 + 0j, complex(-0.0, 1), Int(5), Text("x"), Number.ONE,
     Bit.ONE | Bit.TWO, Letter.A, Word.A, Point(1, 2), (True,), (1, (2.0,)), frozenset([True]),
     Group([1]), ("x" * 40_000, True), ((Text("a"),),)],
    ids=lambda key: repr(look(key))[:40],
)  # fmt: skip
def test_what_is_only_equal_is_kept_beside(key: Any) -> None:
    tag, content, original = _native._key_encode(key)
    assert tag != PICKLE
    assert original is not None
    assert look(_native._key_decode(tag, content, original)) == look(key)
    base = _native._key_decode(tag, content)
    assert base == key
    assert look(base) != look(key)
    assert form(base) == (tag, content)


@pytest.mark.parametrize(
    ("key", "base"),
    [(Number.TWO, 2), (Bit.ONE | Bit.TWO, 3), (Letter.A, "a"), (Word.A, "a"), (Backwards(7), 7),
     (Point(1, "a"), (1, "a")), (Row([1]), (1,)), (Group([1]), frozenset([1])), (Int(2**80), 2**80),
     (Float(0.5), 0.5), (Complex(1j), 1j), (Bytes(b"x"), b"x"), (Text("漢"), "漢")],
    ids=lambda key: repr(look(key))[:40],
)  # fmt: skip
def test_subclasses_are_as_their_base(key: Any, base: Any) -> None:
    assert key == base
    assert form(key) == form(base)


def test_members_are_those_that_are_compared() -> None:
    assert Shy([1, 2]) == frozenset([1, 2])
    assert form(Shy([1, 2])) == form(frozenset([1, 2]))


@pytest.mark.parametrize("key", [Caseless("A"), Rehashed(3), Color.RED], ids=repr)
def test_subclasses_of_their_own_mind_are_pickled(key: Any) -> None:
    assert form(key)[0] == PICKLE
    back = through(key)
    assert back == key
    assert type(back) is type(key)


@pytest.mark.parametrize(
    "key",
    [Decimal("1.5"), Fraction(1, 3), datetime.date(2026, 1, 2), datetime.timedelta(days=1),
     uuid.UUID(int=5), PurePosixPath("/a/b"), User("Ann", "cook"), Color.BLUE, int, len, ...,
     range(3)],
    ids=repr,
)  # fmt: skip
def test_other_keys_are_pickled(key: Any) -> None:
    for each in (key, (key, 1), frozenset([key, "x"]), (1, (key, frozenset([key])))):
        tag, _, original = _native._key_encode(each)
        assert (tag == PICKLE) == (each is key)
        assert original is None
        assert through(each) == each
        assert form(pickle.loads(pickle.dumps(each))) == form(each)
    assert through((key, True)) == (key, True)


def test_numbers_of_other_types_are_not_the_same_key() -> None:
    """As the documentation says."""
    assert Decimal(1) == 1 == Fraction(1)
    assert len({form(Decimal(1)), form(1), form(Fraction(1))}) == 3
    assert form(Decimal("1.0")) != form(Decimal(1))


def test_pickles_say_nothing_about_who_is_who() -> None:
    """A literal may be one object with another, or with a field's name; what was read is not."""
    read = "".join(["na", "me"])
    same, other = User("name", "name"), User(read, "".join(["na", "me"]))
    assert same == other
    assert pickle.dumps(same, 5) != pickle.dumps(other, 5)
    assert form(same) == form(other)


class Node:
    """A key that refers to itself; which pickle does with references only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.self: Any = [self] * 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class Doubled:
    """Not hashed by what it holds, which takes 2^40 items without references."""

    def __init__(self) -> None:
        self.state: Any = ("x" * 50,)
        for _ in range(40):
            self.state = (self.state, self.state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Doubled)

    def __hash__(self) -> int:
        return 1


def test_pickles_that_need_references() -> None:
    for key in (Node("a"), Doubled()):
        assert form(key) == form(type(key)(*["a"] if isinstance(key, Node) else []))
        assert through(key) == key
        assert len(form(key)[1]) < 10_000


NANS = [struct.unpack("d", struct.pack("Q", 0x7FF8 << 48 | more))[0] for more in (0, 0, 1)]


def test_nans_are_the_same_by_their_bits() -> None:
    """A dict goes by which object it is, and that is not known to another process."""
    one, two, other = NANS
    assert one is not two
    assert form(one) == form(two) != form(other)
    assert form((1, one)) == form((1, two)) != form((1, other))
    assert form(Float(one)) == form(one) == form(complex(one, 0))
    assert form(complex(0, one)) == form(complex(-0.0, two)) != form(complex(0, other))
    both = frozenset([one, two, other])
    assert len(both) == 3
    assert form(both) == form(frozenset([other, two, one])) != form(frozenset([one, other]))
    for key in (one, other, (one,), both, complex(one, 2), complex(1, one), (one, True)):
        assert look(through(key)) == look(key)


@pytest.mark.parametrize("wrap", [lambda key: (key,), lambda key: frozenset([key])])
def test_depth(wrap: Callable[[Any], Any]) -> None:
    for depth in (DEPTH - 2, DEPTH - 1, DEPTH, DEPTH + 50):
        key = nested(depth, wrap=wrap)
        tag, content, original = _native._key_encode(key)
        assert (b"\x80\x05" in content) == (depth >= DEPTH)
        assert original is None
        assert through(key) == key
        assert form(nested(depth, wrap=wrap)) == (tag, content)
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        _native._key_encode(nested(DEPTH + 50, []))
    with pytest.raises(RecursionError):
        _native._key_encode(nested(100_000))


def test_the_longest_key() -> None:
    for key in ("x" * LONGEST, b"x" * LONGEST):
        assert len(form(key)[1]) == LONGEST
    double: Any = ((), ())
    for _ in range(60):
        double = (double, double)
    longer: list[Any] = [
        *("x" * (LONGEST + 1), "漢" * (LONGEST // 2 + 1), b"x" * (LONGEST + 1), 1 << 8 * LONGEST),
        *(("x" * LONGEST,), (b"x" * (LONGEST // 10),) * 11, double),
        *(User("x" * LONGEST, ""), Text("x" * LONGEST)),
    ]
    for key in longer:
        with pytest.raises(ValueError, match="a key of more than 64 MiB"):
            _native._key_encode(key)


class Nested:
    """Encodes other keys while it is pickled, and while it is hashed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nested) and self.name == other.name

    def __hash__(self) -> int:
        form(("hash", self.name, frozenset([1.0, Color.RED])))
        return hash(self.name)

    def __reduce__(self) -> Any:
        assert through(("pickle", (self.name, 2.5, Color.RED))) == (
            "pickle",
            (self.name, 2.5, Color.RED),
        )
        return Nested, (self.name,)


def test_keys_inside_keys() -> None:
    key = ("before", Nested("a"), ("between", Nested("b")), frozenset([Nested("c"), "after"]))
    assert through(key) == key
    alone = [form(item) for item in key]
    assert form(key) == form(key)
    assert form(Nested("a")) == alone[1]


def forms_of_samples() -> list[tuple[int, bytes]]:
    return [form(sample) for sample in SAMPLES]


def send_forms(connection: Any) -> None:
    # Found by another's form, and written in one's own.
    theirs = connection.recv()
    connection.send(
        (hash("seed"), forms_of_samples(), [_native._key_decode(*key) for key in theirs])
    )


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_other_processes_write_the_same(seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    monkeypatch.setenv("PYTHONHASHSEED", seed)
    here, there = context.Pipe()
    child = children.start(context, send_forms, there)
    there.close()
    here.send([_native._key_encode(sample) for sample in SAMPLES])
    seeded, forms, keys = here.recv()
    children.join(child)
    assert seeded != hash("seed")  # sets have another order there
    assert forms == forms_of_samples()
    assert [look(key) for key in keys] == [look(sample) for sample in SAMPLES]


def test_threads_have_their_own_room() -> None:
    errors: collections.deque[BaseException] = collections.deque()

    def run(name: int) -> None:
        try:
            for number in range(300):
                key = (name, number, Nested(str(name)), frozenset([name, "x", 2.5]))
                assert through(key) == key
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_no_memory_is_lost() -> None:
    keys: list[Any] = [*SAMPLES, ("x" * 100_000,), Text("y"), (1.0, [])]

    def grown() -> int:
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(60):
            for key in keys:
                try:
                    through(key)
                except TypeError:
                    continue
            with pytest.raises(cy.CorruptError):
                _native._key_decode(FROZENSET, bytes([2, ASCII, 1, 66, ASCII, 1, 65]))
        gc.collect()
        return sys.getallocatedblocks() - before

    # What is lost is lost at each round; the interpreter's own tables settle after some.
    assert min(grown() for _ in range(10)) < 30
