"""Spaces: private, named, in files; found, closed, destroyed, and left by killed programs."""

import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.children import fork, join, run_script, start
from tests.test_sharing import eventually

FOLDER = Path(os.environ["COURTYARD_DIR"])


@pytest.fixture
def title() -> Iterator[str]:
    """Give the name of a space of this test's own, destroyed after it."""
    title = f"test {os.getpid()} {time.monotonic_ns()}"
    yield title
    gc.collect()
    try:
        space = cy.Space(title, create=False)
    except cy.NotFound:
        return
    space.check()
    space.destroy(force=True)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a file of this test's own."""
    return (tmp_path / "space.cy").as_uri()


def test_a_private_space_is_of_its_own() -> None:
    first, second = cy.Space(), cy.Space()
    assert first != second and first == cy.space(first.Lock()) and hash(first) != hash(second)
    first.named("x", cy.Lock)
    assert "x" in first and "x" not in second
    assert (first.name, first.url, repr(first)) == (None, None, "courtyard.Space()")
    assert cy.space(cy.Lock()) != first


def use_space(space: cy.Space, done: Any) -> None:
    space["n"].increment()
    done.put(cy.space(space.Value("i")) == space)


def test_a_space_is_sent(ctx: BaseContext) -> None:
    for space in (cy.Space(), cy.Space("sent")):
        count = cy.Value.named("n", "i", space=space)
        done = space.Queue()
        child = start(ctx, use_space, space, done)
        assert done.get(timeout=30)
        join(child)
        assert count.value == 1
    cy.Space("sent").destroy(force=True)


def test_with_space_as_manager(ctx: BaseContext) -> None:
    with cy.Space() as manager:
        manager.start()
        words, log, done = manager.dict(a=1), manager.Queue(), manager.Event()
        child = start(ctx, fill, words, log, done)
        assert done.wait(30) and log.get(timeout=30) == 7
        join(child)
        assert dict(words) == {"a": 1, "b": 2}
        manager.shutdown()
    assert words["b"] == 2, "what is held goes on"
    for use in (lambda: manager.dict(), lambda: manager.names(), lambda: manager["x"]):
        with pytest.raises(cy.Closed, match=r"courtyard\.Space\(\) was closed"):
            use()
    manager.close()


def fill(words: Any, log: Any, done: Any) -> None:
    words["b"] = 2
    log.put(7)
    done.set()


def test_the_factories_are_syncmanagers() -> None:
    """Each name of a Manager, with its arguments, makes what its class is."""
    space = cy.Space()
    made: list[Any] = [
        space.dict({"a": 1}, b=2),
        space.list("ab"),
        space.deque("ab", 2),
        space.set("ab"),
        space.Counter("aab"),
        space.Namespace(x=1),
        space.Value("i", 5),
        space.Array("i", [1, 2]),
        space.Queue(3),
        space.JoinableQueue(),
        space.Lock(),
        space.RLock(),
        space.Semaphore(2),
        space.BoundedSemaphore(2),
        space.Condition(),
        space.Condition(space.Lock()),
        space.Event(),
        space.Barrier(2, timeout=1.0),
    ]
    assert all(cy.space(each) == space and cy.name(each) is None for each in made)
    # A condition brings its lock along; one of them was given.
    assert space.statistics().objects == len(made) + 2
    with space.Pool(1) as pool:
        assert pool.apply(len, ("abc",)) == 3
    assert type(made[0]) is cy.Dict and dict(made[0]) == {"a": 1, "b": 2}
    assert made[6].value == 5 and made[7][:] == [1, 2] and made[8].maxsize == 3


def test_opened_twice_it_is_one(title: str) -> None:
    first, second = cy.Space(title), cy.Space(title)
    assert first == second and hash(first) == hash(second) and first != title
    assert (first.name, first.url, repr(first)) == (title, title, f"courtyard.Space({title!r})")
    first.named("x", cy.Value, "i", 3)
    assert second["x"].value == 3
    assert first.statistics().participants == 1
    first.close()
    assert second["x"].value == 3


