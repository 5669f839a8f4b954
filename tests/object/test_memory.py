"""What is no longer held is free again; what is full says so and changes nothing."""

import gc
import multiprocessing
import os
import subprocess
import sys
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_sharing import count_objects, eventually
from tests.support.children import join, run_command, run_script, start

Value: Any = cy.Value
# They compare what is in the space.
pytestmark = pytest.mark.usefixtures("own_home")


def space_of(probe: Any) -> Any:
    gc.collect()
    return probe.statistics().space


def test_the_last_handle_frees() -> None:
    probe = Value("i")
    warm = [Value("i") for _ in range(160)]  # the space's tables have grown
    del warm
    before = space_of(probe)
    values = [Value("i") for _ in range(50)]
    values += [Value(object, "x" * 5000) for _ in range(50)]
    values += [Value(object, "y" * 2_000_000)]
    locks = [cy.Lock() for _ in range(50)]
    after = space_of(probe)
    assert after.objects == before.objects + 151
    assert after.used > before.used + 2_000_000
    for value in values[:70]:
        value.close()
    del values, locks, value
    after = space_of(probe)
    assert (after.objects, after.live_blocks) == (before.objects, before.live_blocks)
    assert after.used == before.used


def test_a_smaller_object_frees_the_larger() -> None:
    value = Value(object)
    before = space_of(value)
    for size in (10, 1000, 100_000, 3_000_000):
        value.value = b"x" * size
    assert space_of(value).used > before.used + 3_000_000
    value.value = None
    assert space_of(value).used == before.used


def test_memory_is_used_again() -> None:
    """A hundred thousand values, one after the other, and large ones, in the room of a few."""
    probe = Value("i")
    for _ in range(100):
        Value("i")
    before = space_of(probe)
    for _ in range(100_000):
        Value("i")
    large = Value(object)
    for _ in range(200):
        large.value = b"x" * 1_000_000
    del large
    after = space_of(probe)
    assert after.objects == before.objects
    assert after.used == before.used
    assert after.size <= before.size + 8_000_000
    assert os.stat(own_file()).st_blocks * 512 < before.size + 16_000_000


def own_file() -> Path:
    """Return the file of this process's own space."""
    import pickle

    path = Path(pickle.loads(pickle.dumps(Value("i")))._address()[0])
    assert path.parent == Path(os.environ["COURTYARD_DIR"])
    return path


def hold(values: Any, ready: Any) -> None:
    own = [Value(object, "x" * 10_000) for _ in range(10)]
    values += own
    ready.value = 1
    ready.wait_for(2)


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_the_last_holder_frees_however_it_ends(ctx: BaseContext, end: str) -> None:
    probe, ready = Value("i"), Value("i")
    before = space_of(probe)
    values = [Value("i", 5), Value(object, "x" * 100_000), cy.Lock()]
    child = start(ctx, hold, values, ready)
    child._args = ()  # type: ignore[attr-defined]
    assert ready.wait_for(1, 30)
    del values
    held = space_of(probe)
    assert held.objects >= before.objects + 3
    assert held.used > before.used + 100_000
    if end == "kill":
        child.kill()
        child.join(10)
    else:
        ready.value = 2
        join(child)
    assert eventually(lambda: count_objects(probe) == before.objects)
    after = space_of(probe)
    assert after.live_blocks == before.live_blocks
    assert after.tickets == before.tickets
    assert after.participants <= before.participants
    cy.check(probe)


def test_pickles_under_way_keep_their_object() -> None:
    import pickle

    probe = Value("i")
    objects, tickets = space_of(probe).objects, space_of(probe).tickets
    value = Value(object, "under way")
    data = pickle.dumps(value)
    assert space_of(probe).tickets == tickets + 1
    del value
    assert count_objects(probe) == objects + 1
    loaded = pickle.loads(data)
    assert space_of(probe).tickets == tickets
    assert loaded.value == "under way"
    again = pickle.loads(data)
    assert again.exchange("twice") == "under way"
    loaded.close()
    assert again.value == "twice"
    again.close()
    assert count_objects(probe) == objects
    with pytest.raises(cy.NotFound, match="gone"):
        pickle.loads(data)
    filler = [Value(object, "somebody else's") for _ in range(5)]
    with pytest.raises(cy.NotFound, match="gone"):
        pickle.loads(data)
    assert all(other.value == "somebody else's" for other in filler)


