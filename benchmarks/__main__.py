"""Print the figures as a Markdown table: ``make bench``."""

from __future__ import annotations

import os
import platform

from benchmarks import call, process


def main() -> None:
    """Measure everything and print it."""
    print(f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} CPUs")
    print()
    results = call.measure() + process.measure()
    print()
    print("| operation | courtyard ns | other ns | other | ratio | goal |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, own, other, peer, goal in results:
        ratio = own / other
        met = "met" if ratio <= goal else "MISSED"
        print(f"| {name} | {own:,.0f} | {other:,.0f} | {peer} | {ratio:.3f} | {goal:.3f} {met} |")
    share = process.idle_cpu()
    met = "met" if share < 0.005 else "MISSED"
    print(f"| idle waiting | {share:.2%} of a core | | | | 0.50% {met} |")


if __name__ == "__main__":
    main()
