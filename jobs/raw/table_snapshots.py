"""Reads the days of sources that are tables into a Parquet file each, from which they are taken in like any drop.

A table has no order and its rows may lie in other files tomorrow, so the rows of a day are put in order by all of their
columns: the same rows give the same bytes, by which the lake knows that a day has not changed. DuckDB sorts them on
disk where they do not fit into memory.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from expectations.runtime.drops import DropFolder
from expectations.runtime.small_files import whole_file
from expectations.runtime.table_drops import TableDrops
from expectations.tables import NightError
from jobs.raw.dropped_files import sha256_of
from jobs.raw.reading.typed_texts import texts_of

logger = logging.getLogger(__name__)

ROWS_A_GROUP = 100_000
"""Of a Parquet file. A fixed number: where groups end must not depend on how rows happen to arrive."""
SORTING_MEMORY = "1GB"
"""Of DuckDB, before it sorts on disk."""
_KEPT_TYPES = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_decimal128,
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_nested,
)
"""Types that stay as they are on the way through DuckDB into Parquet."""


def take_snapshots(drops: DropFolder, days: Sequence[str], night: str) -> None:
    """Reads those of `days` that are new in a table, or may have changed in it since they were read.

    Args:
        night: the day of the night; where nothing tells of changes, the last days before it are read again.

    Raises:
        NightError: a table cannot be read, or has no rows of a day that it named.
    """
    for raw in (*drops.shop.event_sources.values(), drops.shop.items, drops.shop.users):
        table = drops.table(raw) if raw else None
        if table is None:
            continue
        due = [day for day in table.days(night) if day in set(days) and table.is_due(day, night)]
        for day in due:
            rows = _take_snapshot(table, day, raw.table.order_by if raw and raw.table else ())
            logger.info("read table: source=%s ds=%s rows=%d", table.place, day, rows)


def _take_snapshot(table: TableDrops, ds: str, order_by: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as scratch, table.table.rows_of(ds) as reader:
        whole = Path(scratch) / "rows.parquet"
        rows = write_in_order(reader, order_by, whole, table.place)
        if not rows:
            raise NightError(
                f"{table.place} has no rows of {ds}, a day that it names itself. Let the query of the days and that of "
                f"the rows mean the same days, in the same time zone."
            )
        name = f"{sha256_of(str(whole))[:20]}.parquet"
        filesystem, folder = fs.FileSystem.from_uri(table.folder(ds))
        target = f"{folder}/{name}"
        if filesystem.get_file_info(target).type != fs.FileType.File:
            with whole.open("rb") as source, whole_file(filesystem, target) as stream:
                shutil.copyfileobj(source, stream)
        table.note(ds, name, whole.stat().st_size, rows)
    return rows


def write_in_order(reader: pa.RecordBatchReader, order_by: Sequence[str], target: Path, place: str) -> int:
    """Writes rows as a Parquet file, in order of the columns `order_by`, then of all others. Returns how many.

    Args:
        place: what messages call the table that they come from.

    Raises:
        NightError: two columns have one name, there is no such column as `order_by` names, or reading fails.
    """
    # Loaded here, for a shop of files needs no DuckDB.
    import duckdb

    names = reader.schema.names
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise NightError(f"{place} gives the columns {repeated} more than once. Name each in the query, with AS.")
    missing = sorted(set(order_by) - set(names))
    if missing:
        raise NightError(f"{place} has no column {missing[0]!r}, which `order_by` names. Found: {', '.join(names)}")
    schema = pa.schema([(name, _stored_type(of)) for name, of in zip(names, reader.schema.types, strict=True)])
    numbered = pa.schema([(f"c{place}", of) for place, of in enumerate(schema.types)])
    failures: list[NightError] = []
    with tempfile.TemporaryDirectory(dir=target.parent) as spill, duckdb.connect() as sorter:
        sorter.execute("SET memory_limit = $1", [SORTING_MEMORY])
        sorter.execute("SET temp_directory = $1", [spill])
        sorter.execute("SET TimeZone = 'UTC'")
        # DuckDB takes names that differ in case for one; and a failure on its way through DuckDB would lose its kind.
        rows = pa.RecordBatchReader.from_batches(numbered, _stored(reader, numbered, failures))
        first = [names.index(name) for name in order_by]
        order = [*first, *(number for number in range(len(names)) if number not in first)]
        try:
            ordered = sorter.from_arrow(rows).sort(*(duckdb.ColumnExpression(f"c{number}") for number in order))
            return _write(ordered.to_arrow_reader(ROWS_A_GROUP), schema, target)
        except (duckdb.Error, pa.ArrowException):
            if failures:
                raise failures[0] from None
            raise


def _write(ordered: Iterable[pa.RecordBatch], schema: pa.Schema, target: Path) -> int:
    num_rows = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for group in _groups(ordered):
            columns = [column.cast(of) for column, of in zip(group.columns, schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROWS_A_GROUP)
            num_rows += group.num_rows
    return num_rows


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of ROWS_A_GROUP rows, and one of the rest."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(of.num_rows for of in waiting) >= ROWS_A_GROUP:
            rows = pa.Table.from_batches(waiting)
            whole = rows.num_rows - rows.num_rows % ROWS_A_GROUP
            yield rows.slice(0, whole).combine_chunks()
            waiting = rows.slice(whole).to_batches()
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _stored(
    reader: Iterable[pa.RecordBatch], schema: pa.Schema, failures: list[NightError]
) -> Iterator[pa.RecordBatch]:
    try:
        for batch in reader:
            columns = [_stored_values(values, of) for values, of in zip(batch.columns, schema.types, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
    except NightError as err:
        failures.append(err)
        raise


def _stored_type(of: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(of):
        return _stored_type(of.value_type)
    if pa.types.is_large_binary(of) or pa.types.is_binary_view(of):
        return pa.binary()
    if pa.types.is_timestamp(of) and of.tz:
        return pa.timestamp("us", "UTC")
    is_kept = not isinstance(of, pa.BaseExtensionType) and any(is_of(of) for is_of in _KEPT_TYPES)
    return of if is_kept else pa.string()


def _stored_values(values: pa.Array, of: pa.DataType) -> pa.Array:
    """The values as the snapshot keeps them: as they are, or as texts where DuckDB would change them."""
    if pa.types.is_floating(of):
        # Two zeros compare as equal, and would stand in any order.
        return pc.add(values, pa.scalar(0.0, of))
    if values.type == of:
        return values
    if pa.types.is_dictionary(values.type):
        return _stored_values(values.dictionary_decode(), of)
    if pa.types.is_string(of):
        return texts_of(values)[0]
    return values.cast(of, safe=False)
