"""Doing one thing after another with hardly any memory: none of it may end the process.

Each is tried with so little room in
the address space that it raises MemoryError, and with more each time, until it succeeds. After each
try the object is as it was, or as the operation leaves it.
"""

import pickle
import resource
from collections.abc import Callable, Iterator
from typing import Any

import courtyard as cy

MIB = 1 << 20
#: Bytes of address space left to an operation; less than the first, and Python itself fails.
ROOMS = [MIB // 2, *(n * MIB for n in (1, 2, 4, 8, 20, 256))]
BIG = 2 * MIB
MANY = 20_000

#: What to do, and whether all is well after: told whether it was done.
Operation = tuple[Callable[[], object], Callable[[bool], bool]]


class Foreign:
    """What only pickle can write."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)


def try_with(room: int, call: Callable[[], object]) -> bool:
    """Call something with so much room; whether it was done, and no MemoryError."""
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
    try:
        call()
    except MemoryError as error:
        assert not isinstance(error, cy.SpaceFull), "the space has room"
        return False
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    return True


def run(operations: Iterator[tuple[str, Operation]]) -> None:
    probe = cy.Lock()  # a check looks at the whole space
    for name, (call, is_well) in operations:
        for room in ROOMS:
            print(f"{name}, {room / MIB} MiB: ", end="", flush=True)
            done = try_with(room, call)
            print("done" if done else "MemoryError", flush=True)
            assert is_well(done), f"{name} with {room} bytes left: not as it was"
            if done:
                break
        else:
            raise AssertionError(f"{name} is never done")
        probe.check()


def texts() -> dict[str, Any]:
    """Values of each form, of some MiB."""
    return {
        "bytes": bytes(BIG),
        "bytearray": bytearray(BIG),
        "ascii": "a" * BIG,
        "latin": "é" * BIG,
        "wide": "Ω" * (BIG // 2),
        "integer": -(1 << (8 * BIG // 8)),
        "numbers": list(range(MANY * 5)),
        "floats": [n / 3 for n in range(MANY)],
        "words": [f"word {n}" for n in range(MANY)],
        "shared": [(each := (n, n)) and (each, each) for n in range(MANY)],
        "buffers": {str(n): bytes(1 << 16) for n in range(50)},
        "set": set(range(MANY)),
        "pickle": Foreign("a" * BIG),
        "pickles": [Foreign(n) for n in range(MANY)],
        "mutable": Foreign([pickle.PickleBuffer(bytes(1 << 16)) for _ in range(50)]),
    }


def some() -> dict[str, Any]:
    """Fewer of them, where another subject tries all."""
    chosen = ("bytearray", "wide", "numbers", "words", "buffers", "pickle")
    return {form: value for form, value in texts().items() if form in chosen}


def plain(value: Any) -> Any:
    """Return what can be compared."""
    if isinstance(value, Foreign) and isinstance(value.content, list):
        return [bytes(each) for each in value.content]
    return value


def same(one: Any, other: Any) -> bool:
    return bool(plain(one) == plain(other))


def named(
    prefix: str, operations: Iterator[tuple[str, Operation]]
) -> Iterator[tuple[str, Operation]]:
    for name, operation in operations:
        yield f"{prefix}: {name}", operation
