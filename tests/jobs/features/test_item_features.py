"""The parts of an item's features that its golden rows are too few to show."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.runtime.program import Night
from expectations.tables import ITEMS, MAX_DESCRIPTION_TOKENS, MAX_TITLE_TOKENS
from jobs.features.item_features import MIN_PRICED_ITEMS, item_features_from, with_price_bucket
from jobs.features.subwords import trained_model
from jobs.features.tokenizers import build_tokenizers, tokenizer_model, tokenizers_from
from tests.worlds.small_night import write_rows

PRICED = "item_id string, category array<string>, price double"


def buckets(spark: SparkSession, rows: list[tuple[str, list[str], float | None]]) -> dict[str, int]:
    items = spark.createDataFrame(rows, PRICED)
    return {row["item_id"]: row["price_bucket"] for row in with_price_bucket(items, items).collect()}


def test_prices_are_compared_within_a_department_that_is_large_enough(spark: SparkSession) -> None:
    cheap = [(f"pen-{place}", ["Pens", "Blue"], float(place)) for place in range(1, MIN_PRICED_ITEMS + 1)]
    dear = [(f"car-{place}", ["Cars"], 1000.0 + place) for place in range(MIN_PRICED_ITEMS - 1)]
    found = buckets(spark, [*cheap, *dear, ("gift", [], 20.0), ("pen-free", ["Pens"], None)])
    assert [found[f"pen-{place}"] for place in range(1, 21)] == [n for n in range(1, 11) for _ in range(2)]
    # One short of a department: these are compared with all 40, of which they are the dearer half.
    assert {found[f"car-{place}"] for place in range(MIN_PRICED_ITEMS - 1)} == {6, 7, 8, 9, 10}
    assert found["gift"] == 5
    assert found["pen-free"] == 0


def test_equal_prices_share_a_bucket_and_no_price_has_none(spark: SparkSession) -> None:
    assert buckets(spark, [("a", [], 5.0), ("b", [], 5.0), ("c", [], None)]) == {"a": 1, "b": 1, "c": 0}


def test_a_catalogue_without_prices_has_no_buckets(spark: SparkSession) -> None:
    assert buckets(spark, [("a", ["A"], None)]) == {"a": 0}


def test_texts_are_cut_to_their_first_pieces(spark: SparkSession) -> None:
    columns = (
        "item_id string, title string, description string, category array<string>, brand string, price double, "
        "domain string, is_available boolean, first_seen string"
    )
    words = " ".join(f"lamp{place}" for place in range(20_000))
    row: tuple[object, ...] = ("a", words, f"<p>{words}</p>", [], None, None, "things", True, "2024-03-01")
    vocabularies = spark.createDataFrame([("item_id", "a", 2)], "field string, value string, index int")
    items = spark.createDataFrame([row], columns)
    (built,) = item_features_from(items, vocabularies, trained_model(["lamp"]), "2024-03-02").collect()
    assert len(built["token_indices"]) == MAX_TITLE_TOKENS
    assert len(built["description_token_indices"]) == MAX_DESCRIPTION_TOKENS
    assert built["description_token_indices"][:MAX_TITLE_TOKENS] == built["token_indices"]


def test_the_tokenizer_is_learnt_from_all_texts_of_a_small_catalogue(spark: SparkSession, night: Night) -> None:
    rows = [("b", "Red rug", None), ("a", "Desk lamp", "<p>For a desk.</p>")]
    write_rows(night, ITEMS, [{"item_id": i, "title": t, "description": d} for i, t, d in rows])
    build_tokenizers(spark, night.lake, night.ds)
    # In the order of the ids, the title before the description.
    assert tokenizer_model(night.lake, night.ds) == trained_model(["Desk lamp", "For a desk.", "Red rug"])


def test_the_order_and_the_files_of_a_catalogue_do_not_matter(spark: SparkSession) -> None:
    rows = [(f"item-{place}", f"Lamp number {place}", f"For room {place % 7}") for place in range(50)]
    columns = "item_id string, title string, description string"
    models = [
        tokenizers_from(spark.createDataFrame(ordered, columns).repartition(files), 50).collect()[0]["model"]
        for ordered, files in ((rows, 1), (rows[::-1], 3))
    ]
    assert models[0] == models[1]


@pytest.mark.parametrize("rows", [[], [("a", None, None)]])
def test_a_catalogue_without_texts_gets_a_tokenizer(
    spark: SparkSession, rows: list[tuple[str, str | None, str | None]]
) -> None:
    items = spark.createDataFrame(rows, "item_id string, title string, description string")
    (built,) = tokenizers_from(items, len(rows)).collect()
    assert built["model"] == trained_model([])


def test_a_large_catalogue_is_sampled_by_id(spark: SparkSession) -> None:
    items = spark.range(200).select(
        F.concat(F.lit("item-"), "id").alias("item_id"),
        F.concat(F.lit("lamp "), F.chr(F.col("id") + 0x4E00)).alias("title"),
        F.lit(None).cast("string").alias("description"),
    )
    whole, tenth = (tokenizers_from(items, num_items).collect()[0]["model"] for num_items in (200, 500_000))
    assert len(tenth) < len(whole)
