"""Histories of calls by several processes, and whether they are linearizable.

A history is a list of calls, each with the time before it and the time after it, on the one clock
of the machine. It is linearizable if the calls can be put in one order that keeps to these times
(what ended before another began comes before it) and in which a model gives all the results. The
search is Wing and Gong's, with the memo of Lowe: a set of calls done and a state are tried once.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One call, and when it began and ended, in nanoseconds."""

    began: int
    ended: int
    name: str
    args: tuple[Any, ...]
    result: Any


# Returns the result and the next state.
Model = Callable[[Any, str, tuple[Any, ...]], tuple[Any, Hashable]]


def timed(obj: Any, name: str, *args: Any) -> Call:
    """Make a call and note it; what it raises is its result."""
    method = getattr(obj, name)
    began = time.monotonic_ns()
    try:
        result = method(*args)
    except Exception as error:
        result = type(error).__name__
    return Call(began, time.monotonic_ns(), name, args, result)


def linearizable(history: Sequence[Call], model: Model, state: Hashable) -> bool:
    """Say whether the model, begun in that state, can have given this history."""
    calls = sorted(history)
    seen: set[tuple[int, Hashable]] = set()
    todo: list[tuple[int, Hashable]] = [(0, state)]  # the calls done, a bit each; the state
    everything = (1 << len(calls)) - 1
    while todo:
        done, state = todo.pop()
        if done == everything:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        # Next may come what began before the first of the others ended.
        number = (~done & (done + 1)).bit_length() - 1
        earliest = None
        while number < len(calls):
            call = calls[number]
            if earliest is not None and call.began > earliest:
                break
            if not done >> number & 1:
                earliest = call.ended if earliest is None else min(earliest, call.ended)
                result, after = model(state, call.name, call.args)
                if result == call.result:
                    todo.append((done | 1 << number, after))
            number += 1
    return False


def mapping_model(state: Any, name: str, args: tuple[Any, ...]) -> tuple[Any, Hashable]:
    """Do it to one key of a Dict; its state is its value, None if it is not there."""
    if name == "get":
        return state, state
    if name == "__setitem__":
        return None, args[1]
    if name == "increment":
        new = (state or 0) + args[1]
        return new, new
    if name == "setdefault":
        return (state, state) if state is not None else (args[1], args[1])
    if name == "compare_exchange":
        return (state == args[1], args[2] if state == args[1] else state)
    assert name == "pop"
    return (state if state is not None else args[1]), None


def deque_model(state: Any, name: str, args: tuple[Any, ...]) -> tuple[Any, Hashable]:
    """Do it to a Deque; its state is a tuple."""
    if name == "append":
        return None, (*state, args[0])
    if name == "appendleft":
        return None, (args[0], *state)
    if name == "extend":
        return None, (*state, *args[0])
    if name == "__len__":
        return len(state), state
    if not state:
        return "IndexError", state
    return (state[-1], state[:-1]) if name == "pop" else (state[0], state[1:])


def counter_model(state: Any, name: str, args: tuple[Any, ...]) -> tuple[Any, Hashable]:
    """Do it to a Counter of "a" and "b"; its state is the two counts."""
    a, b = state
    if name == "update":
        return None, (a + args[0].count("a"), b + args[0].count("b"))
    if name == "total":
        return a + b, state
    assert name == "increment"
    return (a + args[1], (a + args[1], b)) if args[0] == "a" else (b + args[1], (a, b + args[1]))