def test_create_is_asked_for(title: str, url: str) -> None:
    for where in (title, url):
        with pytest.raises(cy.NotFound, match=r"no such space|no space"):
            cy.Space(where, create=False)
        made = cy.Space(where)
        assert cy.Space(where, create=False) == made
    assert not list(FOLDER.glob("*.new"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("x" * 256, "256 characters"),
        ("a/b", "'/'"),
        ("/", "'/'"),
        ("a\0b", "NUL"),
        ("..", "folder"),
        (".", "folder"),
        ("a\ud800", "surrogate"),
        ("http://x", "no other kind"),
        ("file:relative", "absolute"),
        ("file:///", "absolute"),
        ("file:///a/b/", "absolute"),
        ("file://elsewhere/x", "host 'elsewhere'"),
        ("file:///a%00b", "absolute"),
        ("file:///a\ud800", "surrogate"),
    ],
)
def test_what_is_no_url(url: str, says: str) -> None:
    before = list(FOLDER.iterdir())
    with pytest.raises(ValueError, match=says):
        cy.Space(url)
    assert list(FOLDER.iterdir()) == before


def test_what_is_not_there_yet_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Redis.*file:///"):
        cy.Space("redis://localhost")
    with pytest.raises(TypeError, match="str or None, found int"):
        cy.Space(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["字" * 255, "🐍" * 255, "x" * 255, "my app", "-rf", "%41", "a" * 32, "default.cy1", "~"],
)
def test_names_of_any_script(name: str) -> None:
    space = cy.Space(name)
    space.named("x", cy.Value, "i", 5)
    assert (
        run_script(f"import courtyard as cy; print(cy.Space({name!r})['x'].value)").stdout == "5\n"
    )
    assert cy.Space(name).name == name
    files = [path for path in FOLDER.iterdir() if space._here.path == path]
    assert len(files) == 1
    space.destroy()
    assert not files[0].exists()


# Whose it is.


def test_permissions_whatever_the_umask(tmp_path: Path) -> None:
    script = """
import courtyard as cy, os, stat, sys
os.umask(int(sys.argv[1], 8))
where = os.environ["COURTYARD_DIR"]
made = [cy.Space("a"), cy.Space("file://" + sys.argv[2]), cy.Space()]
made[0].named("x", cy.Lock)
for path in [where, *(m._here.path for m in made)]:
    print(oct(stat.S_IMODE(os.stat(path).st_mode)))
cy.Space("a").destroy()
"""
    for mask in ("000", "022", "077", "0777"):
        folder, file = tmp_path / f"folder-{mask}", tmp_path / f"file-{mask}"
        done = run_script(script, mask, str(file), env={"COURTYARD_DIR": str(folder)})
        assert done.stdout.split() == ["0o700", "0o600", "0o600", "0o600"], mask


def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    env = {"COURTYARD_DIR": str(folder)}
    done = run_script("import courtyard as cy; cy.Space('x')", check=False, env=env)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    assert "CourtyardError" in done.stderr
    assert "owned by user 65534; expected a folder of user 0" in done.stderr


def test_another_users_file_is_refused(tmp_path: Path, url: str) -> None:
    path = tmp_path / "space.cy"
    cy.Space(url)
    run_script("import courtyard as cy, sys; cy.Space(sys.argv[1])", url)
    path.chmod(0o644)
    script = "import courtyard as cy, sys; cy.Space(sys.argv[1])"
    done = run_script(script, url, check=False)
    assert "mode 0644" in done.stderr and "chmod 600" in done.stderr
    path.chmod(0o600)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65534, 65534)
    done = run_script(script, url, check=False)
    assert "owned by user 65534, and this is user 0" in done.stderr


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", cy.LayoutMismatch),
        (b"hello" * 100_000, cy.LayoutMismatch),
        (b"COURTYRD" + bytes(100_000), cy.LayoutMismatch),
    ],
    ids=["empty", "foreign", "half"],
)
def test_foreign_files(tmp_path: Path, content: bytes, error: Any) -> None:
    path = tmp_path / "space.cy"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(error, match=str(path)):
        cy.Space(path.as_uri())
    assert path.read_bytes() == content
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match="link"):
        cy.Space(link.as_uri())
    with pytest.raises(IsADirectoryError):
        cy.Space(tmp_path.as_uri())
    with pytest.raises(FileNotFoundError):
        cy.Space((tmp_path / "missing" / "space.cy").as_uri())


