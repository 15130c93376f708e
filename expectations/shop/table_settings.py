"""Settings of single tables: `[similar_items]`, `[new_users]`, `[new_items]` and `[graph_edges]` of the shop file.

The defaults of the first three were chosen on UCI Online Retail; see `tests.benchmarks.lists`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from expectations.shop.bounds import Amount, AtLeastOne, Bounded, PositiveAmount


@dataclass(frozen=True)
class SimilarItems(Bounded):
    """Settings of the lists of items that go with an item: `similar_items`.

    Attributes:
        half_life_days: in the demand of an item, somebody who last met it so many days ago counts half.
        shrinkage: the number of people at which what is bought together with an item weighs as much as what is like it;
            with fewer, what is like it weighs more.
        popularity_exponent: power of demand that scores are multiplied by. 0 leaves demand out; a larger one hits more
            of large baskets, with lists that are all the same.
    """

    half_life_days: PositiveAmount = 30.0
    shrinkage: PositiveAmount = 2.0
    popularity_exponent: Amount = 0.3


@dataclass(frozen=True)
class NewUsers(Bounded):
    """Settings of the lists that people without a history get: `new_user_recommendations`.

    Attributes:
        min_people: a country, an age or a gender gets a list of its own once at least so many of its people have
            bought or wanted something lately.
        window_days: what people wanted longer ago than this is left out.
        half_life_days: what people wanted so many days ago counts half.
        first_days: for so many days after they were first seen people are new, and what they want counts in full.
        later_weight: what a wish after these days counts, as a share of one within them.
        prior_demand: the demand at which a segment's own counts weigh as much as the rates of its coarser segment.
    """

    min_people: AtLeastOne = 15
    window_days: AtLeastOne = 90
    half_life_days: PositiveAmount = 30.0
    first_days: AtLeastOne = 14
    later_weight: Amount = 0.1
    prior_demand: PositiveAmount = 100.0


@dataclass(frozen=True)
class NewItems(Bounded):
    """Settings of how new items, which have no history yet, reach users.

    Attributes:
        days: an item is new for this many days after it was first seen.
        audience_size: how many users `new_item_audiences` names for each.
        num_alike: how many of the items most like a new one speak for it.
        half_life_days: somebody who met what is like a new item so many days ago counts half.
        exploration_share: of a user's list, how much at its end may go to new items that the user is in the audience
            of; 0 leaves the lists as they are.
    """

    days: AtLeastOne = 14
    audience_size: AtLeastOne = 100
    num_alike: AtLeastOne = 300
    half_life_days: PositiveAmount = 365.0
    exploration_share: Annotated[float, Field(ge=0, le=0.5), "must lie between 0 and 0.5"] = 0.0


@dataclass(frozen=True)
class GraphEdges(Bounded):
    """Settings of the table `graph_edges`, which the model `graph` and lists for want of a model read.

    Attributes:
        half_life_days: in the weight of an edge from a user to an item, an event so many days ago counts half.
        window_days: two items that a user met within so many days belong to one errand, also when it takes two trips.
        shrinkage: items that met this often get half of their cosine.
        min_meetings: items that met fewer times met by chance, and have no edge; these are most pairs.
        neighbours_per_item: edges of a kind that leave an item; the weakest of more would add bytes and no taste.
    """

    half_life_days: PositiveAmount = 30.0
    window_days: AtLeastOne = 7
    shrinkage: Amount = 5.0
    min_meetings: AtLeastOne = 2
    neighbours_per_item: AtLeastOne = 50
