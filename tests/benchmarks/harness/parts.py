"""A result that several programs make together: each replaces its own rows and leaves those of the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tests.benchmarks.harness.report import RESULTS, Benchmark, hardware


def record_part(name: str, part: str, rows: Sequence[dict[str, Any]], folder: Path = RESULTS) -> Benchmark:
    """Writes the rows of one part of a result in place of those it had.

    Args:
        name: of the result; its programs lie in `tests/benchmarks/<name>`.
        part: what the rows' `model` is or, where there are several, begins with: `part` or `part: what of it`.

    Raises:
        ValueError: a row is of another part.
    """
    foreign = [row["model"] for row in rows if part_of(row) != part]
    if foreign:
        raise ValueError(f"a row of {part!r} must be named so, or begin with '{part}: '. Received: {foreign}")
    path = folder / f"{name}.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    today = date.today().isoformat()
    benchmark = Benchmark(
        name=name,
        command=f"python -m tests.benchmarks.{name}",
        date=today,
        hardware=hardware(),
        data="as the program of each part says",
        protocol=f"each part is measured by a program of its own in `tests/benchmarks/{name}`, which says how",
        rows=[*(row for row in kept if part_of(row) != part), *({**row, "date": today} for row in rows)],
    )
    benchmark.write(folder)
    return benchmark


def part_of(row: dict[str, Any]) -> str:
    """Which part of the result a row belongs to."""
    return str(row["model"]).partition(":")[0]
