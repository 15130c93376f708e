"""A real catalogue with its texts and pictures, from the drop to what models see."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.runtime.drops import DropFolder
from expectations.runtime.program import Night
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import load_shop
from expectations.tables import ITEM_FEATURES, ITEM_IMAGES, ITEM_UPDATES, ITEMS, VOCABULARIES, NightError
from jobs.features.item_features import build_item_features
from jobs.features.item_images import build_item_images
from jobs.features.subwords import encoded, pieces
from jobs.features.tokenizers import build_tokenizers, tokenizer_model
from jobs.ingest import ingest
from jobs.preprocess import preprocess
from jobs.raw.dropped_files import dropped_file
from jobs.raw.ingest_plan import required_columns
from jobs.raw.item_user_updates import validated_items
from jobs.raw.raw_rows import read_raw_rows
from jobs.raw.reading.cells import text_column
from jobs.storage.log_as_of import LogAsOf
from jobs.storage.partitions import build_partition
from jobs.storage.picture_files import stored_pictures
from tests.worlds.small_night import new_night, write_rows

DS = "2026-05-12"

pytestmark = pytest.mark.slow


def items_file() -> RawFile:
    """How the shop's catalogue is read."""
    raw = load_shop("livostyle").items
    assert raw is not None
    return raw


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The products as `items` of a day, and all that is made of them."""
    night = new_night(tmp_path_factory.mktemp("livostyle"))
    night = replace(night, shop=load_shop("livostyle"), data=str(real_data.resolve()), ds=DS)
    raw = items_file()
    drops = DropFolder(night.shop, night.lake.root, night.data)
    path = Path(drops.path(raw, DS))
    path.parent.mkdir(parents=True)
    shutil.copy(real_data / "livostyle/products.parquet", path)
    columns = required_columns(night.shop)["items"]
    rows = read_raw_rows(spark, raw, [dropped_file("items", DS, str(path))], columns, stored_pictures(night.lake))
    judged = validated_items(rows, night.shop, raw)
    assert judged.where("reason IS NOT NULL").count() == 0
    for table, day in ((ITEM_UPDATES, "last_seen"), (ITEMS, "first_seen")):
        rows = judged.withColumns({"is_filed": F.lit(True), "last_seen": F.lit(DS)}).withColumn(day, F.lit(DS))
        build_partition(night.lake, table, DS, [], [], partial(DataFrame.alias, rows, table.name), "code")
    build_tokenizers(spark, night.lake, DS)
    ids = sorted(night.lake.read(ITEMS, DS)["item_id"].to_pylist())
    values = {"item_id": ids, "token": pieces(tokenizer_model(night.lake, DS)), "domain": ["fashion"]}
    numbered = [
        {"field": field, "value": value, "index": index}
        for field, listed in values.items()
        for index, value in enumerate(listed, start=2)
    ]
    write_rows(night, VOCABULARIES, numbered)
    build_item_features(spark, LogAsOf.of(night.lake, DS))
    drops = DropFolder(night.shop, night.lake.root, night.data)
    build_item_images(spark, night.lake, DS, drops, night.shop.image_size)
    return night


def test_every_product_is_taken_with_its_texts(catalogue: Night, real_data: Path) -> None:
    products = pq.read_table(real_data / "livostyle/products.parquet")
    items = catalogue.lake.read(ITEMS, DS)
    assert items.num_rows == products.num_rows == 2766
    assert sorted(items["description"].to_pylist()) == sorted(
        text.strip() for text in products["description"].to_pylist()
    )


def test_no_title_and_no_description_is_lost(catalogue: Night) -> None:
    features = catalogue.lake.read(ITEM_FEATURES, DS)
    for column, most in (("token_indices", 32), ("description_token_indices", 128)):
        lengths = pc.list_value_length(features[column])
        assert pc.min(lengths).as_py() > 0
        assert pc.max(lengths).as_py() <= most
    assert set(features["price_bucket"].to_pylist()) == set(range(1, 11))


def test_titles_are_told_whole_by_their_pieces(catalogue: Night) -> None:
    model = tokenizer_model(catalogue.lake, DS)
    named = pieces(model)
    (indices,) = encoded(model, ["Openwork V-Neck Slit Cover-Up"], 32)
    assert "".join(named[index - 2] for index in indices) == "▁openwork▁v-neck▁slit▁cover-up"


def test_the_torn_thumbnail_is_recorded_and_all_others_are_decoded(catalogue: Night, real_data: Path) -> None:
    images = catalogue.lake.read(ITEM_IMAGES, DS)
    assert Counter(images["status"].to_pylist()) == {"decoded": 599, "unreadable": 1}
    products = pq.read_table(real_data / "livostyle/products.parquet")
    (torn,) = products.filter(products["thumbnail_truncated"])["thumbnail"].to_pylist()
    (unreadable,) = images.filter(pc.equal(images["status"], "unreadable"))["source"].to_pylist()
    assert unreadable.startswith(f"{torn} ")
    decoded = images.filter(pc.equal(images["status"], "decoded"))["pixels"].combine_chunks()
    assert pc.unique(pc.binary_length(decoded)).to_pylist() == [64 * 64 * 3]
    assert len(pc.unique(decoded)) > 500


def test_a_night_without_events_says_so(spark: SparkSession, catalogue: Night) -> None:
    with pytest.raises(NightError, match=r"the drop of 2026-05-12 is still being written: .*/events.csv.gz"):
        ingest(spark, catalogue)
    with pytest.raises(NightError, match=r"events as of 2026-05-12: the lake holds none"):
        preprocess(spark, catalogue, DS)


def test_a_picture_that_came_as_bytes_is_kept_as_a_file(
    spark: SparkSession, night: Night, real_data: Path, tmp_path: Path
) -> None:
    raw = replace(items_file(), columns={"item_id": "id", "image_path": "picture"})
    folder = tmp_path / "root/raw" / DS
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"id": ["a", "b", "c"], "picture": [b"one", b"one", None]}), folder / "items.parquet")
    file = dropped_file("items", DS, str(folder / "items.parquet"))
    rows = read_raw_rows(spark, raw, [file], ["id", "picture"], stored_pictures(night.lake)).collect()
    kept = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert {row[text_column("id")]: row[text_column("picture")] for row in rows} == {"a": kept, "b": kept, "c": None}
    assert (tmp_path / "root/pictures" / kept.removeprefix("sha256:")).read_bytes() == b"one"
