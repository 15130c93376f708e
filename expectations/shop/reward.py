"""What a list is to earn, as a shop declares it under `[reward]`: what `models.policies.policy_gradient` and
`models.policies.q_learning` aim at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from expectations.shop.bounds import Amount, AtLeastOne, Bounded, ShareBelowOne
from expectations.tables import EVENT_TYPES


def _shop_default() -> dict[str, float]:
    return {"view": 0.0, "click": 1.0, "cart": 2.0, "purchase": 5.0}


@dataclass(frozen=True)
class Reward(Bounded):
    """What a shop is paid in, so to speak. `models.slates.rewards` computes it.

    Attributes:
        event_weights: event type -> what one such event earns; a type that is not named earns nothing. More weight on
            clicks fills lists with what is looked at; more on purchases with what is bought, which is rarer and so
            takes a longer log to learn.
        margin_weight: what a unit of money earns, as price x quantity of a purchase, beside the purchase itself. It
            leans lists towards what is dear; 0 leaves prices out.
        return_bonus: what a visit earns that comes within `return_days` of the user's one before. It favours lists
            after which people come back soon, even those from which nothing was taken.
        return_days: how soon is soon.
        repetition_penalty: what an item costs that stood in the user's list before and that they have not touched
            since (clicked, put into the cart or bought). It moves what is ignored out of the lists.
        discount: what a reward is worth that comes a day later: 0 sees the day of the list alone, 0.97 some weeks.
            The longer the sight, the more the policy cares that people stay, and the more log it needs to learn it.
    """

    event_weights: dict[str, Amount] = field(default_factory=_shop_default)
    margin_weight: Amount = 0.0
    return_bonus: Amount = 0.0
    return_days: AtLeastOne = 7
    repetition_penalty: Amount = 0.0
    discount: ShareBelowOne = 0.97

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.event_weights) - set(EVENT_TYPES))
        if unknown:
            raise ValueError(f"`event_weights` must be of {', '.join(EVENT_TYPES)}. Received: {', '.join(unknown)}")
        if not any([*self.event_weights.values(), self.margin_weight, self.return_bonus]):
            raise ValueError("`event_weights`, `margin_weight` or `return_bonus` must pay for something. Received: 0")
