"""Calls that come while the interpreter ends: from ``__del__``, generators, atexit, daemon threads.

Whatever they come to, nothing may be thrown through C: that is SIGABRT, exit status -6.
"""

import os
import time
from decimal import Decimal
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import run_script

PREPARE = """
# Nothing here may need more than the fast paths: what PyO3 does first when it takes the GIL makes
# later calls safe on some versions of Python.
import atexit, decimal, sys, threading, weakref
import courtyard as cy

space = cy.Space("@NAME@")
objects = {name: space[name] for name in space}
leased, shared = objects["leased"], objects["shared"]
huge = b"z" * (3 << 20)

def calls():
    o = objects
    yield lambda: o["value"].value
    yield lambda: setattr(o["value"], "value", "no number")
    yield lambda: o["value"].increment(2)
    yield lambda: o["anything"].set([1, object])
    yield lambda: o["anything"].get()
    yield lambda: o["text"].set("b" * 9999)
    yield lambda: o["array"].__setitem__(slice(None), [1.0, 2.0, 3.0, 4.0])
    yield lambda: o["array"][9]
    yield lambda: list(o["array"])
    yield lambda: o["array"].get_lock().__enter__()
    yield lambda: o["row"].__setitem__(0, "no number")
    yield lambda: o["table"].__setitem__("k", [1])
    yield lambda: o["table"].__setitem__("k", huge)
    yield lambda: o["table"].__setitem__("k", decimal.Decimal(1))
    yield lambda: o["table"]["k"]
    yield lambda: o["table"].pop("k")
    yield lambda: o["table"]["missing"]
    yield lambda: o["table"][[]]
    yield lambda: o["table"].get("b", 3)
    yield lambda: [] in o["table"]
    yield lambda: o["table"].increment("c", [2])
    yield lambda: o["table"].mutate("a", lambda n: n + 1)
    yield lambda: o["table"].update(z=[1], y=2)
    yield lambda: o["table"].popitem()
    yield lambda: o["table"].clear()
    yield lambda: o["nested"].__setitem__("n", {"m": []})
    yield lambda: o["nested"]["a"]["b"]
    yield lambda: o["counter"].update("abc")
    yield lambda: o["members"].add((1, 2))
    yield lambda: o["members"].pop()
    yield lambda: setattr(o["names"], "y", [1])
    yield lambda: o["names"].missing
    yield lambda: o["row_of"].append([1])
    yield lambda: o["row_of"].append(huge)
    yield lambda: o["row_of"][3]
    yield lambda: o["row_of"]["no index"]
    yield lambda: o["row_of"].pop(1)
    yield lambda: o["row_of"].sort(key=str)
    yield lambda: len(o["row_of"])
    yield lambda: o["ends"].appendleft([1])
    yield lambda: o["ends"].popleft()
    yield lambda: o["ends"].rotate(2)
    for name in ("queue", "last", "least"):
        yield lambda name=name: o[name].put([1], timeout=0)
        yield lambda name=name: o[name].get()
        yield lambda name=name: o[name].get(timeout=0)
        yield lambda name=name: o[name].get_nowait()
        yield lambda name=name: o[name].get_many(9, 0)
        yield lambda name=name: o[name].get(timeout=0.001)
    yield lambda: o["small"].put(1)
    yield lambda: o["small"].put(1, timeout=0.001)
    yield lambda: o["small"].put_nowait(huge)
    for _ in range(5):
        yield lambda: o["big"].get()
    yield lambda: o["big"].put(huge)
    yield lambda: o["big"].put([o["event"]])
    yield lambda: o["big"].put_many([1, "a", [2]])
    yield lambda: o["big"].task_done()
    yield lambda: leased.lease().__enter__()
    yield lambda: o["lock"].acquire(timeout=0.001)
    yield lambda: o["lock"].release()
    yield lambda: o["lock"].release()
    yield lambda: o["again"].acquire()
    yield lambda: o["again"].release()
    yield lambda: o["again"].release()
    yield lambda: o["permits"].acquire(timeout=0)
    yield lambda: o["permits"].release(-1)
    yield lambda: o["condition"].wait(0.001)
    yield lambda: o["condition"].acquire()
    yield lambda: o["condition"].wait(0.001)
    yield lambda: o["condition"].notify()
    yield lambda: o["event"].wait(0.001)
    yield lambda: o["event"].set()
    yield lambda: o["barrier"].wait(0.1)
    yield lambda: shared["lock"].acquire(False)
    yield lambda: shared["list"].append(1)
    yield lambda: shared.__setitem__("event", o["event"])
    yield lambda: cy.Dict(a=1)
    yield lambda: cy.Value(object, [1])
    yield lambda: cy.Space().close()
    yield lambda: o["table"].statistics()
    yield lambda: o["table"].check()
    for name in sorted(o):
        yield lambda name=name: repr(o[name])
        yield lambda name=name: o[name].wait_for(lambda found: True, 0.001)
        yield lambda name=name: o[name].__reduce__()
        yield lambda name=name: o[name].close()
        yield lambda name=name: o[name].__reduce__()

done = []

def call_all(calls=calls, done=done, write=sys.stdout.write, flush=sys.stdout.flush):
    for call in calls():
        try:
            call()
        except Exception:
            pass
    write("called ")
    flush()
"""

