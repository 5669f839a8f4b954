"""Where a user's spaces are: whatever the working directory, at exit, beside who removes them."""

import os
import threading
from pathlib import Path

import pytest

import courtyard as cy
from tests.support.children import fork, run_script

RELATIVE = """
import multiprocessing, os, pickle, subprocess, sys
import courtyard as cy

def look(d):
    assert d["a"] == 1
    assert cy.Space("x", create=False)["n"].value == 5

READ = "import pickle, sys; from main import look; look(pickle.load(sys.stdin.buffer))"

if __name__ == "__main__":
    if sys.argv[1:]:
        os.environ["COURTYARD_DIR"] = sys.argv[1]
    here = os.getcwd()
    d = cy.Dict(a=1)
    cy.Space("x").named("n", cy.Value, "i", 5)
    for place in ("elsewhere", ".."):
        os.makedirs(place, exist_ok=True)
        os.chdir(place)
        look(d)
        assert pickle.loads(pickle.dumps(d)) == {"a": 1}
        again = cy.Space("x", create=False)
        assert again["n"].value == 5
        assert str(again._here.path) == f"{here}/folder/x.cy1", again._here.path
        env = os.environ | {"PYTHONPATH": here}
        subprocess.run([sys.executable, "-c", READ], input=pickle.dumps(d), check=True, env=env)
        for method in ("fork", "spawn", "forkserver"):
            child = multiprocessing.get_context(method).Process(target=look, args=(d,))
            child.start()
            child.join(20)
            assert child.exitcode == 0, method
    cy.Space("x").destroy()
"""


@pytest.mark.parametrize("argument", [(), ("folder",)], ids=["before the import", "after it"])
def test_a_relative_folder(tmp_path: Path, argument: tuple[str, ...]) -> None:
    (tmp_path / "main.py").write_text(RELATIVE)
    env = {} if argument else {"COURTYARD_DIR": "folder"}
    run_script(tmp_path / "main.py", *argument, env=env, cwd=tmp_path)
    assert list((tmp_path / "folder").iterdir()) == []


LATE = """
import atexit, pickle, subprocess, sys
READ = "import courtyard, pickle, sys; print(pickle.load(sys.stdin.buffer)['a'])"

def late():
    for name in ("d", "other"):
        made = globals().get(name) or cy.Dict(a=2)
        subprocess.run([sys.executable, "-c", READ], input=pickle.dumps(made), check=True)

atexit.register(late)
import courtyard as cy
d = cy.Dict(a=1)
"""


def test_functions_at_exit_registered_before_the_import(tmp_path: Path) -> None:
    done = run_script(LATE, env={"COURTYARD_DIR": str(tmp_path / "folder")})
    assert (done.stdout, done.stderr) == ("1\n2\n", "")
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("force", [False, True])
def test_who_destroys_what_others_destroy(title: str, url: str, force: bool) -> None:
    """Whoever comes second finds nothing, or a space that is in use: never a missing file."""
    spaces = (title, url)
    turns = 40

    def destroy() -> None:
        for _ in range(turns):
            for where in spaces:
                try:
                    cy.Space(where).destroy(force=force)
                except cy.CourtyardError as error:
                    assert not force and "used by other processes" in str(error)

    children = [fork(destroy) for _ in range(3)]
    destroy()
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_that_destroy_one_space(title: str) -> None:
    errors: list[BaseException] = []

    def destroy(space: cy.Space, barrier: threading.Barrier) -> None:
        try:
            barrier.wait()
            space.destroy()
        except BaseException as error:
            errors.append(error)

    for _ in range(30):
        barrier = threading.Barrier(3)
        spaces = [cy.Space(title) for _ in range(3)]
        threads = [threading.Thread(target=destroy, args=(space, barrier)) for space in spaces]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
