"""A list that several processes read and write, and a deque."""

from __future__ import annotations

from benchmarks.call import ALONE, alone
from benchmarks.operation import Goal, Operation

TITLE = "List"


def one(name: str, title: str, *goals: Goal) -> Operation:
    """Return an operation of one process."""
    how = f"{ALONE}; 1,000 numbers are there"
    return Operation(
        name, title, f"list-{name}", alone, how, goals=goals, pinnings=("pinned",), rounds=3
    )


OPERATIONS = (
    one("get", "x[i]", Goal(1 / 400, "manager")),
    one("set", "x[i] = v", Goal(1 / 400, "manager")),
    one("end", "append and pop", Goal(1 / 400, "manager")),
    one("text", "append and pop, a text of 100 characters", Goal(1 / 50, "manager")),
    one("insert", "insert and delete in the middle", Goal(1 / 5, "manager")),
    one("many", "extend by 100, delete all"),
    one("line", "append and popleft of a deque"),
    one("bounded", "extend a bounded deque by 100"),
)