EACH = """
# Each call by itself, in a child that ends as interpreters do.
import os
failed = []
class Last:
    def __del__(self):
        if self.call:
            try:
                self.call()
            except Exception:
                pass
last = Last()
for number, last.call in enumerate(calls()):
    child = os.fork()
    if not child:
        failed = []
        break
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        failed.append((number, status))
else:
    last.call = None
    sys.stdout.write("called ")
if failed:
    sys.exit(f"calls that ended with a status: {failed}")
"""

WAYS = {
    "each by itself": EACH,
    "__del__ of a global": """
class Last:
    def __del__(self, call_all=call_all):
        call_all()
last = Last()
""",
    "__del__ in a cycle of a global": """
class Last:
    def __del__(self, call_all=call_all):
        call_all()
last = Last()
last.me = last
""",
    "finally of a suspended generator": """
def wait(call_all=call_all):
    try:
        yield
    finally:
        call_all()
waiting = wait()
next(waiting)
held = leased.lease()
held.__enter__()
""",
    "atexit": """
atexit.register(call_all)
""",
    "weakref.finalize and a thread's own object": """
class Last:
    pass
last = Last()
weakref.finalize(last, call_all)
class There:
    def __del__(self, call_all=call_all):
        call_all()
own = threading.local()
own.last = There()
""",
    "daemon threads that wait": """
import time
ready = []
def waiter(wait):
    ready.append(1)
    try:
        wait()
    finally:
        pass
empty, full, held = cy.Queue(), cy.Queue(1), cy.Lock()
full.put(1)
held.acquire()
sorted_, stack = cy.PriorityQueue(), cy.LifoQueue()
def with_condition(condition=cy.Condition()):
    with condition:
        condition.wait()
def lease(queue=cy.Queue()):
    with queue.lease():
        pass
def busy(d=cy.Dict(), q=cy.Queue()):
    while True:
        d["a"] = [1]
        q.put(huge[:9999])
        q.get()
waits = [
    empty.get, sorted_.get, stack.get, lambda: full.put(huge), held.acquire, with_condition, lease,
    cy.Barrier(2).wait, cy.Event().wait, cy.Semaphore(0).acquire, full.join, busy, busy,
    lambda: cy.Value("i", 0).wait_for(1), lambda: cy.Dict().wait_for(lambda d: len(d)),
    lambda: cy.List().wait_for(lambda x: len(x) > 0, 100), lambda: empty.get_many(3),
]
for wait in waits:
    threading.Thread(target=waiter, args=(wait,), daemon=True).start()
while len(ready) < len(waits):
    time.sleep(0.001)
time.sleep(0.05)
sys.stdout.write("called ")
""",
}


def prepare(space: cy.Space) -> None:
    """Make an object of each type, with something in it."""

    def make(cls: Any, name: str, *arguments: Any) -> Any:
        return cls.named(name, *arguments, space=space)

    make(cy.Value, "value", "i", 1)
    make(cy.Value, "anything", object, [1])
    make(cy.Value, "text", str, "a" * 99)
    make(cy.Array, "array", "d", 4)
    make(cy.Array, "row", "i", 4)
    make(cy.Dict, "table", {"a": 1, "b": "x" * 99, "c": [1]})
    make(cy.NestedDict, "nested", {"a": {"b": 1}})
    make(cy.Counter, "counter", "aab")
    make(cy.Set, "members", "abc")
    make(cy.Namespace, "names").x = 1
    make(cy.List, "row_of", [1, "x" * 99, [2], Decimal(3)])
    make(cy.Deque, "ends", [1, "y" * 99, [2]])
    for cls, name in (
        (cy.Queue, "queue"),
        (cy.LifoQueue, "last"),
        (cy.PriorityQueue, "least"),
        (cy.Queue, "big"),
        (cy.Queue, "leased"),
    ):
        make(cls, name).put_many([7, 8])
    lock = make(cy.Lock, "lock")
    for item in (b"z" * (3 << 20), Decimal(5), [lock]):
        space["big"].put(item)
    make(cy.Queue, "small", 1)
    make(cy.RLock, "again")
    make(cy.Semaphore, "permits", 2)
    make(cy.Condition, "condition")
    make(cy.Event, "event")
    make(cy.Barrier, "barrier", 1)
    make(cy.Dict, "shared", {"lock": lock})


