"""On a full file system a container says so and changes nothing; what it gives up is room again."""

import os
import sys
from pathlib import Path

import pytest

from tests.object.test_memory import folder, mountable
from tests.support.builtin import needs
from tests.support.children import run_command

FULL = """
import sys
import courtyard as cy
from tests.support.builtin import plain, told

def refused(container, change):
    before, version = told(plain(container)), container.version
    try:
        change()
    except cy.SpaceFull:
        assert told(plain(container)) == before, "changed"
        assert container.version == version, "a new version"
    else:
        raise SystemExit("no SpaceFull")

d, x, q, s, c = cy.Dict(a=1), cy.List([1]), cy.Deque([1]), cy.Set("a"), cy.Counter("a")
d["large"] = b"x" * 2_000_000
kept, size = [], 4_000_000
while size >= 1:
    try:
        kept.append(cy.Value(object, "x" * size))
    except cy.SpaceFull:
        size //= 2
large = b"y" * 4_000_000
refused(d, lambda: d.__setitem__("a", large))
refused(d, lambda: d.__setitem__("new", large))
refused(d, lambda: d.update(a=2, b=3, c=large))
refused(d, lambda: d.setdefault("new", large))
refused(d, lambda: d.mutate("a", lambda _: large))
refused(d, lambda: d.compare_exchange("a", 1, large))
refused(x, lambda: x.append(large))
refused(x, lambda: x.extend([5, large]))
refused(x, lambda: x.__setitem__(0, large))
refused(x, lambda: x.__setitem__(slice(0, 1), [6, large]))
refused(x, lambda: x.insert(0, large))
refused(q, lambda: q.appendleft(large))
refused(s, lambda: s.add(large))
refused(s, lambda: s.update(["b", large]))
refused(c, lambda: c.update({"b": 1, large: 2}))
# Many small ones, until there is no room for one more.
written = {}
try:
    for number in range(10_000_000):
        d[number] = "z" * 40
        written[number] = "z" * 40
except cy.SpaceFull:
    pass
else:
    raise SystemExit("no SpaceFull")
assert {k: v for k, v in d.items() if isinstance(k, int)} == written, "not what was stored"
assert d["a"] == 1 and d.increment("a") == 2  # what needs no room goes on
d.check()
del d["large"]
x.append(b"y" * 1_000_000)
d["again"] = 1
assert (x.pop(), d["again"]) == (b"y" * 1_000_000, 1)
d.clear()
assert plain(d) == {}
d["large"] = b"x" * 2_000_000
d.check()
print("fine")
"""


@needs("Dict", "List", "Deque", "Set", "Counter")
@pytest.mark.skipif(not mountable(), reason="no tmpfs can be mounted here (unshare -m)")
def test_a_full_file_system(tmp_path: Path) -> None:
    made, script = folder(tmp_path), tmp_path / "full.py"
    script.write_text(FULL)
    mount = f"mount -t tmpfs -o size=16m,mode=0700 none {made} && exec {sys.executable} {script}"
    result = run_command(
        ["unshare", "-m", "sh", "-c", mount],
        env={"COURTYARD_DIR": str(made), "PYTHONPATH": os.getcwd()},
        limit=50,
        check=False,
    )
    assert result.stdout == "fine\n", result.stderr
