"""Starting children does not depend on what other threads do."""

import os
import sys
import threading

import pytest

from tests.support.children import environment


def test_the_environment_is_copied_while_another_thread_changes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COURTYARD_KEPT", "yes")
    interval = sys.getswitchinterval()
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            os.environ["COURTYARD_COMES_AND_GOES"] = "yes"
            del os.environ["COURTYARD_COMES_AND_GOES"]

    thread = threading.Thread(target=change)
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(2000):
            assert environment()["COURTYARD_KEPT"] == "yes"
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert "COURTYARD_COMES_AND_GOES" not in environment()
