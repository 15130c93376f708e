"""What the contents of items mean: pictures that were decoded have all of their pixels, and others have none."""

from __future__ import annotations

import great_expectations.expectations as gxe
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import Check, RowCheck
from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from expectations.tables import FIRST_VALUE_INDEX, IMAGE_STATUSES, ITEM_IMAGES, Table

_CHANNELS = 3
"""Red, green and blue."""


def min_images(lake: Lake, table: Table, ds: str, shop: Shop) -> int:
    """A shop need not have pictures."""
    return 0


def item_image_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Known words, and pixels of exactly the size that the shop asks for where a picture was decoded."""
    num_bytes = shop.image_size**2 * _CHANNELS
    is_decoded = F.col("status") == "decoded"
    pixels = RowCheck(
        "pixels_are_whole",
        f"A decoded picture has {num_bytes} bytes of pixels (image_size={shop.image_size}), any other has none.",
        F.coalesce(F.octet_length("pixels"), F.lit(-1)) != F.when(is_decoded, num_bytes).otherwise(-1),
        ("item_index", "status"),
    )
    expectations = [
        gxe.ExpectColumnValuesToBeInSet(column="status", value_set=list(IMAGE_STATUSES)),
        gxe.ExpectColumnValuesToBeBetween(column="item_index", min_value=FIRST_VALUE_INDEX),
    ]
    return [Check(partitions.rows(ITEM_IMAGES, ds), expectations, [pixels])]
