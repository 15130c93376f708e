"""Rows of Parquet files. Columns that the shop file does not name are never read, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from expectations.shop.raw_files import RawFile
from jobs.raw.reading.cells import EMPTY_LIST, RowBuilder, missing_columns, resolved_columns
from jobs.raw.reading.nested_values import SeveralListsError, is_path, is_text, steps_of, text_of, unrolled
from jobs.raw.reading.opened_file import UnreadableFileError
from jobs.raw.reading.typed_texts import moments_of, plain_value, texts_of
from jobs.storage.picture_files import PictureFiles

_ROWS_A_BATCH = 20_000


@dataclass(frozen=True)
class _Columns:
    """Which columns of a file hold what the shop file names.

    Attributes:
        whole: mapped column -> the column of the file that it is.
        inside: mapped columns that lead into an object or a list.
        read: columns of the file, each once.
    """

    whole: dict[str, str]
    inside: list[str]
    read: list[str]


def parquet_rows(
    path: str, kind: str, raw: RawFile, builder: RowBuilder, pictures: str | None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a Parquet file; `line` is the number of the row.

    Args:
        pictures: the folder that keeps pictures which come as bytes; without one they are left out.

    Raises:
        UnreadableFileError: it is no whole Parquet file, or lacks a column of `builder.columns`.
    """
    filesystem, local = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(local) as stream:
        try:
            file = pq.ParquetFile(stream)
            columns = _columns(file, builder, kind)
            instants = {name for name in columns.read if _is_int96(file, name)}
            reader = _Batches(raw, builder, columns, instants, pictures)
            number = 1
            for batch in file.iter_batches(batch_size=_ROWS_A_BATCH, columns=_leaves(file, columns.read)):
                yield from reader.rows(batch, number)
                number += batch.num_rows
        # A damaged name of a column is no text, which Arrow says by a UnicodeDecodeError.
        except (pa.ArrowException, OSError, ValueError) as err:
            reason = " ".join(str(err).split())
            raise UnreadableFileError(f"cannot be read as parquet: {reason[:300]}. Drop it again, whole.") from err


def _columns(file: pq.ParquetFile, builder: RowBuilder, kind: str) -> _Columns:
    names = file.schema_arrow.names
    wanted = names if builder.keeps_raw else builder.columns
    places = resolved_columns(wanted, names)
    inside = [name for name in wanted if name not in places and is_path(name) and steps_of(name)[0].name in names]
    missing = [name for name in builder.columns if name not in places and name not in inside]
    if missing:
        raise missing_columns(missing, kind, names)
    whole = {name: names[place] for name, place in places.items()}
    return _Columns(whole, inside, list(dict.fromkeys([*whole.values(), *(steps_of(name)[0].name for name in inside)])))


def _leaves(file: pq.ParquetFile, names: Sequence[str]) -> list[str]:
    """The paths of the leaves of these columns: by a bare name, Arrow reads those that begin alike, too."""
    schema = file.schema
    paths = [schema.column(place).path for place in range(len(schema))]
    wanted = set(names)
    return [path for path in paths if path in wanted or any(path.startswith(f"{name}.") for name in wanted)]


def _is_int96(file: pq.ParquetFile, name: str) -> bool:
    schema = file.schema
    return any(
        schema.column(place).path == name and schema.column(place).physical_type == "INT96"
        for place in range(len(schema))
    )


