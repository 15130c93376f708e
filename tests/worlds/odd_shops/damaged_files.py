"""A small day of events in each format, and ways to damage a file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS: list[dict[str, Any]] = [
    {"time": f"2024-03-09 10:{place:02}:00", "customer": f"u{place}", "article": "a", "price": 9.5}
    for place in range(30)
]
DAMAGES = ("cut", "insert", "overwrite", "repeat")
Damage = tuple[str, int, bytes]
"""What is done, about where, and with which bytes."""


def as_csv() -> bytes:
    lines = [",".join(str(value) for value in row.values()) for row in ROWS]
    return "\n".join(["time,customer,article,price", *lines, ""]).encode()


def as_json() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def as_array() -> bytes:
    return json.dumps(ROWS, indent=1).encode()


def as_parquet() -> bytes:
    buffer = io.BytesIO()
    table = pa.Table.from_pylist([{**row, "time": datetime(2024, 3, 9, 10)} for row in ROWS])
    pq.write_table(table, buffer)
    return buffer.getvalue()


FILES: list[tuple[str, Callable[[], bytes]]] = [
    ("csv", as_csv),
    ("json", as_json),
    ("json", as_array),
    ("parquet", as_parquet),
    ("csv", as_parquet),
    ("xlsx", as_csv),
    ("parquet", as_csv),
]
"""As what a shop says that a file is written, and how it is."""


def damaged(content: bytes, damages: Sequence[Damage]) -> bytes:
    """Returns the content with all damages done to it."""
    for kind, at, piece in damages:
        place = at % (len(content) + 1)
        if kind == "cut":
            content = content[:place] + content[place + len(piece) * 5 :]
        elif kind == "insert":
            content = content[:place] + piece + content[place:]
        elif kind == "overwrite":
            content = content[:place] + piece + content[place + len(piece) :]
        else:
            content = content[:place] + content[max(0, place - 40) :]
    return content
