"""Interpreters that end while objects are in every kind of place, and use them as they go."""

import sys

from tests.sides.play import LIMIT
from tests.support.children import run_command

# Where an object may be when an interpreter ends, and what then makes all calls on it.
PLACES = {
    "a global": "keeper = Keeper()",
    "a suspended generator": """
def suspended(keeper=Keeper()):
    try:
        yield
    finally:
        keeper.use()
generator = suspended()
next(generator)
""",
    "atexit": "import atexit; atexit.register(Keeper().use)",
    "weakref.finalize": "import weakref; kept = lambda: 0; weakref.finalize(kept, Keeper().use)",
    "a daemon thread": """
import threading
keeper = Keeper()
threading.Thread(target=keeper.use, args=(10**9,), daemon=True).start()
""",
    "a thread that goes on": """
import threading
threading.Thread(target=Keeper().use, args=(2,)).start()
""",
    "a thread-local": "import threading; local = threading.local(); local.keeper = Keeper()",
    "a module of its own": """
import types
sys.modules["kept"] = types.ModuleType("kept")
sys.modules["kept"].keeper = Keeper()
""",
    "a closure in a cycle": """
def make():
    keeper = Keeper()
    def closure():
        return keeper, closure
    return closure
make()
""",
    "an exception that nobody catches": "keeper = Keeper(); raise SystemExit",
    "an attribute of a builtin module": "sys.keeper = Keeper()",
    "a context variable": """
import contextvars
variable = contextvars.ContextVar("variable")
variable.set(Keeper())
""",
    "a child that is forked": """
import os
keeper = Keeper()
if child := os.fork():
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""",
}

SCRIPT = """
import sys, courtyard as cy
from tests.sides.member import Guest, invite, members, nobody, use

class Keeper:
    def __init__(self):
        classes = sys.argv[1].split()
        self.calls = [member for cls in classes for member in members(cls)]
        self.made = [(member, member.specimen()) for member in self.calls]
        for member, specimen in self.made:
            if member.cls == "Condition":
                specimen.release()  # else others would wait for this thread
        print("begun", flush=True)

    def use(self, times=1):
        for _ in range(times):
            for member, specimen in self.made:
                try:
                    member.call(specimen)
                except BaseException as error:
                    if type(error).__name__ == "PanicException":
                        sys.stderr.write("PANIC " + member.cls + "." + member.name)

    def __del__(self):
        self.use()

"""


def ends(place: str, classes: list[str]) -> str:
    """Let an interpreter end with objects of the classes in a place; return what is wrong."""
    command = [sys.executable, "-c", SCRIPT + PLACES[place], " ".join(classes)]
    try:
        done = run_command(command, limit=LIMIT, check=False)
    except AssertionError as error:
        return f"{place}: {error}"
    text = done.stdout + done.stderr
    wrong = [word for word in ("PANIC", "panicked", "Fatal", "Traceback") if word in done.stderr]
    # What it does after its modules are gone may raise; that is told, and is no fault of ours.
    if "Exception ignored" in done.stderr:
        wrong = [word for word in wrong if word != "Traceback"]
    if done.returncode != 0 or wrong or "begun" not in text:
        return f"{place}, {' '.join(classes)}: exit {done.returncode}, {wrong}:\n{text[-3000:]}"
    return ""
