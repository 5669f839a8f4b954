"""Owners whose end is hard to see, owners who only look dead, and waiters who own something too."""

import ctypes
import gc
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.process.test_kill import KINDS, SIZE, belongings
from tests.support.campaign import LIMIT, Campaign
from tests.support.children import fork, kill, libc

pytestmark = pytest.mark.usefixtures("own_home")

Value: Any = cy.Value
GIBIBYTE = 1 << 30
SYS_EXIT = {"x86_64": 60, "aarch64": 93}.get(os.uname().machine)
CLONE_NEWPID, CLONE_NEWUSER = 0x20000000, 0x10000000


def pause() -> None:
    while True:
        signal.pause()


def state_of(pid: int) -> str:
    """Return the letter by which the kernel says how a process is."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Stage:
    """What an owner holds: a lock, a value's own lock, and values that nobody else has."""

    def __init__(self) -> None:
        self.lock, self.value, self.ready = cy.Lock(), Value("i"), Value("i")

    def take(self) -> None:
        assert self.lock.acquire(timeout=LIMIT) and self.value.acquire(timeout=LIMIT)
        self.kept = [Value(object, "x" * size) for size in (10, 1000, 100_000)]
        self.ready.value = 1

    def assert_held(self, seconds: float = 0.15) -> None:
        assert self.lock.acquire(timeout=seconds) is False
        assert self.value.acquire(timeout=0.01) is False
        assert self.lock.locked()

    def assert_free(self) -> float:
        """See that both locks are to be had, and that the death is told; return after how long."""
        began = time.monotonic()
        assert self.lock.acquire(timeout=LIMIT)
        seconds = time.monotonic() - began
        assert self.lock.recovered
        assert self.value.acquire(timeout=LIMIT)
        assert self.value.get_lock().recovered
        self.lock.release()
        self.value.release()
        return seconds


def owner_execs(stage: Stage, go: int) -> None:
    """Become another program, which lives on under the same PID."""
    stage.take()
    os.read(go, 1)
    os.dup2(go, 0)
    os.execvp("cat", ["cat"])


def owner_closes_all(stage: Stage, go: int) -> None:
    """Close every descriptor, as daemons do."""
    os.closerange(0, 10_000)
    stage.take()
    os.closerange(0, 10_000)
    pause()


def owner_waits(stage: Stage, go: int) -> None:
    stage.take()
    pause()


def owner_loses_its_first_thread(stage: Stage, go: int) -> None:
    """Live on in a second thread: the process looks like a zombie, and holds all that it held."""
    stage.take()
    threading.Thread(target=pause_in_thread).start()
    libc.syscall(SYS_EXIT, 0)


def pause_in_thread() -> None:
    while True:
        time.sleep(10)


def owner_has_a_child(stage: Stage, go: int) -> None:
    """Leave a forked child behind, which inherits every mapping and descriptor."""
    stage.take()
    if os.fork() == 0:
        os.read(go, 1)
        os._exit(0)
    pause()


def owner_has_a_program(stage: Stage, go: int) -> None:
    """Leave a program behind that was handed every descriptor."""
    stage.take()
    subprocess.Popen(["cat"], stdin=go, close_fds=False)
    pause()


def owner_has_memory(stage: Stage, go: int) -> None:
    """Own a gibibyte, which the kernel gives back before anybody learns of the death."""
    memory = b"x" * GIBIBYTE
    stage.take()
    assert len(memory) == GIBIBYTE
    pause()


def end_by_go(owner: int, go: int) -> None:
    os.write(go, b"!")


def end_as_zombie(owner: int, go: int) -> None:
    os.kill(owner, signal.SIGKILL)


def end_while_stopped(owner: int, go: int) -> None:
    os.kill(owner, signal.SIGSTOP)
    deadline = time.monotonic() + LIMIT
    while state_of(owner) != "T":
        assert time.monotonic() < deadline
    os.kill(owner, signal.SIGKILL)


Owner = Callable[[Stage, int], None]
End = Callable[[int, int], None]
OWNERS: dict[str, tuple[Owner, End, str, str]] = {
    # owner, its end, and how /proc says it is: while it owns, and when it does no more
    "exec": (owner_execs, end_by_go, "S", "S"),
    "zombie": (owner_waits, end_as_zombie, "S", "Z"),
    "stopped": (owner_waits, end_while_stopped, "S", "Z"),
    "no descriptors": (owner_closes_all, end_as_zombie, "S", "Z"),
    "no first thread": (owner_loses_its_first_thread, end_as_zombie, "Z", "Z"),
    "child left behind": (owner_has_a_child, end_as_zombie, "S", "Z"),
    "program left behind": (owner_has_a_program, end_as_zombie, "S", "Z"),
}