HOLDERS = """
import multiprocessing, os, signal, sys, time
import courtyard as cy
from tests.object.test_memory import wait_forever
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    values = [cy.Value("i"), cy.Value(object, "x" * 1_000_000), cy.Lock()]
    ready = cy.Value("i")
    for _ in range(2):
        context.Process(target=wait_forever, args=(values, ready)).start()
    assert ready.wait_for(2, 20)
    assert [name.endswith(".cy1") for name in os.listdir(os.environ["COURTYARD_DIR"])] == [True]
    os.killpg(0, signal.SIGKILL)
"""


def wait_forever(values: Any, ready: Any) -> None:
    ready.increment()
    values[0].wait_for(-1)


MAKE_ONE = "import courtyard; print(courtyard.Value('i', 5).value)"


def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir(mode=0o700)
    return made


def test_nothing_is_left_of_the_killed(tmp_path: Path) -> None:
    """Once any courtyard process starts."""
    made = folder(tmp_path)
    env = {"COURTYARD_DIR": str(made)}
    assert run_script(HOLDERS, env=env, check=False).returncode == -9
    assert len(os.listdir(made)) == 1

    def cleaned() -> bool:
        run_script("import courtyard", env=env)
        return os.listdir(made) == []

    assert eventually(cleaned)  # the kernel takes its time to take the dead apart


def test_a_normal_exit_leaves_nothing(tmp_path: Path) -> None:
    made = folder(tmp_path)
    program = """
import os, courtyard
values = [courtyard.Value("i", 5), courtyard.Value(object, "x" * 100_000), courtyard.Lock()]
assert len(os.listdir(os.environ["COURTYARD_DIR"])) == 1
"""
    run_script(program, env={"COURTYARD_DIR": str(made)})
    assert os.listdir(made) == []


def test_an_import_makes_nothing(tmp_path: Path) -> None:
    made = folder(tmp_path)
    run_script("import courtyard", env={"COURTYARD_DIR": str(made)})
    assert os.listdir(made) == []


def test_others_files_are_left_alone(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "precious.txt").write_text("mine")
    (made / "precious.cy1").mkdir()
    run_script("import courtyard; courtyard.Value('i')", env={"COURTYARD_DIR": str(made)})
    assert (made / "precious.txt").read_text() == "mine"
    assert (made / "precious.cy1").is_dir()


def test_a_living_space_is_left_alone(tmp_path: Path) -> None:
    made = folder(tmp_path)
    program = """
import subprocess, sys, courtyard
value = courtyard.Value("i", 5)
subprocess.run([sys.executable, "-c", "import courtyard; courtyard.Value('i')"], check=True)
import os, pickle
assert len(os.listdir(os.environ["COURTYARD_DIR"])) == 1
assert pickle.loads(pickle.dumps(value)).value == 5
"""
    run_script(program, env={"COURTYARD_DIR": str(made)})


FULL = """
import os, sys
import courtyard as cy
folder = os.environ["COURTYARD_DIR"]
value, word = cy.Value(object, "before"), cy.Value("i", 1)
chars = cy.Value(__import__("ctypes").c_char * 100_000)
chars.value = b"a" * 100_000
kept, size, full = [], 4_000_000, 0
while size >= 1:
    try:
        kept.append(cy.Value(object, "x" * size))
    except cy.SpaceFull as error:
        assert isinstance(error, MemoryError)
        assert "COURTYARD_DIR" in str(error) and "--shm-size" in str(error), error
        full += 1
        size //= 4
assert full >= 10, full
version = value.version
for change in (lambda: value.set("y" * 6_000_000), lambda: value.exchange(b"z" * 6_000_000)):
    try:
        change()
        raise SystemExit("no SpaceFull")
    except cy.SpaceFull:
        pass
assert (value.value, value.version) == ("before", version)
assert word.increment() == 2  # what needs no room goes on
with word.get_lock():
    word.value = 7
assert len(kept) > 3 and all(set(each.value) == {"x"} for each in kept)
value.check()
made = len(kept)
del kept[: made // 2]
value.value = "y" * 1_000_000  # there is room again
assert value.value == "y" * 1_000_000
value.check()
print("fine")
"""


def mountable() -> bool:
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not mountable(), reason="no tmpfs can be mounted here (unshare -m)")
def test_a_full_file_system(tmp_path: Path) -> None:
    made = folder(tmp_path)
    script = tmp_path / "full.py"
    script.write_text(FULL)
    mount = f"mount -t tmpfs -o size=16m,mode=0700 none {made} && exec {sys.executable} {script}"
    result = run_command(
        ["unshare", "-m", "sh", "-c", mount],
        env={"COURTYARD_DIR": str(made)},
        limit=40,
        check=False,
    )
    assert result.stdout == "fine\n", result.stderr


