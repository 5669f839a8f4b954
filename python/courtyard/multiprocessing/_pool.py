"""``Manager().Pool()``: a pool that may be handed to other processes, as a Manager's may.

Its workers are children of the process that made it, which uses it directly. In other processes it
is a proxy, and a thread of the maker's takes their calls, in the server that the standard library
has for managers. So they raise EOFError or an OSError once the maker has ended, however it did.
"""

from __future__ import annotations

import os
import threading
import time
from multiprocessing import AuthenticationError, pool, process, util
from multiprocessing import managers as _managers
from typing import Any

managers: Any = _managers  # its stubs leave most of this out
_REGISTRY = managers.SyncManager._registry


class _Absent:
    """What a proxy looks up in its manager, in processes that have none."""

    _registry = _REGISTRY

    class _state:
        value = managers.State.STARTED

    @property
    def _authkey(self) -> bytes:
        return process.current_process().authkey


_absent = _Absent()


class RemotePool(managers.PoolProxy):  # type: ignore[misc]
    """A pool of another process."""

    @property
    def _manager(self) -> Any:
        return _absent

    @_manager.setter
    def _manager(self, _manager: Any) -> None:
        pass


class _Server(managers.Server):  # type: ignore[misc]
    """The server of this process's pools, in a thread."""

    def __init__(self) -> None:
        name = f"\0courtyard-{os.urandom(16).hex()}"  # no file that could be left behind
        super().__init__(_REGISTRY, name, process.current_process().authkey, "pickle")
        # The garbage collector may end a pool in the midst of a call that holds it.
        self.mutex = threading.RLock()
        self.owner = os.getpid()
        self.stop_event = threading.Event()
        threading.Thread(target=self.accept, name="courtyard pools", daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection = self.listener.accept()
            except (EOFError, AuthenticationError):
                continue
            except OSError:  # no descriptor is free, say
                time.sleep(0.1)
                continue
            handle = threading.Thread(target=self.handle_request, args=(connection,), daemon=True)
            handle.start()


_serving: _Server | None = None
_mutex = threading.Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_mutex=threading.Lock()))


def _server() -> _Server:
    global _serving
    with _mutex:
        if _serving is None or _serving.owner != os.getpid():
            _serving = _Server()
        return _serving


class Pool(managers.PoolProxy):  # type: ignore[misc]
    """A pool of processes, which other processes may use too."""

    def __init__(self, made: pool.Pool) -> None:
        """Have the server of this process serve it."""
        server = _server()
        exposed, method_to_typeid = self._exposed_, self._method_to_typeid_
        entry = (lambda: made, exposed, method_to_typeid, RemotePool)
        with _mutex:
            server.registry = {**_REGISTRY, "Pool": entry}
            identity, exposed = server.create(None, "Pool")
            server.registry = _REGISTRY
        token = managers.Token("Pool", server.address, identity)
        self._owner, self._pool = os.getpid(), made
        self._remote = RemotePool(token, "pickle", exposed=exposed, incref=False)
        # With the last who has it, here or elsewhere, the pool ends.
        util.Finalize(self, server.decref, args=(None, identity))

    def _callmethod(self, methodname: str, args: Any = (), kwds: Any = None) -> Any:
        kwds = kwds or {}
        if os.getpid() == self._owner:
            return getattr(self._pool, methodname)(*args, **kwds)
        return self._remote._callmethod(methodname, args, kwds)

    def __reduce__(self) -> Any:
        """Send a proxy."""
        return self._remote.__reduce__()

    def __deepcopy__(self, memo: dict[Any, Any]) -> Pool:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._pool!r}>"

    __str__ = __repr__
