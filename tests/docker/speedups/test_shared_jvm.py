"""The JVM that Spark programs share is replaced when it is broken: real programs, in real JVMs that really break."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from expectations.runtime.borrowed_jvm import borrow, give_back
from expectations.runtime.code_version import REPOSITORY
from tests.docker.speedups.conftest import Served, served

# What a task starts. It tells the process of its JVM; then it works in a way that depends on the argument.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from expectations.runtime.program import run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.tables import NightError

def main(argv):
    spark = session_from_environment("x")
    process = spark._jvm.java.lang.ProcessHandle.current().pid()
    print(process, flush=True)
    if sys.argv[1] == "killed":
        os.kill(process, signal.SIGKILL)
    if sys.argv[1] == "helper":
        # As after an upgrade of the JDK's files: the helper is not the one that the running JVM knows.
        helper = Path(sys.argv[2], "lib/jspawnhelper")
        genuine = helper.rename(helper.with_name("genuine"))
        helper.write_text(f'#!/bin/sh\\n[ "$PPID" = {process} ] && exit 1\\nexec {genuine} "$@"\\n')
        helper.chmod(0o755)
    if sys.argv[1] == "heap":
        spark.range(1).selectExpr("length(repeat('x', 2000000000))").collect()
    spark.sparkContext.parallelize([1], 1).map(abs).collect()
    if sys.argv[1] == "told":
        raise NightError("as a shop's own mistake does")

run_program(main)
"""
# Works, and waits for its end.
WAITER = """
import sys
from expectations.runtime.spark_session import session_from_environment

spark = session_from_environment("x")
assert spark.range(3).count() == 3
print(spark._jvm.java.lang.ProcessHandle.current().pid(), flush=True)
sys.stdin.read()
"""
SMALL = {
    "SPARK_MASTER": "local[1]",
    "SPARK_DRIVER_MEMORY": "512m",
    # Four JVMs that live for seconds: compiling well takes longer than it saves.
    "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dspark.sql.codegen.wholeStage=false",
}


@dataclass(frozen=True)
class Try:
    """How a program ended, and the process of the JVM that it had."""

    exit_code: int
    jvm: str
    reason: str


@dataclass(frozen=True)
class Tries:
    """Two tries of one task, and why the JVM was replaced between them."""

    first: Try
    second: Try
    replaced: str


@pytest.fixture(scope="module")
def tries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tries]:
    """By what broke the JVM: a program that fails and then, as its next try, the same program without what broke it."""
    java_home = own_java(tmp_path_factory.mktemp("java"))
    found = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "programs", **SMALL, JAVA_HOME=java_home) as programs,
    ):
        for how in ("killed", "helper", "heap"):
            first, second = tried(programs, how, java_home), tried(programs, "works")
            found[how] = first, second
        assert tried(programs, "told").jvm == tried(programs, "works").jvm == second.jvm, "all went well in it"
        replaced = [line for line in programs.log.read_text("utf-8").splitlines() if "replaced: the JVM" in line]
    return {how: Tries(*both, line) for (how, both), line in zip(found.items(), replaced, strict=True)}


def tried(programs: Served, *how: str) -> Try:
    """Runs the program to its end."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *how], cwd=REPOSITORY, env={**programs.environment, **SMALL},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Try(ended.returncode, ended.stdout.strip(), ended.stderr.strip().splitlines()[-1])


def own_java(folder: Path) -> str:
    """A JDK whose helper may be broken: what it finds its own folder by is copied, all else is linked."""
    java = shutil.which("java", path=f"{os.environ.get('JAVA_HOME', '')}/bin{os.pathsep}{os.environ['PATH']}")
    if java is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a JDK on Linux")
    home = Path(java).resolve().parents[1]
    if not (home / "lib/jspawnhelper").is_file():
        pytest.skip(f"{home} starts processes without a helper")
    copied = {"bin/java", "lib/libjli.so", "lib/jspawnhelper", "lib/server/libjvm.so"}
    for path in home.rglob("*"):
        name = path.relative_to(home)
        if path.is_dir() and not path.is_symlink():
            (folder / name).mkdir(exist_ok=True)
        elif str(name) in copied:
            shutil.copy(path, folder / name)
        else:
            (folder / name).symlink_to(path)
    return str(folder)


def assert_second_try_succeeded_in_a_new_jvm(tries: Tries) -> None:
    assert (tries.first.exit_code, tries.second.exit_code) == (70, 0)
    assert tries.first.jvm != tries.second.jvm


def test_a_killed_jvm_is_replaced_before_the_next_try(tries: dict[str, Tries]) -> None:
    assert_second_try_succeeded_in_a_new_jvm(tries["killed"])
    assert tries["killed"].replaced.endswith("Reason: it ended with SIGKILL")
    assert "Spark's Java must run as long as its program. Received: " in tries["killed"].first.reason


def test_a_jvm_that_cannot_start_a_process_is_replaced_before_the_next_try(tries: dict[str, Tries]) -> None:
    assert_second_try_succeeded_in_a_new_jvm(tries["helper"])
    assert "Reason: it cannot start a process: " in tries["helper"].replaced
    reason = tries["helper"].first.reason
    assert "Spark's Java must be able to start helper processes. Received: java.io.IOException: " in reason


def test_a_jvm_whose_heap_is_full_is_replaced_before_the_next_try(tries: dict[str, Tries]) -> None:
    assert_second_try_succeeded_in_a_new_jvm(tries["heap"])
    assert "OutOfMemoryError" in tries["heap"].first.reason
    assert tries["heap"].first.reason.endswith("then clear the task.")


def test_a_program_that_asks_while_another_has_the_jvm_starts_its_own_and_a_killed_one_leaves_none(
    short_path: Path,
) -> None:
    with served(short_path / "programs", **SMALL) as programs:
        environment = {**programs.environment, **SMALL}
        begun = [
            subprocess.Popen(
                [sys.executable, "-c", WAITER], cwd=REPOSITORY, env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        jvms = [program.stdout.readline().strip() for program in begun if program.stdout]
        assert len({*jvms}) == 2
        for program in begun:
            program.kill()
            program.communicate()
        assert tried(programs, "works").jvm not in jvms
        assert "Reason: a program ended unexpectedly in it" in programs.log.read_text("utf-8")


def test_a_program_has_its_own_jvm_where_nobody_lends_one(short_path: Path) -> None:
    assert borrow(None) == borrow(str(short_path / "jvm")) == {}
    give_back()


def test_a_jvm_ends_where_nobody_asks_for_it_and_is_replaced_after_many_programs(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docker" / "local"))
    monkeypatch.setenv("SPARK_DRIVER_MEMORY", "256m")
    from speedups.shared_jvm import JvmLender

    lender = JvmLender(short_path / "jvm", idle_seconds=600, most_loans=2)
    ports = []
    for _ in range(3):
        with ThreadPoolExecutor(1) as program:
            asked = program.submit(borrow, str(short_path / "jvm"))
            while not asked.done():
                lender.answer(select.select(lender.handles(), [], [], 0.1)[0])
            ports.append(asked.result()["PYSPARK_GATEWAY_PORT"])
        give_back()
        lender._take_back()
    assert ports[0] == ports[1] != ports[2]
    process = lender.jvm.process if lender.jvm else None
    lender.idle_seconds = 0
    lender.answer([])
    assert lender.jvm is None and process is not None and process.poll() is not None
