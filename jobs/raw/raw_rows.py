"""Reads raw files of a shop, as they come: every row as text, with the day of the drop it lies in.

CSV has a header, commas, double quotes and one row a line, in UTF-8; a byte order mark is no part of it. JSON is one
object a line. Parquet keeps its types, and is turned into text here so that one set of rules reads all three; a picture
that it holds as bytes becomes a file, and the text its path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any
from urllib.parse import quote

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from expectations.shop.raw_files import RawFile
from jobs.raw.inspect_files import DroppedFile
from jobs.raw.timestamps import text_of_time, time_of_nanoseconds
from jobs.storage.picture_files import kept_picture

_MALFORMED = "malformed_line"
_EXACT_BELOW = {T.FloatType: 2**24, T.DoubleType: 2**53}
"""Below these, each whole number is a floating-point number of its own."""


def read_raw_rows(
    spark: SparkSession, raw: RawFile, files: Sequence[DroppedFile], pictures: str | None = None
) -> DataFrame:
    """Returns all rows of inspected files of one kind.

    Args:
        pictures: the folder that keeps pictures which come as bytes; without one they are no text, and left out.

    Returns:
        `ds`; `values`, a map from raw column to text, null when the line could not be taken apart; `raw`, the row
        as JSON.
    """
    alike: dict[tuple[Any, ...], list[DroppedFile]] = {}
    for file in files:
        # Spark matches the columns of CSV files by place, and takes the types of one Parquet file for those of all.
        alike.setdefault(() if raw.format == "json" else (file.columns, file.nanosecond_times), []).append(file)
    readers: dict[str, Callable[..., DataFrame]] = {
        "csv": _read_csv,
        "json": _read_json,
        "parquet": partial(_read_parquet, pictures=pictures),
    }
    read = readers[raw.format]
    parts = [read(spark, raw, group[0], [file.path for file in group]) for _, group in sorted(alike.items())]
    return reduce(DataFrame.unionByName, parts)


def _read_csv(spark: SparkSession, raw: RawFile, like: DroppedFile, paths: list[str]) -> DataFrame:
    # Names of a shop may hold dots or differ in case alone; places cannot be misread.
    places = [f"c{place}" for place in range(len(like.columns))]
    schema = T.StructType([T.StructField(name, T.StringType()) for name in (*places, _MALFORMED)])
    rows = spark.read.csv(
        paths,
        schema=schema,
        header=True,
        quote='"',
        escape='"',
        columnNameOfCorruptRecord=_MALFORMED,
        maxCharsPerColumn=-1,
    )
    line = F.to_json(F.create_map(F.lit("line"), F.col(_MALFORMED)))
    values = F.when(F.col(_MALFORMED).isNull(), _named(like.columns, [F.col(place) for place in places]))
    return rows.select(
        _day_of_file(raw).alias("ds"), values.alias("values"), F.coalesce(F.to_json(values), line).alias("raw")
    )


def _read_json(spark: SparkSession, raw: RawFile, like: DroppedFile, paths: list[str]) -> DataFrame:
    lines = spark.read.text(paths).select(_day_of_file(raw).alias("ds"), "value").where(F.trim("value") != "")
    # As variants, since numbers would come as doubles otherwise: 12345678.0 as 1.2345678E7.
    values = F.transform_values(F.from_json("value", "map<string,variant>"), lambda _, value: value.cast("string"))
    is_object = F.size(values) > 0
    line = F.to_json(F.create_map(F.lit("line"), F.col("value")))
    return lines.select(
        "ds", F.when(is_object, values).alias("values"), F.when(is_object, F.col("value")).otherwise(line).alias("raw")
    )


def _read_parquet(
    spark: SparkSession, raw: RawFile, like: DroppedFile, paths: list[str], pictures: str | None
) -> DataFrame:
    rows = spark.read.parquet(*paths)
    for name, has_zone in like.nanosecond_times:
        rows = rows.withColumn(name, time_of_nanoseconds(_column(name), has_zone))
    types = {field.name: field.dataType for field in rows.schema}
    picture = raw.columns.get("image_path")
    texts = []
    for name in like.columns:
        column = _column(name)
        # Older writers hold texts as bytes too: only what the shop calls a picture is one.
        if name == picture and isinstance(types[name], T.BinaryType):
            texts.append(kept_picture(column, pictures) if pictures else F.lit(None).cast("string"))
        else:
            texts.append(_as_text(column, types[name], raw))
    rows = rows.select(_day_of_file(raw).alias("ds"), _named(like.columns, texts).alias("values"))
    return rows.withColumn("raw", F.to_json("values"))


def _column(name: str) -> Column:
    return F.col(f"`{name.replace('`', '``')}`")


def _named(columns: Sequence[str], texts: Sequence[Column]) -> Column:
    return F.create_map(*(part for name, text in zip(columns, texts, strict=True) for part in (F.lit(name), text)))


def _as_text(column: Column, data_type: T.DataType, raw: RawFile) -> Column:
    if isinstance(data_type, T.ArrayType | T.StructType | T.MapType):
        return F.to_json(column)
    if isinstance(data_type, T.TimestampType | T.TimestampNTZType | T.DateType):
        return text_of_time(column, data_type, raw)
    if isinstance(data_type, T.FloatType | T.DoubleType):
        # Spark would write 12345678.0 as 1.2345678E7. Beyond these bounds a whole number is not exact any more.
        is_exact = (column == F.floor(column)) & (F.abs(column) < _EXACT_BELOW[type(data_type)])
        return F.when(is_exact, column.cast("decimal(16,0)").cast("string")).otherwise(column.cast("string"))
    return column.cast("string")


def _day_of_file(raw: RawFile) -> Column:
    """Returns the `{ds}` of the path that a row was read from. Spark writes paths as URLs."""
    after_day = quote(raw.path.partition("{ds}")[2], safe="/+=:@!$&'()*,;~")
    literal = "".join(f"\\x{{{ord(character):x}}}" for character in after_day)
    return F.regexp_extract(F.col("_metadata.file_path"), rf"(\d{{4}}-\d{{2}}-\d{{2}}){literal}$", 1)
