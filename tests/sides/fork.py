"""Forks at random moments: from threads, and from a signal handler in the midst of any call."""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import courtyard as cy
from tests.sides.member import Member, classes, invite, members, nobody
from tests.sides.play import LIMIT, ended, play
from tests.support.children import die_with_parent

STEPS = 3  # how often a forked child counts


class Books:
    """Shared objects that parent and children write into, and what each acknowledged."""

    def __init__(self) -> None:
        self.counter = cy.Value("q")
        self.names = cy.Dict()
        self.line = cy.List()
        self.queue = cy.Queue()
        self.lock = cy.Lock()
        self.parts = cy.Array("q", 2000)
        self.counted = 0
        self.going_on = 0

    def count(self, name: object) -> None:
        """Count as the parent, or as a thread of it."""
        self.counter.increment()
        with self.lock:
            self.counted += 1

    def write(self, name: object) -> None:
        """Write as a child: of each a bit, none of it lost."""
        for _ in range(STEPS):
            self.counter.increment()
        self.names[name] = [name] * 3
        self.line.append(("item", name))
        self.queue.put(("item", name), timeout=LIMIT)
        with self.lock:
            self.parts[0] += 1
        made = cy.Dict({"child": name})
        assert made["child"] == name

    def judge(self, children: list[int]) -> None:
        """See that all is there that was acknowledged, and once."""
        counted = self.counted + STEPS * len(children)
        assert self.counter.value == counted, f"counted {self.counter.value}, expected {counted}"
        assert sorted(self.names) == sorted(children), f"keys: {sorted(self.names)}"
        assert sorted(name for _, name in self.line) == sorted(children), "appended"
        got = [self.queue.get(timeout=5)[1] for _ in children]
        assert sorted(got) == sorted(children) and self.queue.empty(), "items"
        assert self.parts[0] == len(children), "elements"
        self.counter.check()


def begin(books: Books, name: int) -> int:
    """Fork a child that writes and ends."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        die_with_parent()
        signal.alarm(LIMIT)
        books.write(name)
        status = 0
    finally:
        os._exit(status)


def calls(chance: random.Random) -> list[Member]:
    """Return every call of every class, in any order."""
    found = [member for cls in classes() for member in members(cls)]
    chance.shuffle(found)
    return found


def attempt(member: Member) -> None:
    """Make a call; whatever it raises is a result."""
    specimen: Any = None
    with suppress(Exception):
        specimen = member.specimen()
        member.call(specimen)
    if member.cls == "Condition" and specimen is not None:
        # A wait ends with the lock taken again, also in a child that was forked in it: that would
        # wait for good for a lock that its parent keeps.
        with suppress(Exception):
            specimen.release()


def from_threads(seed: int, forks: int) -> None:
    """Fork while three threads make all calls there are, and large objects."""
    chance, books, over = random.Random(seed), Books(), threading.Event()
    invite(nobody)

    def work(mine: random.Random) -> None:
        while not over.is_set():
            for member in calls(mine)[:100]:
                attempt(member)
                books.count(member)
                if mine.random() < 0.1:
                    cy.Array("b", mine.choice((10, 5000, 1 << 20)))
                if over.is_set():
                    return

    threads = [
        threading.Thread(target=work, args=(random.Random(chance.random()),), daemon=True)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for name in range(forks):
        time.sleep(chance.random() * 0.003)
        assert not (wrong := ended(begin(books, name))), f"child {name} {wrong}"
    over.set()
    for thread in threads:
        thread.join(LIMIT / 2)
        assert not thread.is_alive(), "a thread waits for ever"
    books.judge(list(range(forks)))


def from_signals(seed: int, forks: int) -> None:
    """Fork from a signal handler, whatever call the signal comes in; half of the children go on."""
    chance, books = random.Random(seed), Books()
    children: dict[int, int] = {}
    parent = os.getpid()
    invite(nobody)

    is_busy = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_busy
        was_busy, is_busy = is_busy, True
        if was_busy:  # another signal, while one is handled
            return
        if os.getpid() == parent and len(children) < forks:
            name = len(children)
            if chance.random() < 0.5:
                children[begin(books, name)] = name
            elif child := os.fork():
                children[child] = name
            else:  # this child comes out of the call that it was forked in
                die_with_parent()
                signal.alarm(LIMIT)
                books.going_on = name
        is_busy = False

    def ping(pid: int) -> None:
        while True:
            time.sleep(chance.random() * 0.004)
            os.kill(pid, signal.SIGUSR1)

    def go_on() -> None:
        if os.getpid() != parent:
            books.write(books.going_on)
            os._exit(0)

    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    pinger = play(ping, parent)
    signal.signal(signal.SIGUSR1, handle)
    while len(children) < forks:
        for member in calls(chance)[:200]:
            attempt(member)
            # A child that comes out of this would count as its parent does.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            go_on()
            books.count(member)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
            go_on()
            if len(children) >= forks:
                break
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    go_on()
    os.kill(pinger, signal.SIGKILL)
    os.waitpid(pinger, 0)
    for child, name in children.items():
        assert not (wrong := ended(child)), f"child {name} {wrong}"
    books.judge(sorted(children.values()))


SCENARIOS: dict[str, Any] = {"threads": from_threads, "signals": from_signals}