@dataclass(frozen=True)
class _Batches:
    raw: RawFile
    builder: RowBuilder
    columns: _Columns
    instants: set[str]
    pictures: str | None

    def rows(self, batch: pa.RecordBatch, number: int) -> Iterator[pa.RecordBatch]:
        lines = pa.array(range(number, number + batch.num_rows), pa.int64())
        texts, no_texts = self._texts(batch)
        moment = self._moment(batch)
        if self.columns.inside:
            yield from self._unrolled(batch, lines, texts, moment)
            return
        yield self.builder.batch(
            lines, texts, not_text=_names_where(no_texts, batch.num_rows), moment=moment, raw=self._raw(batch, texts)
        )

    def _texts(self, batch: pa.RecordBatch) -> tuple[dict[str, pa.Array], dict[str, pa.Array]]:
        texts: dict[str, pa.Array] = {}
        no_texts: dict[str, pa.Array] = {}
        picture = self.raw.columns.get("image_path")
        for name, column in self.columns.whole.items():
            values = batch.column(batch.schema.get_field_index(column))
            if name == picture and _holds_bytes(values.type):
                texts[name] = self._kept_pictures(values)
                continue
            texts[name], is_other = texts_of(values)
            if is_other is not None:
                no_texts[name] = is_other
        return texts, no_texts

    def _kept_pictures(self, values: pa.Array) -> pa.Array:
        if self.pictures is None:
            return pa.nulls(len(values), pa.string())
        files = PictureFiles(dropped=self.pictures, stored=self.pictures)
        return pa.array([files.store(value.as_buffer()) if value.is_valid else None for value in values], pa.string())

    def _moment(self, batch: pa.RecordBatch) -> pa.Array | None:
        column = self.columns.whole.get(self.raw.columns.get("event_time", ""))
        if column is None:
            return None
        values = batch.column(batch.schema.get_field_index(column))
        return moments_of(values, self.raw.timezone, column in self.instants)

    def _raw(self, batch: pa.RecordBatch, texts: dict[str, pa.Array]) -> pa.Array | None:
        if not self.builder.keeps_raw:
            return None
        names = list(texts)
        columns = {name: texts[name].to_pylist() for name in names}
        for name, column in self.columns.whole.items():
            values = batch.column(batch.schema.get_field_index(column))
            if pa.types.is_nested(values.type):
                columns[name] = [plain_value(value) for value in values.to_pylist()]
        rows = zip(*columns.values(), strict=True)
        return pa.array([text_of({n: v for n, v in zip(names, row, strict=True) if v is not None}) for row in rows])

    def _unrolled(
        self, batch: pa.RecordBatch, lines: pa.Array, texts: dict[str, pa.Array], moment: pa.Array | None
    ) -> Iterator[pa.RecordBatch]:
        roots = {steps_of(name)[0].name for name in self.columns.inside}
        objects = {name: batch.column(batch.schema.get_field_index(name)).to_pylist() for name in roots}
        whole = {name: array.to_pylist() for name, array in texts.items()}
        cells: dict[str, list[str | None]] = {name: [] for name in self.builder.columns}
        no_texts: list[list[str] | None] = []
        places: list[int] = []
        without: list[int] = []
        for place in range(batch.num_rows):
            row = {name: plain_value(values[place]) for name, values in objects.items()}
            row.update({name: values[place] for name, values in whole.items()})
            try:
                elements = list(unrolled(row, self.builder.columns))
            except SeveralListsError as err:
                raise UnreadableFileError(f"row {lines[place]}: {err}. Map the columns of one list.") from err
            if not elements:
                without.append(place)
            for element in elements:
                places.append(place)
                no_texts.append([name for name, cell in element.items() if not is_text(cell)] or None)
                for name, of in cells.items():
                    of.append(text_of(element[name]))
        taken = pa.array(places, pa.int64())
        yield self.builder.batch(
            pc.take(lines, taken),
            {name: pa.array(of, pa.string()) for name, of in cells.items()},
            not_text=pa.array(no_texts, pa.list_(pa.string())),
            moment=None if moment is None else pc.take(moment, taken),
        )
        if without:
            raws = [text_of({name: values[place] for name, values in whole.items()}) or "{}" for place in without]
            yield self.builder.faults([lines[place].as_py() for place in without], EMPTY_LIST, raws)


def _holds_bytes(of: pa.DataType) -> bool:
    return pa.types.is_binary(of) or pa.types.is_large_binary(of) or pa.types.is_binary_view(of)


def _names_where(no_texts: dict[str, pa.Array], size: int) -> pa.Array | None:
    if not no_texts:
        return None
    columns = {name: array.to_pylist() for name, array in no_texts.items()}
    rows = ([name for name, is_other in columns.items() if is_other[place]] or None for place in range(size))
    return pa.array(list(rows), pa.list_(pa.string()))
