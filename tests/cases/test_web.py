"""The application of the page on web workers, served by gunicorn."""

import json
from pathlib import Path

import pytest

from tests.cases.test_gunicorn import ROOT, ask, serve
from tests.object.test_memory import folder
from tests.support.page import blocks


def test_the_page_on_web_workers(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn", reason="it comes with the extra `test`")
    [page] = [block for block in blocks(ROOT / "docs/howto/web.md") if block.name == "web.py"]
    (tmp_path / "web.py").write_text(page.text, "utf-8")
    made = folder(tmp_path)
    for begun in (0, 50):  # the state outlives the server
        path = tmp_path / f"web{begun}.sock"
        with serve(path, cwd=tmp_path, app="web:app", COURTYARD_DIR=str(made)):
            answers = [json.loads(ask(path, "/page?ann") or "nothing") for _ in range(50)]
        assert [answer["hits"] for answer in answers] == list(range(begun + 1, begun + 51))
        assert answers[-1]["pages"] == ["/page"] * 10