@pytest.mark.parametrize("way", WAYS)
def test_exits_with_status_0(way: str) -> None:
    """Each kind of call of each type, from where programs are taken apart."""
    name = f"exit-{os.getpid()}-{list(WAYS).index(way)}"
    with cy.Space(name) as space:
        prepare(space)
        program = PREPARE.replace("@NAME@", name) + WAYS[way]
        run = run_script(program, limit=50, check=False)
        space.destroy()
    assert run.returncode == 0, run.stderr[-2000:]
    assert "called" in run.stdout, run.stderr[-2000:]
    assert "panicked" not in run.stderr, run.stderr[-2000:]


DAEMONS = """
import threading, time
import courtyard as cy

class Slow:
    def __init__(self, n=0): self.n = n
    def spend(self): return [x for x in range(50)] and self.n
    def __reduce__(self): return Slow, (self.spend(),)
    def __eq__(self, other): return self.spend() == other.n
    def __hash__(self): return self.spend()
    def __lt__(self, other): return self.spend() < other.n

d, x, q, v = cy.Dict(a=[1]), cy.List(range(20)), cy.PriorityQueue(), cy.Value(object, Slow())
q.put_many([Slow(n) for n in range(9)])
calls = [
    lambda: d.mutate("a", lambda value: [Slow().spend() for _ in range(9)]),
    lambda: d.update({Slow(1): Slow()}),
    lambda: x.sort(key=lambda n: Slow(n).spend()),
    lambda: q.put(q.get()),
    lambda: v.compare_exchange(Slow(1), Slow(2)),
    lambda: d.wait_for(lambda d: Slow().spend(), 0.001),
]
def loop(call):
    while True:
        call()
for call in calls:
    threading.Thread(target=loop, args=(call,), daemon=True).start()
time.sleep(0.02)
print("ends")
"""


def test_daemon_threads_come_out_of_calls_before_the_interpreter_ends() -> None:
    """Before Python 3.14 the process aborted, in two of three runs."""
    for _ in range(6):
        run = run_script(DAEMONS, limit=50, check=False)
        assert (run.returncode, run.stdout) == (0, "ends\n"), run.stderr[-2000:]


def test_daemon_threads_that_wait_do_not_hold_the_end_up() -> None:
    program = """
import threading, time
import courtyard as cy
for wait in (cy.Queue().get, cy.Event().wait, lambda: cy.Dict().wait_for(len), cy.Barrier(2).wait):
    threading.Thread(target=wait, daemon=True).start()
time.sleep(0.05)
import atexit  # called first, as it is registered last
atexit.register(lambda: print(time.monotonic(), flush=True))
"""
    fastest = 60.0
    for _ in range(5):
        run = run_script(program, limit=50)
        fastest = min(fastest, time.monotonic() - float(run.stdout))
    assert fastest < 0.9, "the end waits a second for calls that do not come back"


def test_what_waits_for_many_calls_at_exit_is_not_held_up() -> None:
    """A function of atexit from before the import runs last; another thread calls on for it."""
    program = """
import atexit, threading, time

def finish():
    begun = time.monotonic()
    go.set()
    thread.join()
    print(d["a"], time.monotonic() - begun)

atexit.register(finish)
import courtyard as cy
d, go = cy.Dict(a=0), threading.Event()

def work():
    go.wait()
    for _ in range(200):
        d.mutate("a", lambda n: n + 1)

thread = threading.Thread(target=work, daemon=True)
thread.start()
"""
    run = run_script(program, limit=50)
    done, took = run.stdout.split()
    assert int(done) == 200
    assert float(took) < 20, "each call stood aside"


