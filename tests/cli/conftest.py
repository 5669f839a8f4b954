"""A folder of spaces for each test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Make a folder as COURTYARD_DIR would name one, in memory."""
    path = Path(os.environ["COURTYARD_DIR"], tmp_path.name)
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path)
