"""A torch DataLoader whose workers read a shared Array, which changes between its rounds."""

from pathlib import Path

import pytest

from tests.support.children import run_script

LOADER = """
import sys
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
import courtyard as cy

class Rows(Dataset):
    def __init__(self, rows, reads):
        self.rows, self.reads = rows, reads

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        self.reads.increment()
        return torch.from_numpy(np.asarray(self.rows)[number])

if __name__ == "__main__":
    rows, reads = cy.Array("float32", shape=(64, 8)), cy.Value("i")
    view = np.asarray(rows)
    view[:] = np.arange(64 * 8).reshape(64, 8)
    loader = DataLoader(
        Rows(rows, reads),
        batch_size=8,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=sys.argv[1],
    )
    for rounds in (1, 2):
        found = torch.cat(list(loader)).numpy()
        assert (found == view).all(), found
        assert reads.value == 64 * rounds, reads
        view += 1  # its workers, which go on, read it
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_read_an_array(method: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed; it is too large to be a need")
    script = tmp_path / "loader.py"
    script.write_text(LOADER, "utf-8")
    run_script(script, method, limit=50)
