"""Splits a downloaded log into the daily drops that a shop file describes.

    python -m jobs.split_days --shop retailrocket --log ../shared/data/retailrocket/events.parquet

Public data sets and most exports come as one file, while a night reads one drop a day. Reads the log, or several that
follow each other (CSV, JSON, Parquet or a workbook, by its bytes), with the shop file's encoding, columns, time format
and zone, and writes each day's rows whole, as JSON lines, to where `[events]` looks for them: under `{root}/raw` for
the shops that ship. Rows without a readable time go with the first day, so that `jobs.ingest` counts them in
`quarantine`; cells that only an order's first row holds (`fill_down`) are filled, so that an order stays together.
`--items` is a catalogue that knows no days, `--users` are customers; they go with the first one.

A log that has each user's order but no times (`--order-column`, `--last-day`) gets days: every user's last event falls
on the last day, the one before it a day earlier, and so on. The days are made, their order is not; with
`horizon_days = 1` the backtest then judges each user's last event. The made days are written in the column that the
shop maps to `event_time`.

Safe to run again: a drop's bytes depend on the log alone, and a drop that is there with these bytes is left alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from expectations.runtime.days import END_OF_TIME
from expectations.runtime.drops import DropFolder
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.shop.raw_file_rules import UNIX_TIMES
from expectations.shop.raw_files import RawFile
from expectations.tables import NightError, ds_from_text
from jobs.raw.drop_writer import write_drops
from jobs.raw.dropped_files import DroppedFile, dropped_file
from jobs.raw.ingest_plan import joined_kind, raw_files, required_columns
from jobs.raw.joined_rows import read_completed_rows
from jobs.raw.reading.cells import UNREADABLE_FILE, text_column
from jobs.raw.reading.file_sample import format_of
from jobs.raw.reading.nested_values import is_path
from jobs.raw.reading.opened_file import UnreadableFileError
from jobs.raw.reject_rules import mapped_time, raw_text, with_filled_cells
from jobs.raw.timestamps import day_of, text_of_moment

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MadeDays:
    """How days are made for a log that only has an order.

    Attributes:
        order_column: a number that grows from each user's first event to the last.
        last_day: of every user's last event.
    """

    order_column: str
    last_day: str


def split_days(
    spark: SparkSession,
    night: Night,
    log: Path,
    items: Path | None = None,
    made_days: MadeDays | None = None,
    *,
    more_logs: Sequence[Path] = (),
    users: Path | None = None,
) -> int:
    """Writes the drops. Returns how many were written; the others were there already.

    Args:
        more_logs: files of the same kind as `log`, such as those of later months.

    Raises:
        NightError: the log cannot be read, has not the columns that the shop maps, or no row has a readable time.
    """
    drops, day_timezone = night.drop_folder, night.shop.drops.day_timezone
    rows = _dated(_rows(spark, drops, "events", log, made_days), night.shop.events, day_timezone)
    for more in more_logs:
        more_rows = _rows(spark, drops, "events", more, made_days)
        rows = rows.unionByName(_dated(more_rows, night.shop.events, day_timezone))
    span = rows.agg(F.min("ds"), F.max("ds"), F.count("*"), F.count_if(F.isnull("ds"))).collect()[0]
    first, last, num_rows, num_undated = span
    if first is None:
        raise NightError(
            f"{log}: none of its {num_rows} rows has a time that reads as {night.shop.events.time_format!r}. "
            "Correct `time_format` or `event_time` under [events]."
        )
    logger.info("log: path=%s rows=%d from=%s to=%s without_time=%d", log, num_rows, first, last, num_undated)
    written = write_drops(rows.fillna({"ds": first}), drops, night.shop.events)
    for kind, path in (("items", items), ("users", users)):
        if path is not None:
            catalogue = _rows(spark, drops, kind, path)
            written += write_drops(catalogue.withColumn("ds", F.lit(first)), drops, raw_files(night.shop)[kind])
    logger.info("split: shop=%s from=%s to=%s drops_written=%d", night.shop.name, first, last, written)
    return written


def _rows(spark: SparkSession, drops: DropFolder, kind: str, log: Path, made_days: MadeDays | None = None) -> DataFrame:
    """Returns `values` and `raw` of every row."""
    shop = drops.shop
    raw = raw_files(shop).get(kind)
    if raw is None or raw.format != "json":
        said = f"has no [{kind}]" if raw is None else f"says format = {raw.format!r} under [{kind}]"
        raise NightError(f'shop {shop.name} {said}; drops are written for a [{kind}] with format = "json".')
    if not log.is_file():
        raise NightError(f"There is no file {log}. Download it first; the shop file names its source.")
    try:
        told = format_of(str(log.resolve()))
    except UnreadableFileError as err:
        raise NightError(f"{log}: {err}") from err
    required = set(required_columns(shop)[kind])
    if made_days:
        if raw.timezone != "UTC" or raw.time_format in UNIX_TIMES:
            raise NightError(
                f"Made days are days in UTC, written by a pattern. Received: time_format={raw.time_format!r}, "
                f'timezone={raw.timezone!r}. Say time_format = "yyyy-MM-dd" and timezone = "UTC" under [{kind}].'
            )
        required = required - {raw.columns["event_time"]} | {made_days.order_column}
    else:
        # A row is an object of the log, with all the elements of its lists.
        is_kept = _of_time(raw)
        required = {name for name in required if not is_path(name) or raw.is_joined(name) or name in is_kept}
    files = [dropped_file(kind, "", str(log.resolve())), *_joined_files(kind, raw, drops)]
    rows = read_completed_rows(spark, kind, replace(raw, format=told), files, sorted(required), keeps_raw=True)
    problem = rows.where(F.col("fault") == UNREADABLE_FILE).select("raw").first()
    if problem is not None:
        raise NightError(f"{log}: {problem['raw']}")
    return _with_made_days(rows, raw, made_days) if made_days else _with_filled(_with_written_times(rows, raw), raw)


def _of_time(raw: RawFile) -> set[str]:
    """The raw columns that the day of a row is told by, and those that are filled from the row above."""
    filled = {raw.fill_down.key, *raw.fill_down.columns} if raw.fill_down else set()
    return {*raw.sources_of("event_time"), raw.time_of_day, *filled} - {""}


def _joined_files(kind: str, raw: RawFile, drops: DropFolder) -> list[DroppedFile]:
    """Returns the files that complete the log, which must be those of all days, as it is."""
    found = []
    for name, joined in raw.join.items():
        if not joined.is_standing:
            raise NightError(
                f"[{kind}.join.{name}]: a log of all days is completed by files of all days, whose path holds no "
                f"{{ds}}. Received: path={joined.path!r}"
            )
        there = drops.files(joined, "")
        if not there:
            raise NightError(f"There is no file {drops.path(joined, '')}, which completes the log. Download it first.")
        found += [dropped_file(joined_kind(kind, name), "", path, info) for path, info in there.items()]
    return found


def _dated(rows: DataFrame, raw: RawFile, day_timezone: str) -> DataFrame:
    """Returns `ds`, null when the time cannot be read, and `raw`."""
    return rows.select(day_of(mapped_time(raw, "event_time"), day_timezone).cast("string").alias("ds"), "raw")


def _with_made_days(rows: DataFrame, raw: RawFile, made: MadeDays) -> DataFrame:
    user, order = raw_text(raw.columns["user_id"]), raw_text(made.order_column).try_cast("double")
    # Rows of one order share its day.
    from_last = F.dense_rank().over(Window.partitionBy("user").orderBy(F.desc("order"))) - 1
    ranked = rows.withColumn("user", user).withColumn("order", order).withColumn("from_last", from_last)
    day = F.date_format(F.date_sub(F.lit(made.last_day).cast("date"), F.col("from_last")), raw.time_format)
    made_rows = ranked.withColumns({text_column(raw.columns["event_time"]): day, "raw": _with_time(raw, day)})
    return made_rows.drop("user", "order", "from_last")


def _with_written_times(rows: DataFrame, raw: RawFile) -> DataFrame:
    """Writes times that the log holds as times in the way in which the shop's drops are read."""
    if "event_time" not in raw.columns or raw.is_joined(raw.columns["event_time"]):
        return rows
    written = _with_time(raw, text_of_moment(F.col("moment"), raw))
    return rows.withColumn("raw", F.when(F.isnotnull("moment"), written).otherwise(F.col("raw")))


