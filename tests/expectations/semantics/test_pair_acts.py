"""What customers did with two items, by hand."""

from __future__ import annotations

from pyspark.sql import SparkSession

from expectations.semantics.pair_acts import with_acts

LAMP, BULB, RUG, VASE = range(2, 6)
ANN, BOB, CID = range(2, 5)


def test_only_what_one_customer_bought_both_of_is_bought_together(spark: SparkSession) -> None:
    met = [
        (ANN, LAMP, 1), (ANN, BULB, 2), (ANN, RUG, 0),
        (BOB, LAMP, 0), (BOB, BULB, 0), (BOB, VASE, 1),
        (CID, RUG, 1),
    ]  # fmt: skip
    interactions = spark.createDataFrame(met, "user_index int, item_index int, num_purchases int")
    pairs = [(LAMP, BULB), (BULB, LAMP), (LAMP, RUG), (LAMP, VASE), (RUG, VASE), (None, BULB), (9, BULB)]
    rows = with_acts(spark.createDataFrame(pairs, "item int, other int"), interactions, "item", "other").collect()
    assert {(row.item, row.other): (row.is_bought_together, row.is_met_together) for row in rows} == {
        (LAMP, BULB): (True, True),
        (BULB, LAMP): (True, True),
        # Ann bought the lamp and only viewed the rug, which another bought.
        (LAMP, RUG): (False, True),
        (LAMP, VASE): (False, True),
        # Both were bought, by different customers.
        (RUG, VASE): (False, False),
        (None, BULB): (False, False),
        (9, BULB): (False, False),
    }
