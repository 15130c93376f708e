"""The JVM that Spark programs share is replaced when it is broken: real programs, in real JVMs that really break."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY

# What a task starts. It tells the process of its JVM; then it works in a way that depends on the argument.
PROGRAM = """
import os, signal, sys
from expectations.runtime.program import run_program
from expectations.runtime.spark_session import session_from_environment

def main(argv):
    spark = session_from_environment("x")
    process = spark._jvm.java.lang.ProcessHandle.current().pid()
    print(process, flush=True)
    if sys.argv[1] == "killed":
        os.kill(process, signal.SIGKILL)
    if sys.argv[1] == "heap":
        spark.range(1).selectExpr("length(repeat('x', 2000000000))").collect()
    spark.sparkContext.parallelize([1], 1).map(abs).collect()

run_program(main)
"""
# Each failure is a program that fails and then, as its next try, the same program without what broke it.
NIGHT = """
import json, logging, os, stat, subprocess, sys
from pathlib import Path
import speedups

logging.basicConfig(format="%(message)s", stream=sys.stderr)
program, java_home = sys.argv[1:]

def tried(how):
    ended = subprocess.run([sys.executable, "-c", program, how], capture_output=True, text=True)
    process, reason = ended.stdout.strip(), ended.stderr.strip().splitlines()[-1]
    return {"exit_code": ended.returncode, "process": process, "reason": reason}

def break_helper(process):
    # As after an upgrade of the JDK's files: the helper is not the one that the running JVM knows.
    helper = Path(java_home, "lib/jspawnhelper")
    genuine = helper.rename(helper.with_name("genuine"))
    helper.write_text(f'#!/bin/sh\\n[ "$PPID" = {process} ] && exit 1\\nexec {genuine} "$@"\\n')
    helper.chmod(0o755)

told = {}
speedups.start_before_tasks()
for how in ("killed", "helper", "heap"):
    if how == "helper":
        break_helper(speedups.engines.jvm.process.pid)
    first = tried(how)
    speedups.renew_jvm(f"preprocess failed in it: {first['reason']}")
    told[how] = {"first": first, "second": tried("works")}
speedups.renew_jvm()
told["last"] = speedups.engines.jvm.process.pid
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Tries:
    """Two tries of one task, and why the JVM was replaced between them."""

    first: dict[str, str]
    second: dict[str, str]
    replaced: str


@pytest.fixture(scope="module")
def tries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tries]:
    """By what broke the JVM; `last` is replaced by none of them."""
    java_home = own_java(tmp_path_factory.mktemp("java"))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY}/docker/local",
        "JAVA_HOME": str(java_home),
        "SPARK_MASTER": "local[1]",
        "SPARK_DRIVER_MEMORY": "512m",
        # Four JVMs that live for seconds: compiling well takes longer than it saves.
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dspark.sql.codegen.wholeStage=false",
    }
    ended = subprocess.run(
        [sys.executable, "-c", NIGHT, PROGRAM, str(java_home)],
        cwd=java_home, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(ended.stdout)
    replaced = [line for line in ended.stderr.splitlines() if line.startswith("replaced: the JVM")]
    assert str(told.pop("last")) == told["heap"]["second"]["process"], "a JVM in which all went well is kept"
    return {how: Tries(**both, replaced=line) for (how, both), line in zip(told.items(), replaced, strict=True)}


def own_java(folder: Path) -> Path:
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
    return folder


def assert_second_try_succeeded_in_a_new_jvm(tries: Tries) -> None:
    assert (tries.first["exit_code"], tries.second["exit_code"]) == (70, 0)
    assert tries.first["process"] != tries.second["process"]


def test_a_killed_jvm_is_replaced_before_the_next_try(tries: dict[str, Tries]) -> None:
    assert_second_try_succeeded_in_a_new_jvm(tries["killed"])
    assert tries["killed"].replaced.endswith("Reason: it ended with SIGKILL")
    assert "Spark's Java must run as long as its program. Received: " in tries["killed"].first["reason"]


def test_a_jvm_that_cannot_start_a_process_is_replaced_before_the_next_try(tries: dict[str, Tries]) -> None:
    assert_second_try_succeeded_in_a_new_jvm(tries["helper"])
    assert "Reason: it cannot start a process: " in tries["helper"].replaced
    reason = tries["helper"].first["reason"]
    assert "Spark's Java must be able to start helper processes. Received: java.io.IOException: " in reason


def test_a_jvm_whose_heap_is_full_is_replaced_before_the_next_try(tries: dict[str, Tries]) -> None:
    assert_second_try_succeeded_in_a_new_jvm(tries["heap"])
    assert "OutOfMemoryError" in tries["heap"].first["reason"]
    assert tries["heap"].first["reason"].endswith("then clear the task.")
