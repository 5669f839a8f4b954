"""Clients that follow what a server at a Unix socket sends: server-sent events, a websocket."""

import base64
import http.client
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from tests.cases.server import Connection


class Follower(Protocol):
    """Reads JSON texts from a server as they come."""

    def __init__(self, path: Path, question: str = "/events") -> None: ...

    def next(self) -> Any:
        """Return the next one; None after the last."""

    def close(self) -> None: ...


class Events:
    """Server-sent events."""

    def __init__(self, path: Path, question: str = "/events") -> None:
        self.connection = Connection(path)
        self.connection.request("GET", question)
        self.response = self.connection.getresponse()
        assert self.response.getheader("content-type") == "text/event-stream"

    def next(self) -> Any:
        line = self.response.readline()
        if not line:
            return None
        if self.response.readline() != b"\n":
            raise ConnectionError("an event without its end")
        return json.loads(line.removeprefix(b"data: "))

    def close(self) -> None:
        self.connection.close()


class WebSocket:
    """A websocket (RFC 6455) that sends nothing."""

    def __init__(self, path: Path, question: str = "/events") -> None:
        self.connection = Connection(path)
        self.connection.connect()
        self.file = self.connection.sock.makefile("rb")
        lines = [
            f"GET {question} HTTP/1.1",
            "Host: localhost",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        ]
        self.connection.sock.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        status = self.file.readline()
        if not status:
            raise ConnectionError("no answer")
        assert b" 101 " in status, status
        while self.file.readline().strip():
            pass

    def next(self) -> Any:
        while True:
            opcode, length = self._read(2)
            if length == 126:
                length = int.from_bytes(self._read(2))
            payload = self._read(length)
            if opcode == 0x81:  # a whole text
                return json.loads(payload)
            if opcode == 0x88:
                return None
            assert opcode == 0x89, opcode  # a ping

    def _read(self, length: int) -> bytes:
        read = self.file.read(length)
        if len(read) < length:
            raise ConnectionError("a frame without its end")
        return read

    def close(self) -> None:
        self.file.close()
        self.connection.close()


def follow(kind: type[Follower], path: Path, keys: set[str], most: int) -> None:
    """Follow a dict until it has these keys; from the start, at most so often, after a kill."""
    content: dict[str, Any] = {}
    begun = 0
    while not keys <= set(content):
        begun += 1
        assert begun <= most, f"it had to begin {begun} times"
        with suppress(ConnectionError, http.client.HTTPException):
            follower = kind(path)
            try:
                content = {}
                while not keys <= set(content):
                    change = follower.next()
                    if change is None:
                        break  # a worker that is killed may end so, too
                    content |= change
            finally:
                follower.close()
