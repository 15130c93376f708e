"""Reads the golden folders: `inputs/<table>[.<model>].jsonl` go in, `expect.jsonl` must come out.

A row of an input names only the columns that matter. To change a golden table, change the inputs, run the test, and
read what differs before it goes into `expect.jsonl`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from expectations.program import Night
from expectations.tables import TABLES
from tests.jobs.small_night import write_rows

FOLDER = Path(__file__).parent


def write_inputs(night: Night, table: str) -> None:
    """Commits every input of a golden table as a partition of the night."""
    for path in sorted((FOLDER / table / "inputs").glob("*.jsonl")):
        name, _, model = path.stem.partition(".")
        write_rows(night, TABLES[name], _rows(path), model=model or None)


def expected_rows(table: str) -> list[dict[str, Any]]:
    """The rows that must come out, in order."""
    return _rows(FOLDER / table / "expect.jsonl")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
