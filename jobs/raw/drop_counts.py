"""What was found in the files of a day, in numbers and in examples."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.tables import NightError
from jobs.raw.reading.cells import UNREADABLE_FILE

_WORDS_FOR_NOBODY = ("0", "-1", "guest", "anonymous", "unknown", "00000000-0000-0000-0000-000000000000")
"""User ids under which shop systems write down who has not logged in."""
_EXAMPLE_CHARACTERS = 200
"""Of a row in a message; the whole row stands in `quarantine`, or in the file."""


@dataclass(frozen=True)
class DropCounts:
    """What was found in the files of one kind of a day.

    Attributes:
        rows: how many came.
        rejected: reason -> rows that were turned away.
        odd_cells: reason -> accepted rows of which a cell is taken for unknown.
        guests: user id that is a word for nobody -> accepted events of it.
        times: of the first and the last accepted event, as YYYY-MM-DD HH:MM in UTC; None where there is none.
    """

    rows: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    odd_cells: Mapping[str, int] = field(default_factory=dict)
    times: tuple[str | None, str | None] = (None, None)
    guests: Mapping[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        return self.rows - sum(self.rejected.values())


def counts_of(validated: Mapping[str, DataFrame]) -> dict[str, dict[str, DropCounts]]:
    """Counts the rows of each kind and day that were read, and those rejected by reason; all in one query.

    Args:
        validated: kind of file -> its rows.

    Raises:
        NightError: some file cannot be read; names the first one, and how many more.
    """
    found = reduce(DataFrame.unionAll, (_groups(kind, rows) for kind, rows in validated.items())).collect()
    for kind, rows in validated.items():
        if any((row["kind"], row["reason"]) == (kind, UNREADABLE_FILE) for row in found):
            _raise_unreadable(rows)
    counts: dict[str, dict[str, DropCounts]] = {kind: {} for kind in validated}
    for kind, ds in sorted({(row["kind"], row["ds"]) for row in found}):
        counts[kind][ds] = _counts_of_day([row for row in found if (row["kind"], row["ds"]) == (kind, ds)])
    return counts


def _groups(kind: str, rows: DataFrame) -> DataFrame:
    """Returns the rows in groups of one day and fate: few, for rows are odd in few ways."""
    is_events = "event_time" in rows.columns
    time = F.col("event_time") if is_events else F.lit(None).cast("timestamp")
    user = F.col("user_id") if is_events else F.lit(None).cast("string")
    is_accepted = F.isnull("reason")
    guest = F.when(is_accepted & F.lower(user).isin(*_WORDS_FOR_NOBODY), user).alias("guest")
    odd = F.when(is_accepted, F.array_sort("odd")).alias("odd")
    first, last = (F.date_format(of(time), "yyyy-MM-dd HH:mm") for of in (F.min, F.max))
    groups = rows.groupBy("ds", "reason", guest, odd)
    return groups.agg(F.count("*").alias("rows"), first.alias("first"), last.alias("last")).withColumn(
        "kind", F.lit(kind)
    )


def _counts_of_day(groups: Sequence[Row]) -> DropCounts:
    rejected, odd_cells, guests = Counter[str](), Counter[str](), Counter[str]()
    for row in groups:
        if row["reason"] is not None:
            rejected[row["reason"]] += row["rows"]
        if row["guest"] is not None:
            guests[row["guest"]] += row["rows"]
        for reason in row["odd"] or ():
            odd_cells[reason] += row["rows"]
    accepted = [row for row in groups if row["reason"] is None and row["first"] is not None]
    span = (min(row["first"] for row in accepted), max(row["last"] for row in accepted)) if accepted else (None, None)
    rejected_, odd_, guests_ = (dict(sorted(of.items())) for of in (rejected, odd_cells, guests))
    return DropCounts(sum(row["rows"] for row in groups), rejected_, odd_, span, guests_)


def _raise_unreadable(validated: DataFrame) -> None:
    broken = (
        validated.where(F.col("reason") == UNREADABLE_FILE).select("file", "raw").orderBy("file").limit(1000).collect()
    )
    more = f" (and {len(broken) - 1} more files)" if len(broken) > 1 else ""
    raise NightError(f"{broken[0]['file']}: {broken[0]['raw']}{more}")


def examples_of(validated: DataFrame, ds: str) -> dict[str, list[str]]:
    """Returns up to three rejected rows of a day for each reason, with the file and the line they stand in."""
    in_order = Window.partitionBy("reason").orderBy("file", "line")
    refused = validated.where((F.col("ds") == ds) & F.isnotnull("reason"))
    rows = refused.withColumn("number", F.row_number().over(in_order)).where("number <= 3")
    found: dict[str, list[str]] = {}
    for row in rows.orderBy("reason", "number").select("reason", "file", "line", "raw").collect():
        text = row["raw"] if len(row["raw"]) <= _EXAMPLE_CHARACTERS else f"{row['raw'][:_EXAMPLE_CHARACTERS]}..."
        found.setdefault(row["reason"], []).append(f"{posixpath.basename(row['file'])} line {row['line']}: {text}")
    return found


def report_lines(kind: str, counts: DropCounts, examples: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns lines to read: what came in files of one kind, and why rows and cells do not count, with examples."""
    lines = [f"{kind}: {counts.rows:,} rows, {counts.accepted:,} accepted"]
    if counts.times[0] is not None:
        lines[0] += f", from {counts.times[0]} to {counts.times[1]} UTC"
    for reason, count in sorted(counts.rejected.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"  {reason}: {count:,} rows")
        lines += [f"    {example}" for example in examples.get(reason, ())]
    lines += [f"  {reason}: {count:,} cells are unknown" for reason, count in sorted(counts.odd_cells.items())]
    return lines
