"""Folders and files that are not what they should be, and a peer that scribbles: what users see."""

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.children import die_with_parent, run_script

# Of crates/core/src/memory/layout.rs.
MAGIC, VERSION, LAYOUT_HASH, CRC, SIZE = 0x00, 0x08, 0x10, 0x78, 0x80
IMMUTABLE, PAGE = 0x78, 4096


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder as COURTYARD_DIR would name one, in memory."""
    path = Path(os.environ["COURTYARD_DIR"], tmp_path_factory.mktemp("spaces").name)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def attempt(folder: Path, script: str, *args: str) -> str:
    """Run a script on a folder; return what it printed, or the name and text of its error."""
    frame = f"""
import sys
import courtyard as cy
try:
    {script}
except Exception as error:
    print(type(error).__name__, error)
"""
    return run_script(frame, *args, env={"COURTYARD_DIR": str(folder)}).stdout.strip()


MAKE = "print(cy.Value('i', 5).value)"


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777, 0o1707])
def test_a_folder_for_others_is_refused(folder: Path, mode: int) -> None:
    assert attempt(folder, MAKE) == "5"
    folder.chmod(mode)
    refused = attempt(folder, MAKE)
    assert refused.startswith("CourtyardError"), refused
    assert f"mode {mode:04o}" in refused and "COURTYARD_DIR" in refused


def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        given = folder
    else:
        given = Path("/")  # cannot be given away by others than root, but is not ours either
    refused = attempt(given, MAKE)
    assert refused.startswith("CourtyardError"), refused
    assert "owned by user" in refused


def test_what_is_no_folder_is_refused(folder: Path) -> None:
    (folder / "file").write_text("text")
    (folder / "real").mkdir(mode=0o700)
    (folder / "link").symlink_to(folder / "real")
    for name in ("file", "link"):
        refused = attempt(folder / name, MAKE)
        assert refused.startswith("CourtyardError") and "not a folder" in refused, refused
    assert attempt(folder / "missing" / "deeper", MAKE).startswith("FileNotFoundError")


class Sent:
    """A value in a pickle, whose sender lives and sleeps: nobody cleans its file away."""

    SENDER = """
import pickle, signal, sys
import courtyard as cy
value = cy.Value(object, ("kept", 1))
with open(sys.argv[1], "wb") as file:
    pickle.dump(value, file)
