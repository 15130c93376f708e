"""What published lists promise of variants: of those of one item, no more in a list than the shop says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import Check, RowCheck
from expectations.semantics.item_eligibility.in_spark import item_group
from expectations.shop.list_rules import ListRules
from expectations.tables import ITEMS


@dataclass(frozen=True)
class Variants:
    """The variants of a shop that has any.

    Attributes:
        groups: `item_id` and `item_group` of every item that belongs to a group.
        most: of a group, at most so many in a list.
    """

    groups: DataFrame
    most: int

    @classmethod
    def of(cls, partitions: Partitions, ds: str, rules: ListRules) -> Self | None:
        """Returns None where no item has variants, or the shop sets no bound."""
        groups = partitions.rows(ITEMS, ds).select("item_id", item_group(rules).alias("item_group"))
        groups = groups.where("item_group is not null")
        return cls(groups, rules.max_per_group) if rules.max_per_group and not groups.isEmpty() else None

    def listable(self, allowed: DataFrame, per: Sequence[str] = ()) -> DataFrame:
        """Returns how many items a list can hold, as `num_listable`, for each value of the columns `per`.

        Args:
            allowed: `item_id` and the columns `per`.
        """
        # What has no variant is a group of its own.
        group = F.coalesce("item_group", F.concat(F.lit("\0"), "item_id"))
        counts = allowed.join(self.groups, on="item_id", how="left").groupBy(*per, group.alias("item_group"))
        fitting = counts.agg(F.least(F.count("*"), F.lit(self.most)).alias("num"))
        return fitting.groupBy(*per).agg(F.coalesce(F.sum("num"), F.lit(0)).alias("num_listable"))

    def lost(self, barred: DataFrame, allowed: DataFrame, per: Sequence[str], of: Sequence[str]) -> DataFrame:
        """Returns by how many items the lists of whom not all may be shown to are shorter: `num_barred`, per `of`.

        Args:
            barred: `item_id` and the columns `of`.
            allowed: `item_id` and the columns `per`, which are among `of`.
        """
        group = F.coalesce("item_group", F.concat(F.lit("\0"), "item_id")).alias("item_group")

        def counted(rows: DataFrame, columns: Sequence[str], name: str) -> DataFrame:
            rows = rows.join(self.groups, on="item_id", how="left")
            return rows.groupBy(*columns, group).agg(F.count("*").alias(name))

        both = counted(barred, of, "num_gone").join(counted(allowed, per, "num"), on=[*per, "item_group"])
        most, left = F.lit(self.most), F.col("num") - F.col("num_gone")
        return both.groupBy(*of).agg(F.sum(F.least("num", most) - F.least(left, most)).alias("num_barred"))

    def are_bounded(self, rows: DataFrame, owner: Sequence[str], item: str) -> Check:
        """Returns a check of one row per list and group.

        Args:
            rows: of a published table.
            owner: the columns that say whose list a row is of.
            item: the column of the listed item.
        """
        rule = RowCheck(
            "variants_are_bounded",
            f"No list holds more than {self.most} variants of one item: `max_per_group`.",
            F.col("num_rows") > self.most,
            (*owner, "item_group", "num_rows"),
        )
        listed = rows.join(self.groups.withColumnRenamed("item_id", item), on=item)
        return Check(listed.groupBy(*owner, "item_group").agg(F.count("*").alias("num_rows")), [], [rule])

    def are_not_alike(self, similar: DataFrame) -> Check:
        """Returns a check of one row per pair of `similar_items` whose items both have variants."""
        named = self.groups.withColumnsRenamed({"item_id": "similar_item_id", "item_group": "similar_group"})
        rule = RowCheck(
            "similar_item_is_no_variant",
            "No item is similar to its own variants.",
            F.col("item_group") == F.col("similar_group"),
            ("item_id", "similar_item_id", "item_group"),
        )
        return Check(similar.join(self.groups, on="item_id").join(named, on="similar_item_id"), [], [rule])

    def with_num_others(self, lists: DataFrame, allowed: DataFrame) -> DataFrame:
        """Returns lists with `num_others`, how many items each can hold beside its own item and its variants.

        Args:
            lists: one row per item, with `item_id` and `is_allowed`.
            allowed: `item_id` of the items that lists may show.
        """
        num_own = F.least(F.count("*"), F.lit(self.most)).alias("num_own")
        own = allowed.join(self.groups, on="item_id").groupBy("item_group").agg(num_own)
        lists = lists.join(self.groups, on="item_id", how="left").join(own, on="item_group", how="left")
        itself = F.when(F.col("item_group").isNull(), F.col("is_allowed").cast("int"))
        num_others = F.col("num_listable") - F.coalesce(itself, "num_own", F.lit(0))
        return lists.crossJoin(self.listable(allowed)).withColumn("num_others", num_others)