def test_a_newer_layout_is_refused(tmp_path: Path, title: str, url: str) -> None:
    for where in (title, url):
        path = Path(run_script(MAKE, where).stdout.strip())
        data = bytearray(path.read_bytes()[:4096])
        data[8:16] = (2).to_bytes(8, sys.byteorder)
        with path.open("r+b") as file:
            file.write(data)
        with pytest.raises(cy.LayoutMismatch, match=r"layout 2/.*this courtyard reads 1/"):
            cy.Space(where)
        path.unlink()


MAKE = """
import courtyard as cy, sys
space = cy.Space(sys.argv[1])
space.named("d", cy.Dict, a=1)
print(space._here.path)
"""


def test_another_name_in_the_file_is_refused(title: str) -> None:
    """Two names could lead to one file only by a hash that collides: it is told, not mixed up."""
    path = Path(run_script(MAKE, title).stdout.strip())
    other = cy.Space(title + " 2")
    target = other._here.path
    other.destroy()
    shutil.copy(path, target)
    with pytest.raises(cy.CourtyardError, match="this file is the space"):
        cy.Space(title + " 2")
    target.unlink()


# Its end.


def attach_and(title: str, go: Any, how: str) -> None:
    space = cy.Space(title)
    space["n"].increment()
    space.Value("i")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def test_attach_exit_and_kill_cycles(title: str) -> None:
    """An attacher's end takes nothing away, and leaves nothing."""
    space = cy.Space(title)
    count = space.named("n", cy.Value, "q", lock=False)
    context = multiprocessing.get_context("fork")
    join(start(context, attach_and, title, None, "exit"))  # the space's tables have grown
    count.value = 0
    before = space.statistics()
    for turn in range(60):
        how = "kill" if turn % 2 else "exit"
        child = start(context, attach_and, title, None, how)
        child.join(30)
        assert child.exitcode == (-signal.SIGKILL if turn % 2 else 0)
    assert count.value == 60
    after = space.statistics()
    assert (after.objects, after.names, after.used) == (before.objects, 1, before.used)


def test_programs_come_and_go(title: str) -> None:
    """The space is there, and whole, when nobody was."""
    for turn in range(4):
        script = f"""
import courtyard as cy, os, signal
space = cy.Space({title!r})
assert space.named("n", cy.Value, "i").increment() == {turn} + 1
space.named("d", cy.Dict)[{turn}] = "x" * 10_000
held = [space.Value("i") for _ in range(100)]
if {turn} % 2: os.kill(os.getpid(), signal.SIGKILL)
"""
        run_script(script, check=turn % 2 == 0)
    space = cy.Space(title, create=False)
    assert space["n"].value == 4 and len(space["d"]) == 4
    assert space.statistics().objects == 2


def wait_in(title: str, ready: Any, go: Any) -> None:
    space = cy.Space(title)
    held = space.named("d", cy.Dict)
    ready.release()
    go.wait(60)
    held["after"] = True
    assert dict(held) == {"after": True}


def test_destroy_is_refused_while_in_use(ctx: BaseContext, title: str) -> None:
    space = cy.Space(title)
    ready, go = cy.Semaphore(0), cy.Event()
    child = start(ctx, wait_in, title, ready, go)
    assert ready.acquire(timeout=30)
    with pytest.raises(cy.CourtyardError, match=r"used by other processes.*force=True"):
        space.destroy()
    assert "d" in space
    space.destroy(force=True)
    fresh = cy.Space(title)
    assert len(fresh) == 0, "another space by that name"
    go.set()
    join(child)
    fresh.destroy()


