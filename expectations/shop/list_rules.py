"""What a shop asks of its users' lists beside relevance: `[rules]` of the shop file.

Rules of single items (what no list may show) are asked in `expectations.semantics.item_eligibility`; those of whole
lists are kept by `jobs.lists.mmr_selection`. Purchased items have a policy of their own: `repeats` and
`max_repeat_share` of the shop file.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

from pydantic import Field

from expectations.shop.bounds import Bounded, NotNegativeInt, Share

PATH_SEPARATOR = " > "
"""Between the levels of a category."""


@dataclass(frozen=True)
class Boost(Bounded):
    """Makes items of one kind stronger or weaker; exactly one kind is named.

    Attributes:
        factor: what their relevance is multiplied by: above 1 lifts them, below 1 lowers them. An item of several kinds
            is multiplied by each.
        category: a path, `Home > Garden`, with all that lies below it.
        brand: one brand.
        items: ids of items.
        is_new: `true` for items that are new by `new_item_days`.
    """

    factor: Annotated[float, Field(gt=0, allow_inf_nan=False), "must be above 0; 1 changes nothing"]
    category: str | None = None
    brand: str | None = None
    items: tuple[str, ...] | None = None
    is_new: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = [f.name for f in fields(self)[1:] if getattr(self, f.name) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a boost needs exactly one of category, brand, items, is_new. Received: {kinds}")
        if self.is_new is False:
            raise ValueError("`is_new` can only be true: a `factor` below 1 lowers new items")
        _require_names("items", self.items or ())


@dataclass(frozen=True)
class ListRules(Bounded):
    """Rules of the lists of users; without any, the published model's best K items are the list.

    The relevance of a candidate is its score between the user's best candidate (1) and their last one (0), times the
    boosts, so that `diversity` and `factor` mean the same for every model.

    Attributes:
        version: the shop's own name for this set of rules; noted in `run_manifest` with them and what they did.
        exclude_items: ids that nobody is recommended.
        exclude_categories: paths, such as `Home > Garden`; all that lies below them is left out, too.
        exclude_brands: brands that nobody is recommended.
        min_price, max_price: bounds of an item's price, included. What has no price keeps no bound.
        max_per_category: of one category, at most so many items in a list; 0 sets no bound. Items without a category
            count for none.
        category_level: how many levels of the path make a category for that: 1 is the broadest; 0 is the whole path.
        max_per_brand: likewise, of one brand.
        max_per_group: likewise, of the variants that share an `item_group_id`; unless this is 0, an item is never
            similar to its own variants.
        group_equal_titles: items without an `item_group_id` are variants of each other where their titles, but for case
            and blanks, and their brands are equal.
        new_item_days: an item is new for so many days after the catalogue first knew it, the first included.
        min_new_item_share: of a list, at least how much must be new, as far as the shop has new items that may be
            shown. The user's best new candidates are pulled up; where there are too few, new items in demand come last.
        diversity: 0 ranks by relevance alone, 1 asks alone that an item differs from those above it.
        boosts: kinds of items that count for more, or for less. They change the order of candidates, never fillers.
    """

    version: str = ""
    exclude_items: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    exclude_brands: tuple[str, ...] = ()
    min_price: float | None = None
    max_price: float | None = None
    max_per_category: NotNegativeInt = 0
    category_level: NotNegativeInt = 0
    max_per_brand: NotNegativeInt = 0
    max_per_group: NotNegativeInt = 1
    group_equal_titles: bool = False
    new_item_days: NotNegativeInt = 0
    min_new_item_share: Share = 0.0
    diversity: Share = 0.0
    boosts: tuple[Boost, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("exclude_items", "exclude_categories", "exclude_brands"):
            _require_names(name, getattr(self, name))
        lowest, highest = self.min_price or 0.0, math.inf if self.max_price is None else self.max_price
        if not 0 <= lowest <= highest:
            raise ValueError(
                f"`rules.min_price` must be 0 or more, and `rules.max_price` no less. "
                f"Received: min_price={self.min_price}, max_price={self.max_price}"
            )
        if not self.new_item_days and (self.min_new_item_share or any(boost.is_new for boost in self.boosts)):
            raise ValueError("`rules.new_item_days` must say how long an item is new, since another rule asks for it")
        if self.declared and not self.version:
            raise ValueError(
                f'`rules.version` must name these rules, such as "2024-03": it is noted with what they did. '
                f"Received: {', '.join(self.declared)} without a version"
            )

    @property
    def declared(self) -> dict[str, Any]:
        """What the shop file sets otherwise than no rule would be, but for `version`."""
        nothing = {f.name: f.default for f in fields(self)}
        return {name: value for name, value in asdict(self).items() if name != "version" and value != nothing[name]}

    @property
    def choose_lists(self) -> bool:
        """Whether a list can be other than the best K items that are left."""
        return bool(
            self.boosts or self.diversity or self.max_per_category or self.max_per_brand or self.min_new_item_share
        )

    def num_new(self, top_k: int) -> int:
        """How many items of a list of `top_k` must be new."""
        return math.ceil(self.min_new_item_share * top_k - 1e-9)


def _require_names(rule: str, names: tuple[str, ...]) -> None:
    if any(not name.strip() for name in names):
        raise ValueError(f"`{rule}` must name something in each place. Received: {list(names)}")
