"""The rounds' figures summed up: medians, spread, ratios, goals. All that is written is here."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from benchmarks import workload
from benchmarks.operation import Goal
from benchmarks.run import Cell, Plan

OURS, FLOOR, BEST = "courtyard", "floor", "best"

Report = dict[str, Any]
Summary = dict[str, Any]


def summary(cell: Cell) -> Summary:
    """Return a cell's median and quartiles, and what went wrong in it."""
    values = [figure["value"] for figure in cell.figures]
    spread = statistics.quantiles(values, method="inclusive") if len(values) > 1 else values * 3
    lost = [figure["lost"] for figure in cell.figures]
    return {
        "operation": cell.key,
        "offer": cell.operation.offer,
        "peer": cell.peer,
        "variant": cell.variant,
        "pinning": cell.pinning,
        "what": cell.what,
        "median": statistics.median(values) if values else None,
        "quartiles": [spread[0], spread[2]] if values else None,
        "lost": statistics.median(lost) if lost else 0.0,
        "unsafe": False,
        "failures": cell.failures,
        "skipped": cell.skipped,
        "rounds": cell.figures,
    }


def mark(cells: list[Summary]) -> None:
    """Mark the cells whose code loses updates, also where one process is alone with it."""

    def code(cell: Summary) -> tuple[str, ...]:
        return cell["offer"], cell["peer"], cell["variant"]

    losers = {code(cell) for cell in cells if any(round["lost"] for round in cell["rounds"])}
    for cell in cells:
        cell["unsafe"] = code(cell) in losers


def sound(cell: Summary) -> bool:
    """Say whether others may be measured by this cell: it did what it was asked to."""
    return cell["median"] is not None and not cell["failures"] and not cell["unsafe"]


def ratio(cell: Summary, base: Summary | None) -> float | None:
    """Return how many times the base a cell takes; None if noise has made either of them 0."""
    if base is None or None in (cell["median"], base["median"]):
        return None
    if min(cell["median"], base["median"]) <= 0:
        return None
    return float(cell["median"] / base["median"])


def least(cells: Iterable[Summary]) -> Summary | None:
    """Return the fastest cell."""
    found = [cell for cell in cells if cell["median"] is not None]
    return min(found, key=lambda cell: float(cell["median"]), default=None)


def compare(cells: list[Summary]) -> None:
    """Add, to the cells of one operation and pinning, their ratios to the best peer and the floor.

    The best peer is the fastest of the others that did what they were asked to.
    """
    best = best_peer(cells)
    floor = least(cell for cell in cells if cell["peer"] == FLOOR)
    for cell in cells:
        cell |= {"best": ratio(cell, best), "floor": ratio(cell, floor)}


def best_peer(cells: Iterable[Summary]) -> Summary | None:
    """Return the fastest of the others that did what they were asked to."""
    return least(cell for cell in cells if cell["peer"] not in (OURS, FLOOR) and sound(cell))


def judge(operation: str, goal: Goal, pinning: str, cells: list[Summary]) -> dict[str, Any]:
    """Return a goal, the figure it is about and whether it was met; None if that isn't known."""

    def find(key: str, peer: str) -> Summary | None:
        names = (key, pinning, *peer.partition(":")[::2])
        parts = ("operation", "pinning", "peer", "variant")
        return next((c for c in cells if tuple(c[part] for part in parts) == names), None)

    ours = find(operation, OURS)
    beside = goal.beside or (OURS if goal.own else None)
    if goal.beside == BEST:
        here = (operation, pinning)
        theirs = best_peer(c for c in cells if (c["operation"], c["pinning"]) == here)
    else:
        theirs = find(goal.own or operation, beside or "")
    figure = None
    if ours and sound(ours):
        figure = ours["median"] if beside is None else ratio(ours, theirs)
    return {
        "operation": operation,
        "pinning": pinning,
        "beside": beside,
        "own": goal.own,
        "what": theirs["what"] if theirs else "",
        "limit": goal.limit,
        "figure": figure,
        "met": None if figure is None else figure <= goal.limit,
    }


def sum_up(
    plan: Plan, machine: dict[str, Any], peers: dict[str, dict[str, Any]], cells: list[Cell]
) -> Report:
    """Return the report, of plain types only."""
    summaries = [summary(cell) for cell in cells]
    mark(summaries)
    operations = plan.wanted()
    goals = []
    for key, operation in operations:
        for pinning in operation.pinnings:
            compare([c for c in summaries if (c["operation"], c["pinning"]) == (key, pinning)])
            goals += [judge(key, goal, pinning, summaries) for goal in operation.goals]
    return {
        "machine": machine,
        "plan": asdict(plan),
        "peers": peers,
        "workloads": {name: workload.title(name) for name in plan.workloads},
        "operations": {
            key: {"title": o.title, "how": o.how, "unit": o.unit, "workload": key.split("/")[0]}
            for key, o in operations
        },
        "goals": goals,
        "cells": summaries,
    }


def dump(report: Report) -> str:
    """Return the report as JSON, with a line for each cell and each goal."""
    parts = []
    for name, part in report.items():
        lines = ",\n ".join(json.dumps(item) for item in part) if isinstance(part, list) else ""
        text = f"[\n {lines}\n]" if lines else json.dumps(part, indent=1)
        parts.append(f"{json.dumps(name)}: {text}")
    return "{" + ",\n".join(parts) + "}\n"
