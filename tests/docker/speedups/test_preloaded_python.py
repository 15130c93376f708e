"""The Python that a night on one machine starts once: its programs are what they would be on their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from expectations.runtime.code_version import REPOSITORY

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forks it")

# For each line that it reads, it does what is done before each program, and tells the folder again.
NIGHT = """
import os, sys
import speedups
speedups.start_before_programs()
print(os.environ["PATH"].split(os.pathsep)[0], flush=True)
for _ in sys.stdin:
    speedups.renew_python()
    print(os.environ["PATH"].split(os.pathsep)[0], flush=True)
"""


@contextmanager
def preloaded_python(environment: dict[str, str], *libraries: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has started it, and lives until it is told to end; its first line is the folder of `python`.

    Args:
        libraries: folders that are looked in before those of the libraries that are installed.
    """
    path = os.pathsep.join([*libraries, str(REPOSITORY), f"{REPOSITORY}/docker/local"])
    night = subprocess.Popen(
        [sys.executable, "-c", NIGHT],
        env={**environment, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with night:
        yield night


@pytest.fixture(scope="module")
def python() -> Iterator[str]:
    """The `python` that hands over."""
    with preloaded_python(dict(os.environ)) as night:
        assert night.stdout is not None
        yield f"{night.stdout.readline().strip()}/python"


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
def test_the_first_programs_do_not_wait_for_the_libraries_of_the_last(tmp_path: Path, line: str) -> None:
    go = str(tmp_path / "go")
    late = tmp_path / "late"
    late.mkdir()
    (late / "great_expectations.py").write_text(line.format(go=go), encoding="utf-8")
    folder = write_program(tmp_path, "import sys\nprint('keras' in sys.modules, 'pyspark' in sys.modules)\n")
    with preloaded_python(dict(os.environ), str(late)) as night:
        assert night.stdout is not None and night.stdin is not None
        python = f"{night.stdout.readline().strip()}/python"
        for _ in range(3):
            assert ended(python, folder).stdout == "False True\n"
        if "_exit" not in line:
            Path(go).touch()
            assert once_all_are_there(lambda: ended(python, folder).stdout) == "True True\n"
        night.stdin.close()


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


def test_it_ends_with_the_night_and_leaves_nothing(tmp_path: Path) -> None:
    folder = write_program(tmp_path, "import os\nprint(os.getppid())\n")
    with preloaded_python(dict(os.environ)) as night:
        assert night.stdout is not None
        place = Path(night.stdout.readline().strip())
        assert int(ended(f"{place}/python", folder).stdout) != os.getpid()
        night.kill()
    deadline = time.monotonic() + 30
    while place.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_programs_wait_for_the_libraries_where_only_the_first_process_was_killed(tmp_path: Path) -> None:
    folder = write_program(tmp_path, "import sys\nprint('keras' in sys.modules)\n")
    with preloaded_python(dict(os.environ)) as night:
        assert night.stdout is not None
        python = f"{night.stdout.readline().strip()}/python"
        assert ended(python, folder).stdout == "False\n"
        (first,) = psutil.Process(night.pid).children()
        kill(first)
        assert ended(python, folder).stdout == "True\n"
        night.kill()


def test_python_goes_on_where_it_was_killed_and_is_replaced_before_the_next_program(tmp_path: Path) -> None:
    folder = write_program(tmp_path, "import os\nprint(os.getppid())\n")
    with preloaded_python(dict(os.environ)) as night:
        assert night.stdout is not None and night.stdin is not None
        first = night.stdout.readline().strip()
        assert int(ended(f"{first}/python", folder).stdout) != os.getpid()
        assert renewed(night) == first, "it answers"
        for process in psutil.Process(night.pid).children(recursive=True):
            kill(process)
        assert int(ended(f"{first}/python", folder).stdout) == os.getpid()
        second = renewed(night)
        assert second != first and not Path(first).exists()
        assert int(ended(f"{second}/python", folder).stdout) != os.getpid()
        night.stdin.close()


def renewed(night: subprocess.Popen[str]) -> str:
    """The folder of `python` after the look that comes before a program."""
    assert night.stdout is not None and night.stdin is not None
    night.stdin.write("\n")
    night.stdin.flush()
    return night.stdout.readline().strip()
