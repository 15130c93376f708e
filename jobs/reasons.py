"""Reasons in words, for a shopper. Titles are data: they are cleaned, cut and put behind fixed words, never parsed."""

from __future__ import annotations

from enum import StrEnum

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.fallback_order import POPULARITY_MODELS

MAX_TITLE_LENGTH = 80


class Reason(StrEnum):
    """Reason codes of the published tables."""

    BUY_AGAIN = "buy_again"
    BECAUSE_YOU_BOUGHT = "because_you_bought"
    BECAUSE_YOU_VIEWED = "because_you_viewed"
    LOOK_AGAIN = "look_again"
    POPULAR = "popular_now"
    PICKED_FOR_YOU = "picked_for_you"
    IN_OUR_RANGE = "in_our_range"
    BOUGHT_TOGETHER = "bought_together"
    ALIKE = "alike"
    POPULAR_IN_COUNTRY = "popular_in_country"
    POPULAR_WITH_PEERS = "popular_with_peers"


def reason_text(code: Column, title: Column, demand_source: str) -> Column:
    """The words of a reason.

    Args:
        title: of the item, or the name of the country, that the reason cites; not looked at for codes that cite none.
        demand_source: the model that says what is popular; demand of all time is not popular "now".
    """
    popular = "Popular right now" if demand_source == POPULARITY_MODELS[0] else "Popular with our customers"
    fixed = {
        Reason.BUY_AGAIN: "You bought this before",
        Reason.LOOK_AGAIN: "You looked at this before",
        Reason.POPULAR: popular,
        Reason.PICKED_FOR_YOU: "Picked for you",
        Reason.IN_OUR_RANGE: "From our range",
        Reason.POPULAR_WITH_PEERS: "Popular with customers like you",
    }
    citing = {
        Reason.BECAUSE_YOU_BOUGHT: "Because you bought ",
        Reason.BECAUSE_YOU_VIEWED: "Because you viewed ",
        Reason.BOUGHT_TOGETHER: "Often bought with ",
        Reason.ALIKE: "Similar to ",
        Reason.POPULAR_IN_COUNTRY: "Popular in ",
    }
    text = F.lit(None).cast("string")
    for reason, words in fixed.items():
        text = F.when(code == reason.value, F.lit(words)).otherwise(text)
    for reason, words in citing.items():
        text = F.when(code == reason.value, F.concat(F.lit(words), title)).otherwise(text)
    return text


def readable_title(title: Column, item_id: Column) -> Column:
    """A title on one line and not too long; the item's id where there is none."""
    line = F.trim(F.regexp_replace(title, r"[\s\p{Cntrl}]+", " "))
    cut = F.concat(F.rtrim(F.substring(line, 1, MAX_TITLE_LENGTH - 1)), F.lit("…"))
    return F.coalesce(F.when(F.length(line) > MAX_TITLE_LENGTH, cut).when(F.length(line) > 0, line), item_id)
