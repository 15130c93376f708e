"""Reads the golden folders: `inputs/<table>[.<model>].jsonl` go in, `expect.jsonl` must come out.

A row of an input names only the columns that matter. To change a golden table, change the inputs, run the test, and
read what differs before it goes into `expect.jsonl`.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from expectations.runtime.program import Night
from expectations.tables import GATE_DECISIONS, TABLES, Table
from tests.worlds.named_by_gate import all_that_is_there
from tests.worlds.small_night import write_rows

FOLDER = Path(__file__).parent


def write_inputs(night: Night, table: str) -> None:
    """Commits every input of a golden table as a partition of the night. The gate names all that is there of models."""
    paths = sorted((FOLDER / table / "inputs").glob("*.jsonl"), key=lambda path: path.stem == GATE_DECISIONS.name)
    for path in paths:
        name, _, model = path.stem.partition(".")
        rows = [_typed(TABLES[name], row) for row in _rows(path)]
        if name == GATE_DECISIONS.name:
            in_force = json.dumps(all_that_is_there(night.lake, night.ds))
            rows = [{**row, "in_force": in_force} for row in rows]
        write_rows(night, TABLES[name], rows, model=model or None)


def expected_rows(table: str) -> list[dict[str, Any]]:
    """The rows that must come out, in order."""
    return _rows(FOLDER / table / "expect.jsonl")


def _typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Times are written as text, in UTC."""
    times = {column.name for column in table.columns if column.type == "timestamp"}
    return {k: datetime.fromisoformat(f"{v}+00:00") if k in times else v for k, v in row.items()}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
