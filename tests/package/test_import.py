"""What importing courtyard brings along."""

from tests.support.children import run_script

IMPORTED = (
    "import sys; before = set(sys.modules); import courtyard; print(*set(sys.modules) - before)"
)


def test_an_import_brings_little() -> None:
    modules = set(run_script(IMPORTED).stdout.split())
    assert "courtyard._native" in modules
    heavy = {"numpy", "ctypes", "multiprocessing", "pickle", "asyncio", "typing", "dataclasses"}
    assert modules & heavy == set()


def test_values_bring_no_numpy() -> None:
    program = """
import sys, pickle, courtyard
value = courtyard.Value("i")
courtyard.Value(object, [1]).statistics()
pickle.loads(pickle.dumps(value))
assert "numpy" not in sys.modules and "multiprocessing" not in sys.modules
"""
    run_script(program)