@contextmanager
def owned(owner: Owner) -> Iterator[tuple[Stage, int, int]]:
    """Have an odd child own a stage; yield both, and the pipe by which it is told to go on."""
    stage = Stage()
    ours, go = os.pipe()
    child = fork(owner, stage, ours)
    os.close(ours)
    try:
        assert stage.ready.wait_for(1, 30)
        yield stage, child, go
    finally:
        with suppress(BrokenPipeError):
            os.write(go, b"!")  # what is left behind reads that, and ends
        os.close(go)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("name", OWNERS)
def test_the_end_of_an_odd_owner_is_seen(name: str) -> None:
    """Alive it keeps all; dead, though its PID is still there, it keeps nothing."""
    owner, end, living, dead = OWNERS[name]
    if name == "no first thread" and SYS_EXIT is None:
        pytest.skip(f"the number of exit(2) on {os.uname().machine} is not known here")
    probe = Value("i")
    before = belongings(probe)
    with owned(owner) as (stage, child, go):
        deadline = time.monotonic() + LIMIT
        while state_of(child) != living:
            assert time.monotonic() < deadline, state_of(child)
        stage.assert_held()
        held = probe.statistics().space
        end(child, go)
        stage.assert_free()
        gc.collect()
        after = probe.statistics().space
        # A child left behind holds by itself what it inherited.
        heirs = name == "child left behind"
        assert after.participants == before["participants"] + heirs
        if not heirs:
            assert after.objects == held.objects - 3  # what the owner alone had
            assert after.used < held.used - 100_000
        assert state_of(child) == dead
    del stage
    deadline = time.monotonic() + LIMIT
    while belongings(probe) != before:
        assert time.monotonic() < deadline, (belongings(probe), before)
        time.sleep(0.01)


def available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


@pytest.mark.skipif(available() < 2 * GIBIBYTE, reason="less than 2 GiB of memory are available")
def test_an_owner_of_a_gibibyte() -> None:
    with owned(owner_has_memory) as (stage, child, _):
        stage.assert_held()
        os.kill(child, signal.SIGKILL)
        assert stage.assert_free() < 5


STOPPED = 10.0 if SIZE == "full" else 1.5


def hold_and_go_on(stage: Stage, done: Any) -> None:
    stage.take()
    assert stage.ready.wait_for(2, 60)
    # All of it is still its own.
    assert [len(value.value) for value in stage.kept] == [10, 1000, 100_000]
    with cy.Lock():
        stage.kept[0].value = "y" * 50_000
    stage.value.increment()
    stage.value.release()
    stage.lock.release()
    done.value = 1


def wait_long(stage: Stage, got: Any) -> None:
    with stage.lock:
        assert stage.lock.recovered is False
        got.value = 1


@pytest.mark.limit(60 + STOPPED)
def test_a_stopped_owner_is_never_reaped() -> None:
    """However long others wait, and whoever tidies up meanwhile."""
    stage, done, got = Stage(), Value("i"), Value("i")
    owner = fork(hold_and_go_on, stage, done)
    assert stage.ready.wait_for(1, 30)
    os.kill(owner, signal.SIGSTOP)
    waiter = fork(wait_long, stage, got)
    participants = stage.ready.statistics().space.participants
    began = time.monotonic()
    busy = threading.Thread(target=start_and_sweep, args=(stage, began + STOPPED * 0.8))
    busy.start()
    stage.assert_held(STOPPED)
    assert time.monotonic() - began >= STOPPED
    busy.join()
    assert stage.ready.statistics().space.participants == participants
    assert (done.value, got.value) == (0, 0)
    stage.ready.value = 2
    os.kill(owner, signal.SIGCONT)
    for child, word in ((owner, done), (waiter, got)):
        assert word.wait_for(1, 30)
        assert os.waitpid(child, 0)[1] == 0
    assert stage.lock.acquire(timeout=LIMIT) and stage.lock.recovered is False
    assert stage.value.acquire(timeout=LIMIT) and stage.value.get_lock().recovered is False
    assert stage.value.value == 1
    stage.value.check()


def start_and_sweep(stage: Stage, deadline: float) -> None:
    """Give everybody a reason to look for the dead."""
    while time.monotonic() < deadline:
        kill(fork(pause))
        stage.ready.check()
        time.sleep(0.05)


def link(locks: list[Any], place: int, ready: Any, got: list[Any]) -> None:
    """Hold a lock and wait for the one before."""
    assert locks[place].acquire(timeout=LIMIT)
    ready.increment()
    assert ready.wait_for(len(locks), 30)
    if place:
        assert locks[place - 1].acquire(timeout=4 * LIMIT)
        got[place].value = 1 + locks[place - 1].recovered
    pause()