print("sent", flush=True)
signal.pause()
"""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pickle = folder, folder / "pickle"
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.SENDER, str(self.pickle)],
            stdout=subprocess.PIPE,
            env=os.environ | {"COURTYARD_DIR": str(folder)},
            preexec_fn=die_with_parent,
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == b"sent\n"
        (self.path,) = folder.glob("*.cy1")

    def __enter__(self) -> "Sent":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()  # before it touches pages that may be gone
        self.process.communicate()

    def load(self) -> str:
        return attempt(
            self.folder,
            "import pickle; print(pickle.load(open(sys.argv[1], 'rb')).value)",
            str(self.pickle),
        )

    def word(self, offset: int) -> int:
        with self.path.open("rb") as file:
            file.seek(offset)
            return int(struct.unpack("=Q", file.read(8))[0])

    def set(self, offset: int, word: int, *, checksum: bool = False) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(struct.pack("=Q", word % 2**64))
            if checksum:
                file.seek(0)
                crc = zlib.crc32(file.read(IMMUTABLE))
                file.seek(CRC)
                file.write(struct.pack("=Q", crc))


def truncate(share: float) -> Callable[[Sent], None]:
    return lambda sent: os.truncate(sent.path, int(sent.path.stat().st_size * share))


def overwrite(content: bytes) -> Callable[[Sent], None]:
    return lambda sent: (sent.path.write_bytes(content), None)[1]


def change(offset: int, by: int, *, checksum: bool = False) -> Callable[[Sent], None]:
    return lambda sent: sent.set(offset, sent.word(offset) + by, checksum=checksum)


SPOILT: dict[str, tuple[Callable[[Sent], None], tuple[str, ...]]] = {
    "empty": (overwrite(b""), ("LayoutMismatch",)),
    "text": (overwrite(b"a text file\n" * 10_000), ("LayoutMismatch",)),
    "zeros": (overwrite(bytes(1 << 20)), ("LayoutMismatch",)),
    "newer": (change(VERSION, 1, checksum=True), ("LayoutMismatch",)),
    "another build": (change(LAYOUT_HASH, 1, checksum=True), ("LayoutMismatch",)),
    "no magic": (change(MAGIC, 1), ("LayoutMismatch",)),
    "cut to half": (truncate(0.5), ("CorruptError",)),
    "cut to a page": (truncate(0.0001), ("LayoutMismatch",)),
    "a wrong checksum": (change(CRC, 1), ("CorruptError",)),
    "a flipped bit": (change(0x30, 1 << 20), ("CorruptError",)),
    "too large for its file": (change(SIZE, 1 << 30), ("CorruptError",)),
    "without a heap": (change(0x40, -PAGE, checksum=True), ("CorruptError",)),
    "gone": (lambda sent: sent.path.unlink(), ("NotFound",)),
}


def test_a_file_left_alone_loads(folder: Path) -> None:
    with Sent(folder) as sent:
        assert sent.load() == "('kept', 1)"


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_file_is_an_error(folder: Path, how: str) -> None:
    spoil, expected = SPOILT[how]
    with Sent(folder) as sent:
        spoil(sent)
        loaded = sent.load()
        assert loaded.startswith(expected), loaded
        assert str(sent.path) in loaded  # says which file


SCRIBBLED = """
import glob, mmap, os, struct, sys
import courtyard as cy

value, other = cy.Value(object, "x" * 100), cy.Value("q", 3)
value.check()
(path,) = glob.glob(os.environ["COURTYARD_DIR"] + "/*.cy1")
with open(path, "r+b") as file:
    pages = mmap.mmap(file.fileno(), os.path.getsize(path))

def scribble(offset, word):
    (old,) = struct.unpack_from("=Q", pages, offset)
    struct.pack_into("=Q", pages, offset, word)
    return old

for offset, word in [
    (0x108, 2**40),        # FRONTIER: more units than there are
    (0x140, 2**63),        # the first chunk of a class
    (0x2C8, 12345),        # RETIRED
    (0x340, 2**47),        # the table of objects
    (0x300, 0xFFFF << 16), # DIRECTORY_LOCK names no process there is
    (0x098, 1),            # DAMAGED
    (0x078, 1),            # the checksum
]:
    old = scribble(offset, word)
    for use in (value.check, lambda: cy.check(other)):
        try:
            use()
        except cy.CorruptError as error:
            assert str(error)
        else:
            sys.exit(f"nothing was noticed at {offset:#x}")
    scribble(offset, old)
    if offset != 0x098:
        # What was noticed on the way may have been marked as damage.
        scribble(0x098, 0)
    value.check()
    assert value.value == "x" * 100 and other.value == 3
"""


def test_check_says_what_is_corrupt(folder: Path) -> None:
    run_script(SCRIBBLED, env={"COURTYARD_DIR": str(folder)})


LIVE = """
import ctypes, glob, itertools, mmap, os, random, signal, struct, sys, time
from queue import Empty, Full

import courtyard as cy

SECONDS, LIMIT = 1.5, 30
chance = random.Random(int(sys.argv[1]))

class Tick(Exception):
    pass

def tick(*_):
    raise Tick

def worker():
    # A scribbled lock word may name the living: such a wait is as long as the user wants.
    signal.signal(signal.SIGALRM, tick)
    begun = time.monotonic()
    done = errors = 0
    for use in itertools.cycle(USES):
        # On a busy machine it takes longer until both were met.
        if time.monotonic() > begun + (SECONDS if done and errors else LIMIT):
            break
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                use()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            done += 1
        except (cy.CourtyardError, Tick):
            errors += 1
    return done, errors