@pytest.mark.skipif(not mountable(), reason="no tmpfs can be mounted here (unshare -m)")
def test_a_file_system_too_small_for_anything(tmp_path: Path) -> None:
    made = folder(tmp_path)
    script = tmp_path / "one.py"
    script.write_text(MAKE_ONE)
    mount = f"mount -t tmpfs -o size=64k,mode=0700 none {made} && exec {sys.executable} {script}"
    result = run_command(
        ["unshare", "-m", "sh", "-c", mount],
        env={"COURTYARD_DIR": str(made)},
        limit=40,
        check=False,
    )
    assert result.returncode == 1
    assert "SpaceFull" in result.stderr.splitlines()[-1]


DESCRIPTORS = """
import os, resource
import courtyard as cy
if before:
    value, lock, first = cy.Value(object, "before"), cy.Lock(), cy.Value("i")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
fillers = []
try:
    while True:
        fillers.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
if before:
    # What is made needs no descriptor any more.
    value.value = "x" * 2_000_000
    made = [cy.Value("i", n) for n in range(1000)]
    with lock:
        assert made[7].increment() == 8
    assert value.value == "x" * 2_000_000
    try:
        code = 0
        child = os.fork()
        if child == 0:
            try:
                assert made[7].value == 8
            except OSError as error:
                code = 24 if error.errno == 24 else 99
            except BaseException:
                code = 99
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, 24)
    except OSError as error:
        assert error.errno == 24
else:
    try:
        cy.Value(int)
        raise SystemExit("made without a descriptor")
    except OSError as error:
        assert error.errno == 24, error
for filler in fillers:
    os.close(filler)
assert cy.Value("i", 5).increment() == 6
if os.fork() == 0:
    code = 99
    try:
        assert cy.Value("i", 5).increment() == 6
        if before:
            assert made[7].increment() == 9
        code = 0
    finally:
        os._exit(code)
assert os.wait()[1] == 0
"""


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.filterwarnings("default")
def test_no_descriptors_left(before: bool) -> None:
    run_script(f"before = {before}\n{DESCRIPTORS}")


SMALL = """
import resource
gigabytes = 1 << 30
resource.setrlimit(resource.RLIMIT_AS, (gigabytes, gigabytes))
import courtyard as cy
value = cy.Value(object, "x" * 1_000_000)
assert len(value.value) == 1_000_000
values = [cy.Value("i", n) for n in range(1000)]
assert values[9].increment() == 10
try:
    big = cy.Value(object, bytes(500_000_000))
except MemoryError:
    pass
value.value = "y" * 3_000_000
assert value.value == "y" * 3_000_000
value.check()
"""


def test_a_small_address_space() -> None:
    run_script(SMALL)


def test_threads_make_and_drop_values() -> None:
    import threading

    probe = Value("i")
    before = space_of(probe)

    def churn() -> None:
        for n in range(300):
            value = Value(object, "x" * n)
            assert value.exchange(b"y" * n) == "x" * n
            value.close()

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    after = space_of(probe)
    assert (after.objects, after.live_blocks) == (before.objects, before.live_blocks)


def churn(rounds: int) -> None:
    for n in range(rounds):
        values = [Value(object, "x" * (n * size % 9000)) for size in (1, 50, 777)]
        values[n % 3].value = 5


def test_processes_make_and_drop_values() -> None:
    context = multiprocessing.get_context("fork")
    probe = Value("i")
    churn(10)
    before = space_of(probe)
    join(*[start(context, churn, 400) for _ in range(3)])
    assert eventually(lambda: count_objects(probe) == before.objects)
    assert space_of(probe).live_blocks == before.live_blocks


def write_forever(value: Any) -> None:
    number = 2**60  # too large for a word: each write is a block
    while True:
        number += 1
        value.value = number


def test_check_beside_busy_writers() -> None:
    """Sound memory is never accused, and statistics() are to be had at any time."""
    context = multiprocessing.get_context("fork")
    value = Value(object, 2**60)
    writers = [start(context, write_forever, value) for _ in range(3)]
    try:
        assert value.wait_for(lambda number: number > 2**60, 30)
        for _ in range(300):
            value.check()
    finally:
        for writer in writers:
            writer.kill()
            writer.join(10)
    value.check()
