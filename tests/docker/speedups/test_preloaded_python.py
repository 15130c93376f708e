"""The Python that a night on one machine starts once: its programs are what they would be on their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from expectations.runtime.code_version import REPOSITORY
from tests.docker.speedups.conftest import Served, served

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forks it")


@pytest.fixture(scope="module")
def python() -> Iterator[str]:
    """The `python` that hands over."""
    with served(Path(tempfile.mkdtemp()) / "programs") as programs:
        yield str(programs.folder / "python")


def write_program(folder: Path, text: str) -> Path:
    (folder / "program.py").write_text(text, encoding="utf-8")
    return folder


def ended(python: str, folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The program of that folder, run to its end."""
    command = [python, "-m", "program", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **options)


def kill(process: psutil.Process) -> None:
    """Returns once it is dead, though its parent may not have asked yet how it ended."""
    process.kill()
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)


def test_a_program_has_its_callers_arguments_environment_folder_and_streams(python: str, tmp_path: Path) -> None:
    folder = write_program(
        tmp_path,
        "import os, sys\n"
        "print(sys.argv[1:], os.environ['TOLD'], os.getcwd(), sys.stdin.read(), __name__)\n"
        "print('aside', file=sys.stderr)\n"
        "sys.exit(7)\n",
    )
    told = ended(python, folder, "a b", "'c'", env={**os.environ, "TOLD": "x"}, input="read")
    assert told.stdout == f"['a b', \"'c'\"] x {folder} read __main__\n"
    assert (told.stderr, told.returncode) == ("aside\n", 7)


def test_an_error_is_told_as_python_tells_it(python: str, tmp_path: Path) -> None:
    folder = write_program(tmp_path, "raise ValueError('no')\n")
    told = ended(python, folder)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1] == "ValueError: no"


def test_libraries_are_there_and_the_repository_s_local_scripts_are_not(python: str, tmp_path: Path) -> None:
    folder = write_program(
        tmp_path,
        "import sys, threading\n"
        "print('keras' in sys.modules, 'mlflow' in sys.modules, 'models' in sys.modules)\n"
        "print([path for path in sys.path if path.endswith('docker/local')])\n"
        "print([thread.name for thread in threading.enumerate()])\n",
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    told = once_all_are_there(lambda: ended(python, folder, env=environment).stdout)
    # PYTHONPATH of the test's own process names it once.
    assert told.splitlines() == ["True True False", f"['{REPOSITORY}/docker/local']", "['MainThread']"]


def once_all_are_there(told: Callable[[], str]) -> str:
    """What a program says that begins with whether `keras` is there, as soon as it is."""
    until = time.monotonic() + 120
    while not (said := told()).startswith("True"):
        assert time.monotonic() < until, "the libraries never came"
        time.sleep(0.2)
    return said


@pytest.mark.parametrize(
    "line", ["import os, time\nwhile not os.path.exists({go!r}): time.sleep(0.1)", "import os; os._exit(1)"]
)
def test_the_first_programs_do_not_wait_for_the_libraries_of_the_last(
    tmp_path: Path, short_path: Path, line: str
) -> None:
    go = str(tmp_path / "go")
    late = tmp_path / "late"
    late.mkdir()
    (late / "great_expectations.py").write_text(line.format(go=go), encoding="utf-8")
    folder = write_program(tmp_path, "import sys\nprint('keras' in sys.modules, 'pyspark' in sys.modules)\n")
    with served(short_path / "programs", str(late)) as programs:
        python = str(programs.folder / "python")
        for _ in range(3):
            assert ended(python, folder).stdout == "False True\n"
        if "_exit" not in line:
            Path(go).touch()
            assert once_all_are_there(lambda: ended(python, folder).stdout) == "True True\n"


def test_a_network_learns_the_same_as_in_a_python_of_its_own(python: str, tmp_path: Path) -> None:
    folder = write_program(
        tmp_path,
        "import keras, numpy as np\n"
        "keras.utils.set_random_seed(1)\n"
        "model = keras.Sequential([keras.layers.Dense(8, 'relu'), keras.layers.Dense(1)])\n"
        "model.compile('adam', 'mse')\n"
        "x = np.random.default_rng(0).normal(size=(256, 4))\n"
        "model.fit(x, x.sum(1), epochs=3, verbose=0)\n"
        "print(model.predict(x[:3], verbose=0).ravel().tolist())\n",
    )
    told = [ended(python_, folder).stdout for python_ in (python, sys.executable)]
    assert told[0] == told[1] != ""


def test_a_program_whose_caller_is_killed_ends_with_its_children(python: str, tmp_path: Path) -> None:
    folder = write_program(
        tmp_path,
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(600)\n",
    )
    caller = subprocess.Popen(
        [python, "-m", "program"], cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert caller.stdout is not None
    processes = [psutil.Process(int(pid)) for pid in caller.stdout.readline().split()]
    os.killpg(caller.pid, signal.SIGTERM)
    caller.wait()
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert len(processes) == 2
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_it_ends_with_the_night_and_leaves_nothing(tmp_path: Path, short_path: Path) -> None:
    folder = write_program(tmp_path, "import os\nprint(os.getppid())\n")
    with served(short_path / "programs") as programs:
        assert int(ended(f"{programs.folder}/python", folder).stdout) != os.getpid()
        processes = [psutil.Process(programs.server), *psutil.Process(programs.server).children(recursive=True)]
        programs.night.kill()
        _, alive = psutil.wait_procs(processes, timeout=180)  # one may have to import first what it has begun to
    assert not alive and len(processes) >= 3
    assert not programs.folder.exists()


def test_programs_wait_for_the_libraries_where_only_the_first_process_was_killed(
    tmp_path: Path, short_path: Path
) -> None:
    folder = write_program(tmp_path, "import sys\nprint('keras' in sys.modules)\n")
    with served(short_path / "programs") as programs:
        python = f"{programs.folder}/python"
        assert ended(python, folder).stdout == "False\n"
        kill(preloaded(programs)[0])
        assert ended(python, folder).stdout == "True\n"


def test_python_goes_on_where_it_was_killed_and_is_replaced(tmp_path: Path, short_path: Path) -> None:
    folder = write_program(tmp_path, "import os\nprint(os.getppid())\n")
    with served(short_path / "programs") as programs:
        python = f"{programs.folder}/python"
        assert int(ended(python, folder).stdout) != os.getpid()
        for process in preloaded(programs):
            kill(process)
        assert int(ended(python, folder).stdout) == os.getpid(), "the program imports for itself"
        deadline = time.monotonic() + 60
        while int(ended(python, folder).stdout) == os.getpid():
            assert time.monotonic() < deadline, programs.log.read_text("utf-8")
            time.sleep(0.2)
        assert "replaced: the Python that programs fork from. Reason: nobody answers" in programs.log.read_text("utf-8")


def preloaded(programs: Served) -> list[psutil.Process]:
    """The processes that import the libraries: the first one, which serves until its child has them all."""
    children = psutil.Process(programs.server).children(recursive=True)
    return [child for child in children if any("preloaded_python" in word for word in child.cmdline())]
