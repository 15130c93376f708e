"""Runs a Spark program as a night does, and measures it from outside: time, memory, bytes read and shuffled."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from expectations.runtime.code_version import REPOSITORY

_BUILT = re.compile(r"built: table=(\w+) ds=(\S+) rows=(\d+) seconds=([\d.]+)")
_DESCRIPTION = "spark.job.description"

logger = logging.getLogger(__name__)


@dataclass
class Traffic:
    """Bytes that the jobs of one table moved."""

    read: int = 0
    written: int = 0
    shuffled: int = 0


@dataclass
class Measured:
    """One run.

    Attributes:
        jvm_gib, python_gib: the largest resident memory seen, of the JVM (driver and executor in one) and of all Python
            processes together.
        built: (table, ds) -> seconds.
        traffic: (table, ds) -> bytes; `""` for jobs outside of any table.
    """

    seconds: float = 0.0
    jvm_gib: float = 0.0
    python_gib: float = 0.0
    built: dict[tuple[str, str], float] = field(default_factory=dict)
    traffic: dict[str, Traffic] = field(default_factory=dict)

    @property
    def total(self) -> Traffic:
        every = self.traffic.values()
        return Traffic(sum(t.read for t in every), sum(t.written for t in every), sum(t.shuffled for t in every))


def measured(module: str, flags: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Runs `python -m module` to its end; raises CalledProcessError when it fails."""
    with tempfile.TemporaryDirectory(prefix="nightjar-") as folder:
        logs, conf = Path(folder) / "events", Path(folder) / "conf"
        logs.mkdir()
        conf.mkdir()
        settings = {"enabled": "true", "dir": logs.as_uri(), "rolling.enabled": "false", "compress": "false"}
        (conf / "spark-defaults.conf").write_text("".join(f"spark.eventLog.{k} {v}\n" for k, v in settings.items()))
        command = [sys.executable, "-m", module, *flags]
        started = time.monotonic()
        with (Path(folder) / "log").open("w+b") as log:
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stderr=log,
                env={**os.environ, **(environment or {}), "SPARK_CONF_DIR": str(conf)},
            )
            result = Measured()
            _watch(process, result)
            result.seconds = time.monotonic() - started
            log.seek(0)
            text = log.read().decode("utf-8", "replace")
        if process.returncode:
            logger.error("failed: program=%s status=%d, and said last:\n%s", module, process.returncode, text[-8000:])
            raise subprocess.CalledProcessError(process.returncode, command, stderr=text)
        result.built = {(table, ds): float(seconds) for table, ds, _, seconds in _BUILT.findall(text)}
        result.traffic = _traffic(logs)
        return result


def _watch(process: subprocess.Popen[bytes], result: Measured) -> None:
    """Looks at the memory of the process and its children, five times a second."""
    while process.poll() is None:
        jvm = python = 0
        try:
            for child in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
                # What the JVM is about to start has its memory, and the name of one of its threads, for a moment.
                name, memory = child.name(), child.memory_info().rss
                jvm = max(jvm, memory) if name == "java" else jvm
                python += memory if name.startswith("python") else 0
        except psutil.NoSuchProcess:
            continue
        result.jvm_gib, result.python_gib = max(result.jvm_gib, jvm / 2**30), max(result.python_gib, python / 2**30)
        time.sleep(0.2)


def _traffic(logs: Path) -> dict[str, Traffic]:
    """What Spark's own event log says of every table."""
    traffic: dict[str, Traffic] = {}
    table_of_stage: dict[int, str] = {}
    for path in logs.iterdir():
        for line in path.read_text("utf-8").splitlines():
            event: dict[str, Any] = json.loads(line)
            if event["Event"] == "SparkListenerJobStart":
                table = (event.get("Properties") or {}).get(_DESCRIPTION, "")
                table_of_stage |= dict.fromkeys(event["Stage IDs"], table)
            elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
                metrics = event["Task Metrics"]
                of_table = traffic.setdefault(table_of_stage.get(event["Stage ID"], ""), Traffic())
                of_table.read += metrics["Input Metrics"]["Bytes Read"]
                of_table.written += metrics["Output Metrics"]["Bytes Written"]
                of_table.shuffled += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
    return traffic
