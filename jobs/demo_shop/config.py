"""The constants of the demo world, all in one place. The formulas that they stand in are in the package's docstring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class WorldConfig:
    """What makes one world differ from another. Probabilities are per day or per visit, wants are on a log scale.

    Attributes:
        num_users, num_items: on the first day; both grow by their weekly share.
        style_dim: length of the vectors whose product says how much somebody likes the looks of a thing.
        taste_spread, shelf_spread, brand_spread, style_spread, quality_spread: how far people's tastes for groups,
            for shelves within a group, for brands, for looks, and the goods' quality, lie apart.
        price_weight: what it costs a thing to be dearer or cheaper than somebody's budget likes.
        deal_weight: what one log unit of price cut adds to a want.
        taste_step: how far a taste wanders in a day; taste_return pulls it home.
        hobby_share: users a week who take up a new group and tire of their first; hobby_strength by how much.
        mean_visit_rate: of an average user without needs or boredom; visit_rate_spread is its log's.
        need_pull: how many times as often somebody with a need visits; need_strength is what it adds to a want.
        need_window: days that a need lasts when it is not met.
        loyalty: extra want for the brand that a need came from; again for the very item, when it is a refill.
        rest_weight: want lost by a shelf just bought from; it comes back over rest_days (a refill: half its gap).
        satiation_weight: want lost per item seen of a shelf; satiation_memory is what is left a day later. With a
            weight of 0 nobody tires of seeing the same.
        mean_slots, max_slots: items looked at in a visit.
        focus_weight: how much a visit keeps to the shelf that it came for; herd_weight to what sells this week.
        list_share: of the slots are filled from the list of recommendations, when there is one.
        click_*, cart_*: intercept and slope of the logistic in the want; buy_share of carts end in a purchase.
        boredom_memory: of the boredom before a visit, what is left after one with a click; one without adds 1.
        boredom_relief: boredom that is left after a day away.
        boredom_brake: how boredom makes visits rarer.
        leave_base, leave_slope: the chance to leave for good at a visit, and its growth with the square of boredom.
        stock_out, restock, retire: the chances that an item runs out, comes back, is given up.
        deal_share, deal_depth: share of items with a price cut in a week, and the largest cut.
    """

    seed: int = 20240101
    first_day: date = date(2025, 3, 1)
    num_users: int = 2000
    num_items: int = 1000
    weekly_new_users_share: float = 0.01
    weekly_new_items_share: float = 0.01

    style_dim: int = 6
    taste_spread: float = 1.3
    shelf_spread: float = 0.5
    brand_spread: float = 0.9
    style_spread: float = 0.6
    quality_spread: float = 0.5
    price_weight: float = 0.4
    deal_weight: float = 2.0

    taste_step: float = 0.05
    taste_return: float = 0.02
    hobby_share: float = 0.03
    hobby_strength: float = 2.0

    mean_visit_rate: float = 0.058
    visit_rate_spread: float = 0.7
    need_pull: float = 2.5
    need_strength: float = 3.5
    need_window: int = 10
    loyalty: float = 1.5
    rest_weight: float = 4.0
    rest_days: float = 60.0
    satiation_weight: float = 0.35
    satiation_memory: float = 0.85

    mean_slots: float = 5.0
    max_slots: int = 12
    focus_weight: float = 1.5
    herd_weight: float = 0.25
    list_share: float = 0.5
    click_intercept: float = -3.0
    click_slope: float = 0.6
    cart_intercept: float = -2.5
    cart_slope: float = 0.5
    buy_share: float = 0.7

    boredom_memory: float = 0.6
    boredom_relief: float = 0.98
    boredom_brake: float = 0.15
    leave_base: float = 0.006
    leave_slope: float = 0.05

    stock_out: float = 0.01
    restock: float = 0.15
    retire: float = 0.0005
    deal_share: float = 0.1
    deal_depth: float = 0.3

    def __post_init__(self) -> None:
        for name in ("num_users", "num_items"):
            if getattr(self, name) < self.max_slots:
                raise ValueError(f"`{name}` must be at least {self.max_slots}. Received: {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"`seed` must not be negative. Received: {self.seed}")

    @property
    def weekly_new_users(self) -> int:
        """How many join each week."""
        return round(self.num_users * self.weekly_new_users_share)

    @property
    def weekly_new_items(self) -> int:
        """How many goods come in each week."""
        return round(self.num_items * self.weekly_new_items_share)
