"""One raw file through its reader, without Spark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from expectations.shop.raw_files import RawFile
from jobs.raw.raw_rows import rows_of_file
from jobs.raw.reading.cells import UNREADABLE_FILE, text_column

_BESIDE = ("line", "fault", "raw", "not_text", "moment")
MAPPING = RawFile("{ds}", columns={"event_time": "time", "user_id": "customer", "item_id": "article", "price": "price"})


def rows_read(path: Path, raw: RawFile = MAPPING, **settings: Any) -> list[dict[str, Any]]:
    """Returns every row of a file: the texts of the mapped columns, and `line`, `fault`, `raw`, where there are any."""
    raw = replace(raw, **settings)
    columns = sorted(set(raw.columns.values()))
    rows = []
    for batch in rows_of_file(str(path), "2024-03-09", "events", raw, columns):
        for row in batch.to_pylist():
            kept = {name: row[text_column(name)] for name in columns}
            others = {
                name: row[name] for name in ("line", "fault", "raw", "not_text", "moment") if row[name] is not None
            }
            rows.append({**kept, **others})
    return rows


def problem_of(path: Path, raw: RawFile = MAPPING, **settings: Any) -> str:
    """Returns why a file cannot be read."""
    (row,) = (row for row in rows_read(path, raw, **settings) if row.get("fault") == UNREADABLE_FILE)
    return str(row["raw"])
