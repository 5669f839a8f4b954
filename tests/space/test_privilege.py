"""A process that gives up its rights keeps all that it needs of the spaces it has open."""

import os
from pathlib import Path

import pytest

from tests.support.children import run_script

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")

# As a server does it: root opens, the workers become somebody else, or are locked into a folder.
PROGRAM = """
import gc, multiprocessing.popen_fork, multiprocessing.resource_tracker, os, signal, sys, time
import courtyard as cy
from tests.support.children import die_with_parent
from tests.object.test_sharing import eventually, in_fork

how, empty, kind = sys.argv[1:]
space = {"named": lambda: cy.Space("x"), "private": lambda: cy.Value("b").space}[kind]()
lock, d, n = space.Lock(), space.dict(), space.Value("q")
q, go = space.Queue(), space.Event()
space.check(), space.statistics(), repr(space), gc.collect()
in_fork(lambda: d.update(first=1))

def give_up():
    if "chroot" in how:
        os.chroot(empty)
        os.chdir("/")
    if "setuid" in how:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        die_with_parent()  # that was taken back

def fork(work):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent()
        work()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def hold(name):
    lock.acquire()
    d[name] = [os.getpid()] * 50
    signal.pause()

def recovers(name, who):
    # One that holds the lock is killed: the others get it, and not before.
    pid = fork(lambda: hold(name))
    assert eventually(lambda: name in d)
    assert not lock.acquire(timeout=0.2), who
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return pid

def work():
    give_up()
    d["big"] = b"x" * 3_000_000
    for turn in range(2):
        recovers(f"holder {turn}", "own child")
        assert lock.acquire(timeout=20) and lock.recovered
        lock.release()
    # A grandchild's child holds it, alive: it is not taken for dead.
    def sleeper():
        with lock:
            go.set()
            d["sleeper"] = 1
            assert q.get(timeout=20) == "end"
    assert in_fork(lambda: n.increment()) == 0
    def grandparent():
        pid = fork(sleeper)
        assert go.wait(20)
        assert not lock.acquire(timeout=0.2)
        q.put("end")
        assert ended(pid) == 0
        with lock:
            pass
    assert ended(fork(grandparent)) == 0
    # A child has what its parent drops at once.
    for turn in range(12):
        v = space.Value("i", 7)
        pid = fork(lambda: (time.sleep(0.001 * (turn % 3)), v.value == 7 or 1 / 0, n.increment()))
        v.close()
        del v
        assert ended(pid) == 0
    context = multiprocessing.get_context("fork")
    process = context.Process(target=n.increment)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert n.value == 14
    n.value = 0
    space.check()
    before = space.statistics().participants
    for _ in range(5):
        assert ended(fork(lambda: d.update(x=1))) == 0
    assert space.statistics().participants <= before

if how.startswith("self"):
    work()
else:
    worker = fork(work)
    assert ended(worker) == 0
    # A worker's own child dies with the lock: root, who has all rights, gets it.
    d.clear()
    def worker():
        give_up()
        pid = fork(lambda: hold("last"))
        assert eventually(lambda: "last" in d)
        assert go.wait(20)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        time.sleep(30)
    go.clear()
    pid = fork(worker)
    assert eventually(lambda: "last" in d)
    assert not lock.acquire(timeout=0.2)
    go.set()
    assert lock.acquire(timeout=20) and lock.recovered
    lock.release()
    # And two workers, of whom one dies with it.
    d.clear()
    first = fork(lambda: (give_up(), hold("first")))
    assert eventually(lambda: "first" in d)
    def second():
        give_up()
        assert not lock.acquire(timeout=0.2)
        d["ready"] = 1
        assert lock.acquire(timeout=20) and lock.recovered
        lock.release()
    second = fork(second)
    assert eventually(lambda: "ready" in d)
    os.kill(first, signal.SIGKILL)
    assert ended(second) == 0
    os.kill(pid, signal.SIGKILL)
    space.check()
"""


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("setuid", "named"),
        ("chroot", "private"),
        ("chroot-setuid", "named"),
        ("self-setuid", "private"),
        ("self-chroot", "named"),
    ],
)
def test_given_up_rights(tmp_path: Path, how: str, kind: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    env = {"COURTYARD_DIR": str(tmp_path / "folder")}
    run_script(PROGRAM, how, str(empty), kind, env=env, limit=50)


IMPORTED = """
import ctypes, os, pickle, queue, sys, threading
import courtyard as cy

class Own:
    pass

value, array, lock, barrier = cy.Value("i"), cy.Array("i", [1, 2]), cy.Lock(), cy.Barrier(1)
d, q, c, x, ns = cy.Dict(a=1), cy.Queue(1), cy.Condition(), cy.List("ba"), cy.Namespace(x=1)
counter, s, any_ = cy.Counter("a"), cy.Set("a"), cy.Value(object)
array[:]
os.chroot(sys.argv[1])

def raises(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"expected {error}")

q.put(Own())
raises(queue.Full, lambda: q.put_nowait(2))
assert isinstance(q.get(), Own)
raises(queue.Empty, q.get_nowait)
q.shutdown()
raises(Exception, q.get)
raises(RuntimeError, lock.release)
with lock, c:
    c.wait(0.01)
    c.notify_all()
barrier.abort()
raises(threading.BrokenBarrierError, barrier.wait)
d["b"], any_.value, ns.y = [1, {2: Own()}], Own(), Own()
assert d["b"][0] == 1 and isinstance(any_.value, Own) and isinstance(ns.y, Own)
raises(KeyError, lambda: d["none"])
value.increment()
assert value.wait_for(1) and array[:] == [1, 2]
x.sort()
counter.update("aa")
s |= {"b"}
for obj in (value, array, lock, barrier, d, q, c, x, ns, counter, s, any_):
    repr(obj)
again = pickle.loads(pickle.dumps(lock))
again.acquire()
child = os.fork()
if child == 0:
    assert again.locked() and value.increment() == 2
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("done")
"""


def test_what_is_to_be_imported_before(tmp_path: Path) -> None:
    """As the page on crash safety has it: in a chroot without Python's library."""
    script = tmp_path / "rights.py"
    script.write_text(IMPORTED, "utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_script(script, str(empty)).stdout == "done\n"
