"""What was found in the files of a day, in numbers and in examples."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
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


def counts_of(validated: DataFrame) -> dict[str, DropCounts]:
    """Counts the rows of each day that were read, and those rejected by reason.

    Raises:
        NightError: some file cannot be read; names the first one, and how many more.
    """
    is_events = "event_time" in validated.columns
    time = F.col("event_time") if is_events else F.lit(None).cast("timestamp")
    user = F.col("user_id") if is_events else F.lit(None).cast("string")
    guest = F.when(F.isnull("reason") & F.lower(user).isin(*_WORDS_FOR_NOBODY), user).alias("guest")
    times = (F.date_format(of(time), "yyyy-MM-dd HH:mm") for of in (F.min, F.max))
    found = validated.groupBy("ds", "reason", guest).agg(F.count("*"), *times).collect()
    if any(row["reason"] == UNREADABLE_FILE for row in found):
        _raise_unreadable(validated)
    odd = validated.where("odd is not null and reason is null").select("ds", F.explode("odd").alias("reason"))
    odd_cells: dict[str, dict[str, int]] = {}
    for ds, reason, count in odd.groupBy("ds", "reason").count().orderBy("ds", "reason").collect():
        odd_cells.setdefault(ds, {})[reason] = count
    counts = {}
    for ds in sorted({row["ds"] for row in found}):
        of_day = [tuple(row)[1:] for row in found if row["ds"] == ds]
        rejected = {reason: count for reason, _, count, *_ in sorted(of_day, key=str) if reason is not None}
        guests = {guest: count for _, guest, count, *_ in sorted(of_day, key=str) if guest is not None}
        accepted = [(first, last) for reason, _, _, first, last in of_day if reason is None and first is not None]
        span = (min(first for first, _ in accepted), max(last for _, last in accepted)) if accepted else (None, None)
        counts[ds] = DropCounts(sum(row[2] for row in of_day), rejected, odd_cells.get(ds, {}), span, guests)
    return counts


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
