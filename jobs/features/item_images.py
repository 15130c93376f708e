"""Builds `item_images`: the pictures of the catalogue as pixels, as of a day.

Reads `items` and `vocabularies` of the day, and the files that `image_path` names. A file that is not there, or no
whole picture, is a row that says so. A file that an earlier partition knows by path, size and time is not decoded
again; its row comes out the same. Safe to re-run: the partition is replaced, or left alone when nothing changed. What
happens to a file later shows on the next day: files of a drop are taken to stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import code_version
from expectations.runtime.days import days_before
from expectations.runtime.drops import DropFolder
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.tables import IMAGE_STATUSES, ITEM_IMAGES, ITEMS, VOCABULARIES
from jobs.features.vocabulary_index import with_index
from jobs.storage.partitions import build_partition, read_partition
from jobs.storage.picture_files import PictureFiles, stored_pictures
from jobs.storage.pictures import DECODER, decoded

DECODED, ABSENT, UNREADABLE = IMAGE_STATUSES
ROWS_PER_TASK = 500
"""About so many pictures make a task, so that many tasks spread over the cores."""
ROWS_PER_BATCH = 64
"""Pixels that lie in a worker's memory at a time."""
_FOUND = "item_index int, image_path string, source string"
_IMAGES = "item_index int, status string, pixels binary, source string"
_IMAGES_SCHEMA = pa.schema(
    [("item_index", pa.int32()), ("status", pa.string()), ("pixels", pa.binary()), ("source", pa.string())]
)


def build_item_images(spark: SparkSession, lake: Lake, as_of: str, drops: DropFolder, size: int) -> Version:
    """Builds the partition `as_of`.

    Args:
        size: of a picture, in pixels: as high as it is wide.
    """
    items, vocabularies = lake.require(ITEMS, as_of), lake.require(VOCABULARIES, as_of)
    files = picture_files(lake, as_of, drops)
    folder = (drops.shop.items or drops.shop.events).image_folder
    decoder = fingerprint_of(code_version(__name__), DECODER, size)
    named = read_partition(spark, lake, ITEMS, as_of).where(F.col("image_path").isNotNull())
    found = found_pictures(named, read_partition(spark, lake, VOCABULARIES, as_of), files, named.count()).persist()
    try:
        return build_partition(
            lake,
            ITEM_IMAGES,
            as_of,
            [items, vocabularies],
            [size, DECODER, folder],
            lambda: images_from(found, _known_images(spark, lake, as_of, decoder), files, size),
            decoder=decoder,
            code=code_version(__name__),
        )
    finally:
        found.unpersist()


def picture_files(lake: Lake, ds: str, drops: DropFolder) -> PictureFiles:
    """Returns the pictures that the catalogue of `ds` may name."""
    folder = drops.image_folder(drops.shop.items or drops.shop.events, ds)
    return PictureFiles(folder, stored_pictures(lake))


def found_pictures(named: DataFrame, vocabularies: DataFrame, files: PictureFiles, num_named: int) -> DataFrame:
    """`item_index`, `image_path` and `source` of the `num_named` items that name one; no `source` where no file is."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            paths = batch["image_path"].to_pylist()
            yield batch.append_column("source", pa.array(files.sources(paths), pa.string()))

    indexed = with_index(named.select("item_id", "image_path"), vocabularies, "item_id", "item_id", "item_index")
    # Paths are small and pictures are not, so that Spark would leave all of the work to one task.
    num_tasks = 1 + num_named // ROWS_PER_TASK
    return indexed.select("item_index", "image_path").repartition(num_tasks, "item_index").mapInArrow(look, _FOUND)


def images_from(found: DataFrame, known: DataFrame | None, files: PictureFiles, size: int) -> DataFrame:
    """Returns one row per item of `found`.

    Args:
        known: rows of an earlier partition, to be taken where they come from the very same file.
    """

    def decode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS_PER_BATCH):
                rows = batch.slice(start, ROWS_PER_BATCH).to_pylist()
                images = [_image(row, files, size) for row in rows]
                yield pa.RecordBatch.from_pylist(images, schema=_IMAGES_SCHEMA)

    if known is None:
        return found.mapInArrow(decode, _IMAGES)
    # Several items may share a file; pixels come from the first of them. Nothing but indices and paths is joined.
    first_known = known.groupBy("source").agg(F.min("item_index").alias("known_index"))
    matched = found.join(F.broadcast(first_known), on="source", how="inner").select(
        "item_index", "known_index", "source"
    )
    taken = known.withColumnRenamed("item_index", "known_index").join(
        F.broadcast(matched), on=["known_index", "source"], how="inner"
    )
    new = found.join(F.broadcast(first_known), on="source", how="left_anti").select(*found.columns)
    columns = _IMAGES_SCHEMA.names
    return taken.select(*columns).unionByName(new.mapInArrow(decode, _IMAGES))


def _image(row: dict[str, Any], files: PictureFiles, size: int) -> dict[str, Any]:
    content = files.content(row["image_path"]) if row["source"] is not None else None
    if content is None:
        return {"item_index": row["item_index"], "status": ABSENT, "source": row["image_path"]}
    pixels = decoded(content, size)
    status = UNREADABLE if pixels is None else DECODED
    return {"item_index": row["item_index"], "status": status, "pixels": pixels, "source": row["source"]}


def _known_images(spark: SparkSession, lake: Lake, as_of: str, decoder: str) -> DataFrame | None:
    """Returns the latest earlier partition that came out of the same decoder."""
    versions = lake.versions(ITEM_IMAGES, days_before(as_of, 1))
    days = [ds for ds, version in versions.items() if version.metadata.get("decoder") == decoder]
    return read_partition(spark, lake, ITEM_IMAGES, days[-1]) if days else None
