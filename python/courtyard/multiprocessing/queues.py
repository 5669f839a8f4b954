"""``multiprocessing.queues`` with courtyard's queues."""

from __future__ import annotations

import traceback
from multiprocessing import queues as _standard
from typing import Any, TypeVar

import courtyard
from courtyard.multiprocessing._rules import MultiprocessingRules

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]

_T = TypeVar("_T")


class _End:
    """An end of the pipe that multiprocessing's SimpleQueue has, and this one has not."""

    def __init__(self, closed: bool) -> None:
        self.closed = closed

    def fileno(self) -> int:
        """Raise NotImplementedError: there is no descriptor that says when an item is there."""
        raise NotImplementedError(_NO_PIPE)


_NO_PIPE = (
    "a courtyard queue has no pipe: where multiprocessing.connection.wait() was given its _reader, "
    "give the queue itself to courtyard.wait(), beside connections and sentinels"
)


class Queue(MultiprocessingRules, courtyard.Queue[_T]):
    """A ``courtyard.Queue`` that is used as ``multiprocessing.Queue``."""

    _used = False  # when it was closed

    @property
    def _reader(self) -> Any:
        raise AttributeError(_NO_PIPE)

    @staticmethod
    def _on_queue_feeder_error(e: Exception, obj: object) -> None:
        """Hear of an item that cannot be pickled: multiprocessing's put() does not raise then."""
        traceback.print_exception(e)

    def close(self) -> None:
        """Close the queue in this process; it lives on where others have it."""
        if not self._closed:
            self._used = self.version > 0
        super().close()

    def empty(self) -> bool:
        """Return whether no item is there. OSError when closed, if there ever was one."""
        if not self._closed:
            return super().empty()
        if self._used:
            raise OSError("handle is closed")
        return True


class JoinableQueue(Queue[_T], courtyard.JoinableQueue[_T]):
    """A ``courtyard.JoinableQueue`` that is used as ``multiprocessing.JoinableQueue``."""


class SimpleQueue(MultiprocessingRules, courtyard.SimpleQueue[_T]):
    """A ``courtyard.SimpleQueue`` that is used as ``multiprocessing.SimpleQueue``."""

    def empty(self) -> bool:
        """Return whether no item is there. OSError when closed."""
        if self._closed:
            raise OSError("handle is closed")
        return super().empty()

    @property
    def _reader(self) -> _End:
        return _End(self._closed)

    @property
    def _writer(self) -> _End:
        return _End(self._closed)


def __getattr__(name: str) -> Any:
    """Return what else the standard module has."""
    return getattr(_standard, name)