def test_destroy_removes_and_says(title: str, url: str) -> None:
    for where in (title, url):
        space, again = cy.Space(where), cy.Space(where)
        held = space.named("d", cy.Dict, a=1)
        path = space._here.path
        space.destroy()
        assert not path.exists() and held["a"] == 1
        with pytest.raises(cy.Closed):
            space.destroy()
        again.destroy()
        fresh = cy.Space(where)
        assert fresh != again and len(fresh) == 0
        again2 = cy.Space(where)
        fresh.destroy()
        again2.destroy()
        assert not path.exists()


def create_and_die(title: str, barrier: Any) -> None:
    barrier.wait(30)
    space = cy.Space(title)
    space.named("n", cy.Value, "q", lock=False).increment()
    os.kill(os.getpid(), signal.SIGKILL)


def test_racing_creation(ctx: BaseContext) -> None:
    for turn in range(4):
        title, barrier = f"race {os.getpid()} {turn}", cy.Barrier(4)
        children = [start(ctx, create_and_die, title, barrier) for _ in range(4)]
        for child in children:
            child.join(30)
            assert child.exitcode == -signal.SIGKILL
        space = cy.Space(title, create=False)
        assert space["n"].value == 4
        space.check()
        space.destroy()


def test_threads_open_one(title: str) -> None:
    opened: list[Any] = []
    threads = [threading.Thread(target=lambda: opened.append(cy.Space(title))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({space._here.identity for space in opened}) == 1
    assert opened[0].statistics().participants == 1


# Files.


def test_a_file_keeps_its_objects(url: str, tmp_path: Path) -> None:
    script = f"""
import courtyard as cy, os, signal
space = cy.Space({url!r})
d = space.named("d", cy.Dict)
for n in range(1000):
    d[n] = "x" * n
space.named("q", cy.Queue).put_many(range(10))
space.named("lock", cy.Lock).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_script(script, check=False)
    space = cy.Space(url, create=False)
    assert (space.name, space.url, repr(space)) == (None, url, f"courtyard.Space({url!r})")
    assert dict(space["d"]) == {n: "x" * n for n in range(1000)}
    assert space["q"].get_many(20) == list(range(10))
    assert space["lock"].acquire(timeout=10) and space["lock"].recovered
    space.check()
    assert [path.name for path in tmp_path.iterdir()] == ["space.cy"]


WRITER = """
import courtyard as cy, sys
space = cy.Space(sys.argv[1])
d, n = space.named("d", cy.Dict), space.named("n", cy.Value, "q", lock=False)
print("ready", flush=True)
while True:
    turn = n.value + 1
    d["a"] = d["b"] = (turn, "x" * (turn * 7919 % 50_000))
    d.pop(turn - 20, None)
    d[turn] = [turn] * (turn % 300)
    n.value = turn
"""


def test_a_file_whose_writers_are_killed(url: str) -> None:
    """All processes die in the middle of writes, again and again: nothing stored is lost."""
    reached = 0
    for turn in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        time.sleep(0.02 + turn * 0.013)  # some moment in its work
        writer.kill()
        writer.communicate()
        script = """
import courtyard as cy, sys
space = cy.Space(sys.argv[1], create=False)
space.check()
d, n = space["d"], space["n"].value
a, b = d.get("a", (0, "")), d.get("b", (0, ""))
assert n <= b[0] <= a[0] <= n + 1, (n, a[0], b[0])
for turn in range(max(1, n - 18), n + 1):
    assert d[turn] == [turn] * (turn % 300), turn
print(n)
"""
        n = int(run_script(script, url).stdout)
        assert n >= reached
        reached = n
    assert reached > 0


def test_a_copied_file_is_a_space_of_its_own(url: str, tmp_path: Path) -> None:
    run_script(MAKE, url)
    shutil.copy(tmp_path / "space.cy", tmp_path / "copy.cy")
    first, copy = cy.Space(url), cy.Space((tmp_path / "copy.cy").as_uri())
    assert first != copy
    first["d"]["a"] = 2
    assert (first["d"]["a"], copy["d"]["a"]) == (2, 1)
    for space, value in ((first, 2), (copy, 1)):
        assert pickle.loads(pickle.dumps(space["d"]))["a"] == value
        space.check()


def test_a_copy_made_while_in_use_is_checked(url: str, tmp_path: Path) -> None:
    """What contradicts itself is refused, by all who come, and never used half."""
    path = tmp_path / "space.cy"
    run_script(MAKE, url)
    copy = tmp_path / "copy.cy"
    shutil.copy(path, copy)
    script = """
import sys
page = bytearray(open(sys.argv[1], "rb").read(4096))
page[0x318:0x320] = (99).to_bytes(8, "little")  # how many objects live: nothing depends on it
page[0x340:0x348] = bytes(8)  # the table of objects
with open(sys.argv[1], "r+b") as file:
    file.write(page)
"""
    run_script(script, str(copy))
    for _ in range(2):
        with pytest.raises(cy.CorruptError, match=r"machine went down or the file was copied"):
            cy.Space(copy.as_uri())


def test_a_moved_file(url: str, tmp_path: Path) -> None:
    run_script(MAKE, url)
    (tmp_path / "space.cy").rename(tmp_path / "moved 2%.cy")
    moved = cy.Space((tmp_path / "moved 2%.cy").as_uri())
    assert dict(moved["d"]) == {"a": 1}
    with pytest.raises(cy.NotFound):
        cy.Space(url, create=False)


# Limits.


def test_a_size_limit(title: str) -> None:
    space = cy.Space(title, size_limit=4 << 20)
    assert space.size_limit == 4 << 20
    d = space.named("d", cy.Dict)
    with pytest.raises(cy.SpaceFull, match=rf"size_limit of .* is {4 << 20}"):
        for n in range(1000):
            d[n] = "x" * 10_000
    stored = len(d)
    assert 200 < stored < 450
    assert all(d[n] == "x" * 10_000 for n in range(stored))
    space.check()
    d.clear()
    for n in range(stored):
        d[n] = "y" * 10_000
    larger = cy.Space(title, size_limit=8 << 20)
    assert space.size_limit == 8 << 20 == larger.size_limit
    d["more"] = "x" * (4 << 20)
    assert cy.Space(title).size_limit == 8 << 20, "it stays as it is"
    private = cy.Space(size_limit=1 << 20)
    with pytest.raises(cy.SpaceFull, match=rf"size_limit of .* is {1 << 20}"):
        private.Value(object).value = b"x" * (2 << 20)
    for wrong in (0, -1, 1 << 63):
        with pytest.raises(ValueError, match="size_limit is in bytes"):
            cy.Space(size_limit=wrong)
    with pytest.raises(TypeError):
        cy.Space(size_limit="1 GB")  # type: ignore[arg-type]


def unshared(commands: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a mount namespace of its own, prepared by shell commands."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare(1) is not here")
    shell = f'set -e; {commands}; exec {sys.executable} -c "$0"'
    for flags in ("-m", "-Urm"):
        tried = subprocess.run(
            [unshare, flags, "sh", "-ec", f"{commands}; true"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            break
    else:
        pytest.skip(f"no mount namespace is to be had here: {tried.stderr.decode().strip()}")
    env = {name: value for name, value in os.environ.items() if name != "COURTYARD_DIR"}
    return subprocess.run(
        [unshare, flags, "sh", "-ec", shell, script],
        capture_output=True,
        text=True,
        timeout=50,
        env=env,
        check=False,
    )


FILL = """
import courtyard as cy, os
space = cy.Space("full")
d = space.named("d", cy.Dict)
full = 0
for turn in range(3):
    try:
        for n in range(10_000):
            d[n] = "x" * 100_000
    except cy.SpaceFull as error:
        full += 1
        assert "--shm-size" in str(error) and "COURTYARD_DIR" in str(error), error
    assert len(d) > 400, len(d)
    assert all(value == "x" * 100_000 for value in d.values())
    d.clear()
assert full == 3
space.check()
d["again"] = b"x" * 5_000_000
print(space._here.path, space.statistics().size >> 20)
"""


def test_a_small_shared_memory_filled_to_the_brim() -> None:
    """Docker's 64 MB: an error that says what to do, and room again after clear()."""
    done = unshared("mount -t tmpfs -o size=64m tmpfs /dev/shm", FILL)
    assert done.returncode == 0, done.stderr
    path, size = done.stdout.rsplit(maxsplit=1)
    assert path == f"/dev/shm/courtyard-{os.geteuid()}/full.cy1" and 50 < int(size) < 64


def test_without_shared_memory_it_says_so(tmp_path: Path) -> None:
    script = f"""
import os, warnings
os.environ["XDG_RUNTIME_DIR"] = {str(tmp_path)!r}
import courtyard as cy
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    cy.Value("i"); cy.Space("fallen-back").named("x", cy.Lock); cy.Space()
print(len(said), said[0].category.__name__, said[0].message)
print(cy.Space("fallen-back")._here.path)
cy.Space("fallen-back").destroy()
"""
    done = unshared("mount -t tmpfs -o ro tmpfs /dev/shm", script)
    assert done.returncode == 0, done.stderr
    said, path = done.stdout.splitlines()
    assert said.startswith("1 RuntimeWarning courtyard found no /dev/shm to write to")
    assert "COURTYARD_DIR" in said
    assert path == f"{tmp_path}/courtyard-{os.geteuid()}/fallen-back.cy1"


def test_containers_with_colliding_pids(title: str) -> None:
    """Who lives is asked of the kernel's locks: a PID means nothing in another namespace."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare(1) is not here")
    tried = subprocess.run([unshare, "-pf", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no PID namespace is to be had here: {tried.stderr.decode().strip()}")
    script = f"""
import courtyard as cy, os, sys, time
space = cy.Space({title!r})
with space.named("lock", cy.Lock):
    space.named("pids", cy.Dict)[sys.argv[1]] = os.getpid()
    space.named("held", cy.Event).set()
    time.sleep(60)
"""
    space = cy.Space(title)
    lock, held = space.named("lock", cy.Lock), space.named("held", cy.Event)
    command = [unshare, "-pf", "--kill-child", sys.executable, "-c", script]
    first = subprocess.Popen([*command, "first"])
    assert held.wait(30)
    second = subprocess.Popen([*command, "second"])
    assert not lock.acquire(timeout=0.3), "its holder lives, in another namespace"
    first.kill()
    first.wait()
    assert eventually(lambda: len(space["pids"]) == 2, 30)
    second.kill()
    second.wait()
    assert lock.acquire(timeout=10)
    assert set(space["pids"].values()) == {1}, "both were process 1"


def test_what_the_killed_left_is_reclaimed(title: str) -> None:
    """Private spaces go with the next program that starts; named ones stay."""
    script = f"""
import courtyard as cy, os, signal
made = [cy.Lock(), cy.Space().Lock(), cy.Space({title!r}).Lock()]
print(*(cy.space(each)._here.path for each in made), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    paths = [
        Path(path)
        for path in run_script(script, check=False).stdout.replace("test ", "test%20").split()
    ]
    assert len(paths) == 3
    run_script("import courtyard")
    assert [path.exists() for path in paths[:2]] == [False, False]
    assert cy.Space(title, create=False).statistics().objects == 0


def test_a_child_makes_objects_where_it_is_told(ctx: BaseContext, title: str) -> None:
    """Being handed an object of a named space does not make that the child's own."""
    space = cy.Space(title)
    done, held = space.Queue(), space.named("d", cy.Dict)
    child = start(ctx, make_anonymous, held, done)
    assert done.get(timeout=30) == "courtyard.Space()"
    join(child)


def make_anonymous(held: Any, done: Any) -> None:
    held["made"] = 1
    done.put(repr(cy.space(cy.Lock())))


def test_a_forked_child_keeps_its_objects(title: str) -> None:
    space = cy.Space(title)
    held = space.named("d", cy.Dict, a=1)
    go = cy.Event()
    child = fork(child_of_fork, held, go)
    del space["d"]
    held.close()
    go.set()
    assert os.waitpid(child, 0)[1] == 0
    assert space.statistics().objects == 0


def child_of_fork(held: Any, go: Any) -> None:
    assert go.wait(30) and held["a"] == 1
