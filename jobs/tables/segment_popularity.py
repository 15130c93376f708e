"""Demand by segment of people these days, from everybody to the finest, each shrunk to the coarser.

A segment is a set of attributes: `all`, `country=Germany`, `country=Germany&age_bucket=25-34`. Its parent is the
segment without its last attribute. What a segment says of an item is a posterior mean of a Dirichlet-multinomial model
whose prior is the parent:

    rate(item) = (demand(item) + prior_demand rate_parent(item)) / (total demand + prior_demand)

so that a segment of few people says what its parent says, and one of many what its own people do. `all` is shrunk
towards every item alike. A wish is a person and an item that met lately by one of the shop's `target_events`; it fades,
and what people want when they are new says most of what the next ones will: later wishes count `later_weight`.

These numbers are settings of the shop (`NewUsers`). Their defaults were chosen on UCI Online Retail, on people without
a history before 2011-07-13, 08-12 and 09-11; see `tests.benchmarks.lists.new_users_items`.

Source: Gelman et al., "Bayesian Data Analysis", 3rd ed., sections 3.4 and 5.3; the weight of the prior is a setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from expectations.shop.reasons import Reason
from expectations.tables import EVERYBODY

ATTRIBUTES = ("country", "age_bucket", "gender")
"""Attributes of a segment, in the order of its name."""
PARTS_OF_WISH = 1_000_000_000
"""A faded wish is summed in so many parts of 1, as a whole number: a sum of them is the same in any order."""


def segments_of(people: DataFrame) -> DataFrame:
    """Every segment that each person belongs to: `people`, with segment, parent, depth and country_name for each.

    Args:
        people: with the columns ATTRIBUTES, null where the shop does not know.
    """
    chosen = [names for depth in range(len(ATTRIBUTES) + 1) for names in combinations(ATTRIBUTES, depth)]
    segments = F.array(*(_segment(names) for names in chosen))
    known = F.filter(segments, lambda segment: segment["segment"].isNotNull())
    return people.select("*", F.inline(known))


def demand_by_segment(wishes: DataFrame, people: DataFrame, min_people: int) -> DataFrame:
    """segment, parent, depth, country_name, item_index, demand (in wishes) and total, of segments of enough people.

    Args:
        wishes: user_index, item_index, parts; a row for each pair.
        people: user_index and ATTRIBUTES.
        min_people: of a segment that has rates of its own; its parent has no fewer.
    """
    members = segments_of(people.join(wishes.select("user_index").distinct(), on="user_index", how="left_semi"))
    sizes = members.groupBy("segment").agg(F.count("*").alias("num_people"))
    is_large = (F.col("num_people") >= min_people) | (F.col("segment") == EVERYBODY)
    large = F.broadcast(sizes.where(is_large).select("segment"))
    by_segment = Window.partitionBy("segment")
    name = ("segment", "parent", "depth", "country_name")
    counts = (
        wishes.join(members.select("user_index", *name).join(large, on="segment"), on="user_index")
        .groupBy(*name, "item_index")
        .agg(F.sum("parts").alias("parts"))
    )
    total = F.sum("parts").over(by_segment) / PARTS_OF_WISH
    return counts.select(*name, "item_index", (F.col("parts") / PARTS_OF_WISH).alias("demand"), total.alias("total"))


@dataclass(frozen=True)
class Variants:
    """Items that belong together.

    Attributes:
        groups: item_index and item_group of those that have variants.
        most: of a group, at most so many in a list.
    """

    groups: DataFrame
    most: int


def shrunk_rates(
    demand: DataFrame, available: DataFrame, top_k: int, prior_demand: float, variants: Variants | None = None
) -> DataFrame:
    """The best `top_k` items of every segment: segment, item_index, rate, reason_code and country_name, without ranks.

    An item that nobody of a segment wants keeps its place among the others of its kind, since all their rates are the
    parent's times the same number. So the best of a segment are among what its own people want and the parent's best.

    Args:
        demand: as `demand_by_segment` gives it, of available items alone.
        available: item_index of all items that may be listed.
        prior_demand: the demand at which a segment's own counts weigh as much as the rates of its parent.
        variants: of which a segment holds no more than may be; None where the shop has none.
    """
    # Each level goes on from the one above it, which must not be computed again for every level below.
    demand = demand.persist()
    rates = _rates_of_everybody(demand, available, prior_demand).persist()
    best = found = best_rates(rates, top_k, variants).persist()
    for depth in range(1, _deepest(demand) + 1):
        demand_at_depth = demand.where(F.col("depth") == depth)
        own = _own_rates(demand_at_depth, rates, prior_demand).persist()
        inherited = _inherited_rates(demand_at_depth, best, own, prior_demand)
        rates, best = own, best_rates(own.unionByName(inherited), top_k, variants).persist()
        found = found.unionByName(best)
    return found


def _deepest(demand: DataFrame) -> int:
    """Most shops know one attribute or two, and a level costs seconds, were it empty."""
    (row,) = demand.agg(F.max("depth")).collect()
    return row[0] or 0


def best_rates(rates: DataFrame, top_k: int, variants: Variants | None = None) -> DataFrame:
    """Returns the first `top_k` of each segment, with no more of a group than may be; equal rates by item."""
    if variants is not None:
        # What has no variant is a group of its own.
        group = F.coalesce("item_group", F.concat(F.lit("alone "), "item_index"))
        by_group = Window.partitionBy("segment", group).orderBy(F.desc("rate"), "item_index")
        rates = rates.join(F.broadcast(variants.groups), on="item_index", how="left")
        rates = rates.withColumn("place", F.row_number().over(by_group)).where(F.col("place") <= variants.most)
        rates = rates.drop("place", "item_group")
    best_first = Window.partitionBy("segment").orderBy(F.desc("rate"), "item_index")
    return rates.withColumn("rank", F.row_number().over(best_first)).where(F.col("rank") <= top_k).drop("rank")


def _segment(names: tuple[str, ...]) -> Column:
    """Returns the segment of some attributes as a struct; its name is null where one of them is not known."""
    parts = [F.concat(F.lit(f"{name}="), _escaped(F.col(name))) for name in names]
    country = F.col("country") if "country" in names else F.lit(None).cast("string")
    return F.struct(
        _name(parts).alias("segment"),
        _name(parts[:-1]).alias("parent"),
        F.lit(len(names)).alias("depth"),
        country.alias("country_name"),
    )


def _name(parts: list[Column]) -> Column:
    """`a=1&b=2`, or EVERYBODY of no parts; null where a part is."""
    signed = [part for named in parts for part in (F.lit("&"), named)]
    return F.concat(*signed[1:]) if parts else F.lit(EVERYBODY)


def _escaped(value: Column) -> Column:
    """Returns a value within a name: as in a URL, so that no value reads as two."""
    for sign, code in (("%", "%25"), ("&", "%26"), ("=", "%3D")):
        value = F.replace(value, F.lit(sign), F.lit(code))
    return value


def _rates_of_everybody(demand: DataFrame, available: DataFrame, prior_demand: float) -> DataFrame:
    """Returns rates of all that may be listed, wanted or not."""
    wanted = demand.where(F.col("segment") == EVERYBODY).select("item_index", "demand", "total")
    num_available = available.count()
    total = F.coalesce(F.max("total").over(Window.partitionBy("segment")), F.lit(0.0))
    own = F.coalesce("demand", F.lit(0.0))
    return (
        available.select("item_index", F.lit(EVERYBODY).alias("segment"))
        .join(wanted, on="item_index", how="left")
        .select("segment", "item_index", own.alias("demand"), total.alias("total"))
        .select(
            "segment",
            "item_index",
            _shrunk(F.lit(1 / max(1, num_available)), prior_demand).alias("rate"),
            F.when(F.col("demand") > 0, F.lit(Reason.POPULAR.value))
            .otherwise(F.lit(Reason.IN_OUR_RANGE.value))
            .alias("reason_code"),
            F.lit(None).cast("string").alias("country_name"),
        )
    )


def _own_rates(demand: DataFrame, rates: DataFrame, prior_demand: float) -> DataFrame:
    """Rates of what the segments' own people want. Where they want it more than the coarser, that is the reason."""
    parent_rates = rates.select(
        F.col("segment").alias("parent"),
        "item_index",
        F.col("rate").alias("parent_rate"),
        F.col("reason_code").alias("parent_code"),
        F.col("country_name").alias("parent_country"),
    )
    is_theirs = F.col("demand") / F.col("total") > F.col("parent_rate")
    has_country = F.col("country_name").isNotNull()
    code = F.when(has_country, Reason.POPULAR_IN_COUNTRY.value).otherwise(Reason.POPULAR_WITH_PEERS.value)
    return demand.join(parent_rates, on=["parent", "item_index"], how="inner").select(
        "segment",
        "item_index",
        _shrunk(F.col("parent_rate"), prior_demand).alias("rate"),
        F.when(is_theirs, code).otherwise(F.col("parent_code")).alias("reason_code"),
        F.when(is_theirs, F.col("country_name")).otherwise(F.col("parent_country")).alias("country_name"),
    )


def _inherited_rates(demand: DataFrame, best_of_parents: DataFrame, own: DataFrame, prior_demand: float) -> DataFrame:
    """Returns the parents' best that the segments' own people do not want."""
    sizes = demand.groupBy("segment", "parent").agg(F.max("total").alias("total"))
    parent_rates = best_of_parents.withColumnsRenamed({"segment": "parent", "rate": "parent_rate"})
    return (
        sizes.join(parent_rates, on="parent", how="inner")
        .join(own, on=["segment", "item_index"], how="left_anti")
        .withColumn("demand", F.lit(0.0))
        .select(
            "segment",
            "item_index",
            _shrunk(F.col("parent_rate"), prior_demand).alias("rate"),
            "reason_code",
            "country_name",
        )
    )


def _shrunk(parent_rate: Column, prior_demand: float) -> Column:
    return (F.col("demand") + prior_demand * parent_rate) / (F.col("total") + prior_demand)