def scribbler():
    path = glob.glob(os.environ["COURTYARD_DIR"] + "/*.cy1")[0]
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        pages = mmap.mmap(file.fileno(), size)
    (data,) = struct.unpack_from("=Q", pages, 0x40)
    places = [(0x80, 0x4C0), (0x1000, 0x1100), (0x3000, 0x3100), (0x5000, 0x5000 + 4 * 0xA000),
              (0x2805000, 0x2805040), (data, data + 0x10000), (data, size)]
    whole = [(start, pages[start:end]) for start, end in places]
    words = [0, 1, 2**64 - 1, 2**63, size, data]
    for turn in itertools.count():
        start, end = chance.choice(places)
        at = chance.randrange(start, end) // 8 * 8
        (old,) = struct.unpack_from("=Q", pages, at)
        new = chance.choice([old ^ 1 << chance.randrange(64), old + 8, chance.getrandbits(64),
                             chance.choice(words), chance.randrange(data, size)])
        struct.pack_into("=Q", pages, at, new % 2**64)
        if turn % 40 == 0:
            for start, content in whole:  # so that there is something to work with
                pages[start:start + len(content)] = content
            time.sleep(0.001)

number, text = cy.Value("q", 1), cy.Value(ctypes.c_char * 100, b"x" * 50)
thing, big = cy.Value(object, ("a", 1, 2.5)), cy.Value(object, "x" * 30_000)
array, lock, event = cy.Array("i", range(50)), cy.Lock(), cy.Event()
queue, semaphore = cy.Queue(), cy.Semaphore(2)

def swap():
    thing.value = {"k": [1, 2, "three"]}
    thing.value

def replace():
    big.value = "y" * 20_000
    repr(big.value)

def locked():
    with number.get_lock():
        number.value += 1

def through():
    queue.put("item", timeout=0.01)
    queue.put(b"x" * 6000, timeout=0.01)
    queue.get(timeout=0.01)
    queue.qsize()

def make():
    cy.Value(object, "z" * 500).value
    cy.Array("d", 100)[3] = 1.5

def permit():
    if semaphore.acquire(timeout=0.01):
        semaphore.release()
    if lock.acquire(timeout=0.01):
        lock.release()
    event.set(), event.clear()

def slices():
    array[:20] = range(20)
    array[3:40]

def texts():
    text.value = b"z" * 90
    text.value

USES = [lambda: number.increment(1), texts, swap, replace, locked, slices, through, make, permit,
        number.check, number.statistics]

def guarded(use):
    def run():
        try:
            use()
        except (Empty, Full, cy.ShutDown, UnicodeDecodeError):
            pass  # a scribbled word may say that the queue was shut down
        except (ValueError, RuntimeError) as error:  # of a lock that was not ours any more
            if not isinstance(error, cy.CourtyardError) and "release" not in str(error):
                raise
    return run
USES = [guarded(use) for use in USES]

children = {}
for role in (scribbler, worker, worker):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            done, errors = role()
            os.write(1, f"{done} {errors}\\n".encode())  # at once: two of them share the pipe
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    children[pid] = role
ended = []
while len(ended) < 2:
    pid, status = os.wait()
    ended.append(os.waitstatus_to_exitcode(status))
for pid, role in children.items():
    if role is scribbler:
        os.kill(pid, signal.SIGKILL)
os._exit(0 if ended == [0, 0] else 1)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_peer_that_scribbles(folder: Path, seed: int) -> None:
    """Two processes work while a third writes over the pages: errors or wrong values, no more."""
    output = run_script(LIVE, str(seed), env={"COURTYARD_DIR": str(folder)}, limit=50).stdout
    figures = [tuple(map(int, line.split())) for line in output.splitlines()]
    assert len(figures) == 2, output
    assert all(done and errors for done, errors in figures), figures
