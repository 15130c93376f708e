"""What a shop wants of its lists in the long term: `[policy]` of the shop file.

`models.rerank` learns and judges the agent; `jobs.lists.mmr_selection` leaves places to chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegative, Share
from expectations.tables import AGENTS

POLICY = "policy"
"""The name under which re-ranked lists stand beside those of models: in `scores`, and in the column `source`."""


@dataclass(frozen=True)
class Policy(Bounded):
    """How the published model's lists are re-ranked for the long term, and how much of them is left to chance.

    Attributes:
        agent: who learns to re-rank, one of AGENTS; empty: nobody, and the published model's order stands.
        kl_weight: how strongly the agent is held to the published model's order; 0 lets it go, and None leaves it to
            the agent's file in models/configs.
        temperature: at which the places of lists are drawn, in standard deviations of the scores of the
            user's candidates; 0 takes the best one for each place. Works without an agent, too: what a shop logs before
            it has one is what the first one is judged by.
        max_loss: re-ranked lists are published where, at the lower end of the 95 % interval, they lose no more than
            this share of what the published model's lists are worth.
        log_days: so many days of lists that were shown are looked back on, to learn from and to judge by.
        min_lists: with fewer lists a policy learns nothing that would hold on the day after, and none is fitted.
        min_effective_lists: the shown lists judge a policy where at least so many of them count for it, by their
            weights; otherwise the backtest does.
        min_rewarded_lists: likewise, and where at least so many of them earned something.
        min_mean_weight: likewise, and where their mean weight, which is 1 where they show all that the policy would, is
            at least this.
    """

    agent: str = ""
    kl_weight: NotNegative | None = field(default=None, metadata={"old_names": ("nearness",)})
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False), "must be 0 or more, and finite"] = field(
        default=0.0, metadata={"old_names": ("randomness",)}
    )
    max_loss: Annotated[float, Field(ge=0, lt=1), "must lie between 0 and 1"] = 0.02
    log_days: AtLeastOne = 28
    min_lists: AtLeastOne = 100
    min_effective_lists: AtLeastOne = 100
    min_rewarded_lists: AtLeastOne = 20
    min_mean_weight: Share = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.agent and self.agent not in AGENTS:
            raise ValueError(f'`policy.agent` must be {" or ".join(AGENTS)}, or "" for none. Received: {self.agent!r}')
