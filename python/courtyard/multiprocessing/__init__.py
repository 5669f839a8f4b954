"""A drop-in for the standard library's ``multiprocessing``, with courtyard's shared types.

``import courtyard.multiprocessing as multiprocessing`` instead of ``import multiprocessing``:
all names, contexts and submodules of it are here. Locks, values, arrays and queues are
courtyard's, with multiprocessing's signatures, and ``Manager()`` makes courtyard's containers, with
no server; processes, pools, pipes, connections and ``shared_memory`` are the standard ones.

>>> import courtyard.multiprocessing as multiprocessing
>>> context = multiprocessing.get_context("spawn")
>>> lock, count = context.Lock(), context.Value("i", 0)
>>> with lock:
...     count.value += 1
>>> count.value
1
"""

import multiprocessing as _standard
from importlib import import_module as _import_module
from typing import Any as _Any

from courtyard.multiprocessing import context as context
from courtyard.multiprocessing import process as process
from courtyard.multiprocessing import reduction as reduction

_default = context._default_context

Array = _default.Array
AuthenticationError = _default.AuthenticationError
Barrier = _default.Barrier
BoundedSemaphore = _default.BoundedSemaphore
BufferTooShort = _default.BufferTooShort
Condition = _default.Condition
Event = _default.Event
JoinableQueue = _default.JoinableQueue
Lock = _default.Lock
Manager = _default.Manager
Pipe = _default.Pipe
Pool = _default.Pool
Process = context.Process
ProcessError = _default.ProcessError
Queue = _default.Queue
RLock = _default.RLock
RawArray = _default.RawArray
RawValue = _default.RawValue
Semaphore = _default.Semaphore
SimpleQueue = _default.SimpleQueue
TimeoutError = _default.TimeoutError
Value = _default.Value
active_children = _default.active_children
allow_connection_pickling = _default.allow_connection_pickling
cpu_count = _default.cpu_count
current_process = _default.current_process
freeze_support = _default.freeze_support
get_all_start_methods = _default.get_all_start_methods
get_context = _default.get_context
get_logger = _default.get_logger
get_start_method = _default.get_start_method
log_to_stderr = _default.log_to_stderr
parent_process = _default.parent_process
reducer = _default.reducer
set_executable = _default.set_executable
set_forkserver_preload = _default.set_forkserver_preload
set_start_method = _default.set_start_method

__all__ = list(_standard.__all__)

_SUBMODULES = frozenset(
    [
        "connection",
        "context",
        "dummy",
        "forkserver",
        "heap",
        "managers",
        "pool",
        "popen_fork",
        "popen_forkserver",
        "popen_spawn_posix",
        "process",
        "queues",
        "reduction",
        "resource_sharer",
        "resource_tracker",
        "shared_memory",
        "sharedctypes",
        "spawn",
        "synchronize",
        "util",
    ]
)


def __getattr__(name: str) -> _Any:
    """Import a submodule when it is asked for; what else there is, the standard package has."""
    if name in _SUBMODULES:
        return _import_module(f"{__name__}.{name}")
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES})