def _with_filled(rows: DataFrame, raw: RawFile) -> DataFrame:
    """Fills the cells that only an order's first row holds: the rows of a drop stand in another order."""
    if raw.fill_down is None:
        return rows
    filled = with_filled_cells(rows, raw)
    texts = {name: raw_text(name) for name in raw.fill_down.columns}
    return filled.withColumn("raw", F.when(F.isnull("fault"), _with_texts(texts)).otherwise(F.col("raw")))


def _with_time(raw: RawFile, text: Column) -> Column:
    """Returns the row as JSON with this text as its time."""
    return _with_texts({raw.columns["event_time"]: text})


def _with_texts(texts: Mapping[str, Column]) -> Column:
    """Returns the row as JSON in which these raw columns hold these texts; where a text is null, what stood there."""
    names, values = F.array(*map(F.lit, texts)), F.array(*texts.values())
    return F.coalesce(F.udf(_replaced, "string", useArrow=True)(F.col("raw"), names, values), "raw")


def _replaced(row: str | None, names: Sequence[str], texts: Sequence[str | None]) -> str | None:
    """Objects and lists inside of a row stay what they are; numbers keep their digits, as texts."""
    if row is None:
        return None
    try:
        values = json.loads(row, parse_float=str, parse_int=str)
    except ValueError:
        return None
    values.update({name: text for name, text in zip(names, texts, strict=True) if text is not None})
    return json.dumps(values, ensure_ascii=False)


def main(argv: Sequence[str] | None = None) -> None:
    """Splits `--log` for `--shop`."""
    parser = night_parser(__doc__)
    parser.add_argument("--log", required=True, type=Path, nargs="+", help="the downloaded events: one file or several")
    parser.add_argument("--items", type=Path, help="a catalogue without days; it goes with the first one")
    parser.add_argument("--users", type=Path, help="customers without days; they go with the first one")
    parser.add_argument("--order-column", help="for a log without times: grows from a user's first event to the last")
    parser.add_argument("--last-day", help="with --order-column: the day of every user's last event")
    arguments = parser.parse_args(argv)
    if (arguments.order_column is None) != (arguments.last_day is None):
        raise NightError("--order-column and --last-day go together: an order needs a day to end on.")
    made_days = MadeDays(arguments.order_column, ds_from_text(arguments.last_day)) if arguments.last_day else None
    # The log says which days there are, whatever DS may hold.
    arguments.ds = END_OF_TIME
    split_days(
        session_from_environment("split_days"),
        night_from(arguments),
        arguments.log[0],
        arguments.items,
        made_days,
        more_logs=arguments.log[1:],
        users=arguments.users,
    )


if __name__ == "__main__":
    run_program(main)
