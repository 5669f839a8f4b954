"""Child processes that end with the test that started them."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies.

    Call it first thing in a child: by hand after ``os.fork()``, as the ``initializer`` of a pool
    or executor; ``start()`` and ``run_script()`` do it themselves. The parent, for the kernel, is
    the *thread* that forked: don't start children from a thread that ends before they do.
    """
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # A parent that died before the call sends no signal. Under forkserver it is not the process
    # that asked for the child, so that one is looked at too.
    parent = multiprocessing.parent_process()
    if os.getppid() == 1 or (parent is not None and not parent.is_alive()):
        os.kill(os.getpid(), signal.SIGKILL)


def _run(target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    die_with_parent()
    target(*args, **kwargs)


def start(
    context: BaseContext, target: Callable[..., object], *args: Any, **kwargs: Any
) -> BaseProcess:
    """Start ``target(*args, **kwargs)`` in a child that dies with this process."""
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=_run, args=(target, args, kwargs), daemon=True
    )
    process.start()
    return process


def fork(target: Callable[..., object], *args: Any) -> int:
    """Run ``target(*args)`` in a child of a bare os.fork(); return its PID, to be waited for.

    Cheaper than ``start()``: for tests that kill by the thousand. Exit status 1 is an exception,
    shown on standard error.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        die_with_parent()
        target(*args)
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def kill(child: int) -> None:
    """Kill a child of ``fork()``, and see that nothing else ended it."""
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, f"exit code {code}: it ended by itself"


def join(*processes: BaseProcess, limit: float = 30) -> None:
    """Wait until all have ended, and see that they ended well."""
    for process in processes:
        process.join(limit)
    codes = [process.exitcode for process in processes]
    assert codes == [0] * len(codes), f"exit codes {codes} (None: still alive after {limit} s)"


def environment() -> dict[str, str]:
    """Return a copy of ``os.environ``, beside threads that change it too.

    ``os.environ.copy()`` reads the names, then each value. pytest removes ``PYTEST_CURRENT_TEST``
    after each part of a test, and the runner of CPython's tests goes on in the background.
    """
    found = ((name, os.environ.get(name)) for name in list(os.environ))
    return {name: value for name, value in found if value is not None}


@contextmanager
def running(
    command: list[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Have a command run beside the test; it and its children are killed when the block ends.

    The block of a bare ``Popen`` waits for the command, without a limit, where an assertion in it
    fails, and nobody ever reads what failed.
    """
    with subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=True,
        env=environment() | (env or {}),
        cwd=cwd,
        process_group=0,
        preexec_fn=die_with_parent,
    ) as process:
        try:
            yield process
        finally:
            # The whole group: a grandchild would hold the pipes.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run_script(
    script: str | Path,
    *args: str,
    input: str | None = None,
    limit: float = 30,
    check: bool = True,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh interpreter: a file where ``script`` is a Path, else its text."""
    command = [sys.executable, str(script)] if isinstance(script, Path) else [sys.executable, "-c"]
    if isinstance(script, str):
        command.append(script)
    return run_command([*command, *args], input=input, limit=limit, check=check, env=env, cwd=cwd)


def run_command(
    command: list[str],
    *,
    input: str | None = None,
    limit: float = 30,
    check: bool = True,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command, and return what it printed.

    Past ``limit`` seconds it is killed together with its children, as ``subprocess.run()`` does not
    do: it would wait for what still holds the pipes. With ``check``, a command that fails is an
    AssertionError that shows what it printed.
    """
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    with running(command, stdin=stdin, stderr=subprocess.PIPE, env=env, cwd=cwd) as process:
        try:
            output, errors = process.communicate(input, timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate(timeout=10)
            raise AssertionError(
                f"took longer than {limit} s; printed:\n{output}{errors}"
            ) from None
    if check:
        assert process.returncode == 0, f"exit {process.returncode}; printed:\n{output}{errors}"
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