ENDLESS = """
import atexit, sys, threading, time
if "@WAY@" == "atexit":
    atexit.register(time.sleep, 3)  # registered before the import: it runs after ours
import courtyard as cy

begun = []

def spend():
    begun.append(1)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        pass
    return 1

class Slow:
    def __init__(self, n=0): self.n = n
    def __reduce__(self): spend(); return Slow, (1,)
    def __eq__(self, other): return spend() == 2
    def __hash__(self): return spend()
    def __lt__(self, other): return spend() == 2
    def __iter__(self): return self
    def __next__(self): return spend()
    def __len__(self): return spend()
    def __index__(self): return spend()
    def __float__(self): return float(spend())
    def __bool__(self): return spend() == 1

def load(n):
    return spend()

class Loads:
    def __reduce__(self): return load, (1,)

class Last:
    def __del__(self, sleep=time.sleep): sleep(1)

last = Last()
space = cy.Space()
d, x, q, v = cy.Dict(a=[1]), cy.List(range(20)), cy.Queue(), cy.Value(object, 1)
loads, kept, full = cy.Value(object, Loads()), cy.Dict(a=Loads()), cy.Queue()
full.put(Loads())
number, real, row, lock = cy.Value("i", 1), cy.Value("d"), cy.Array("i", 5), cy.Lock()
permits, event, members, least = cy.Semaphore(1), cy.Event(), cy.Set(), cy.PriorityQueue()
calls = [
    lambda: cy.Value(object, Slow()), lambda: cy.List(Slow()), lambda: cy.Dict({1: Slow()}),
    lambda: cy.Array("i", Slow()), lambda: cy.Queue(Slow()), lambda: cy.Semaphore(Slow()),
    lambda: cy.Barrier(Slow()), lambda: space.named("x", cy.Value, object, Slow()),
    lambda: v.set(Slow()), lambda: loads.get(), lambda: number.set(Slow()),
    lambda: number.increment(Slow()), lambda: real.set(Slow()), lambda: row.__setitem__(0, Slow()),
    lambda: row[Slow()], lambda: row.__setitem__(slice(0, 2), Slow()), lambda: kept["a"],
    lambda: Slow() in d, lambda: d.get(Slow()), lambda: d.__setitem__("a", Slow()),
    lambda: d.__setitem__(Slow(), 1), lambda: list(kept.values()), lambda: d.update(Slow()),
    lambda: full.get(), lambda: q.put(Slow()), lambda: q.get(timeout=Slow()),
    lambda: x.append(Slow()), lambda: x[Slow()], lambda: x.extend(Slow()), lambda: x.index(Slow()),
    lambda: x.insert(Slow(), 1), lambda: x.sort(key=lambda n: spend()), lambda: members.add(Slow()),
    lambda: event.wait(Slow()), lambda: permits.acquire(timeout=Slow()),
    lambda: lock.acquire(Slow()), lambda: permits.release(Slow()),
    lambda: event.wait_for(lambda event: spend() == 0, 9), lambda: least.put_many([Slow(), Slow()]),
    lambda: d.mutate("a", lambda n: spend()), lambda: v.compare_exchange(Slow(), 1),
    lambda: cy.Barrier(1, action=spend).wait(), lambda: number.wait_for(lambda n: spend() == 0, 9),
]

def loop(call):
    while True:
        try:
            call()
        except Exception:
            pass

sys.setswitchinterval(0.0005)
for call in calls:
    threading.Thread(target=loop, args=(call,), daemon=True).start()
while len(begun) < len(calls) // 2:
    time.sleep(0.01)
print("ends")
"""


@pytest.mark.parametrize("way", ["at once", "atexit"])
def test_daemon_threads_whose_code_never_ends_do_not_abort_the_process(way: str) -> None:
    """Whatever call of ours lies below the program's code, and however long the end takes."""
    program = ENDLESS.replace("@WAY@", way)
    run = run_script(program, limit=55, check=False)
    assert (run.returncode, run.stdout) == (0, "ends\n"), run.stderr[-2000:]


def test_a_signal_that_the_program_uses_is_its_own_at_exit() -> None:
    program = """
import atexit, signal, threading, time
atexit.register(lambda: print(seen, signal.getsignal(signal.SIGURG) is note))
import courtyard as cy
seen = []
def note(number, frame):
    seen.append(number)
signal.signal(signal.SIGURG, note)
d = cy.Dict(a=1)
threading.Thread(target=d.mutate, args=("a", lambda n: time.sleep(60)), daemon=True).start()
time.sleep(0.1)
"""
    run = run_script(program, limit=50, check=False)
    assert (run.returncode, run.stdout) == (0, "[] True\n"), run.stderr[-2000:]