@pytest.mark.limit(180)
def test_reapers_that_hold_other_locks() -> None:
    """Each of a row holds a lock and waits for its neighbour's; some of them are killed at once.

    Who waits for the dead gets its lock and keeps its own; who waits for the living goes on
    waiting, whatever its neighbour takes over meanwhile.
    """
    length, chance, probe = 6, random.Random(6), Value("i")
    locks = [cy.Lock() for _ in range(length)]
    for _ in range(40 if SIZE == "full" else 5):
        ready, got = Value("i"), [Value("i") for _ in range(length)]
        row = {place: fork(link, locks, place, ready, got) for place in range(length)}
        assert ready.wait_for(length, 30)
        if chance.random() < 0.5:
            time.sleep(0.05)  # they sleep on their locks by now
        for number in (chance.randint(1, 3), 1):
            for place in chance.sample(sorted(row), number):
                os.kill(row[place], signal.SIGKILL)
                os.waitpid(row.pop(place), 0)
            for place in row:
                if place and place - 1 not in row:
                    assert got[place].wait_for(2, LIMIT), f"{place} does not get what is free"
        for place in range(length):
            # Free is what no living neighbour held, nor one took over.
            free = place not in row and place + 1 not in row
            taken = locks[place].acquire(timeout=LIMIT if free else 0.02)
            assert taken is free, (place, sorted(row))
            if taken:
                assert locks[place].recovered
                locks[place].release()
            if place in row and place - 1 in row:
                assert got[place].value == 0
        for child in row.values():
            kill(child)
        for lock in locks:
            assert lock.acquire(timeout=LIMIT)
            lock.release()
        probe.check()
    assert probe.statistics().space.participants == 1


@contextmanager
def namespace() -> Iterator[None]:
    """Have the children forked meanwhile be the first of a new PID namespace."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWPID) != 0:
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWPID)")
        yield
        if libc.setns(own, CLONE_NEWPID) != 0:
            raise OSError(ctypes.get_errno(), "setns(CLONE_NEWPID)")
    finally:
        os.close(own)


def first(target: Callable[..., object], *args: Any) -> None:
    assert os.getpid() == 1
    target(*args)


def fork_as_first(target: Callable[..., object], *args: Any) -> int:
    """As ``fork()``; the child is PID 1 of a namespace of its own."""
    with namespace():
        return fork(first, target, *args)


def has_namespaces() -> bool:
    def attempt() -> None:
        os._exit(
            libc.unshare(CLONE_NEWPID) != 0 and libc.unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0
        )

    return os.waitpid(fork(attempt), 0)[1] == 0


NAMESPACES = pytest.mark.skipif(not has_namespaces(), reason="no PID namespace: unshare(2) fails")


def with_namespaces(test: Callable[[], None]) -> None:
    """Run a test in a child, which may need a user namespace to make PID namespaces."""

    def run() -> None:
        probe = fork(lambda: os._exit(libc.unshare(CLONE_NEWPID) != 0))
        if os.waitpid(probe, 0)[1] != 0:
            assert libc.unshare(CLONE_NEWUSER) == 0
        test()

    assert os.waitpid(fork(run), 0)[1] == 0


COLLIDING_KILLS = {"small": 300, "full": 1000}.get(SIZE, 60)


@NAMESPACES
@pytest.mark.limit(60 + COLLIDING_KILLS / 4)
def test_kills_among_colliding_pids() -> None:
    """All workers are PID 1, each in its own namespace; they wait for and recover each other."""
    with_namespaces(kill_among_colliding_pids)


def kill_among_colliding_pids() -> None:
    campaign = Campaign(KINDS, seed=1, fork=fork_as_first)
    while campaign.kills < COLLIDING_KILLS:
        campaign.turn()
    campaign.prove_progress()
    campaign.end()
    probe = Value("i")
    probe.check()
    assert campaign.changes > COLLIDING_KILLS
    assert probe.statistics().space.participants == 2  # and the test's own process


@NAMESPACES
def test_a_pid_that_is_used_again() -> None:
    """The dead owner, who waits for it, and a bystander have the same PID."""
    with_namespaces(use_a_pid_again)


def use_a_pid_again() -> None:
    for _ in range(5):
        stage, got = Stage(), Value("i")
        owner = fork_as_first(owner_waits, stage, -1)
        assert stage.ready.wait_for(1, 30)
        others = [fork_as_first(pause), fork_as_first(take_over, stage, got)]
        assert got.wait_for(1, LIMIT)
        kill(owner)
        assert got.wait_for(2, LIMIT)
        stage.assert_held(0.05)
        for other in others:
            kill(other)
        stage.assert_free()


def take_over(stage: Stage, got: Any) -> None:
    stage.assert_held(0.05)
    got.value = 1
    assert stage.lock.acquire(timeout=LIMIT) and stage.lock.recovered
    assert stage.value.acquire(timeout=LIMIT) and stage.value.get_lock().recovered
    got.value = 2
    pause()
