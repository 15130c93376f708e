"""Bounds at fields hold of objects that Python code makes, not only of those that a file describes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from expectations.shop.bounds import Amount, AtLeastOne, Bounded, NotNegative, Share
from expectations.shop.list_rules import Boost
from expectations.shop.shop import Shop


@dataclass(frozen=True)
class Tank(Bounded):
    litres: AtLeastOne
    fill: Share = 0.5
    leak: NotNegative | None = None
    prices: dict[str, Amount] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class LabelledTank(Tank):
    hoses: AtLeastOne = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hoses > self.litres:
            raise ValueError("`hoses` must not outnumber `litres`")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"litres": 0}, "`litres` must be at least 1. Received: 0"),
        ({"fill": 1.5}, "`fill` must lie between 0 and 1. Received: 1.5"),
        ({"fill": float("nan")}, "`fill` must lie between 0 and 1. Received: nan"),
        ({"leak": -0.5}, "`leak` must be 0 or more. Received: -0.5"),
        ({"prices": {"tap": 1.0, "hose": -2.0}}, "`prices.hose` must be a number from 0. Received: -2.0"),
        ({"hoses": 0}, "`hoses` must be at least 1. Received: 0"),
        ({"hoses": 5}, "`hoses` must not outnumber `litres`"),
    ],
)
def test_what_a_bound_excludes_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        LabelledTank(**{"litres": 4, **values})


def test_what_a_bound_allows_is_kept_as_it_is() -> None:
    tank = Tank(np.int64(4), fill=1, leak=float("inf"), label="rain")  # type: ignore[arg-type]
    assert (tank.litres, tank.fill, tank.leak, tank.prices) == (4, 1, float("inf"), {})
    assert isinstance(tank.litres, np.int64)


def test_a_changed_shop_checks_itself(shop: Shop) -> None:
    with pytest.raises(ValueError, match=r"^`top_k` must be at least 1. Received: 0$"):
        replace(shop, top_k=0)
    with pytest.raises(ValueError, match=r"^`repeats` must be allowed, after_gap or never. Received: 'no'$"):
        replace(shop, repeats="no")
    with pytest.raises(ValueError, match=r"^`max_per_brand` must be 0 or more. Received: -1$"):
        replace(shop.rules, max_per_brand=-1)
    with pytest.raises(ValueError, match=r"^`days` must be at least 1. Received: 0$"):
        replace(shop.new_items, days=0)
    with pytest.raises(ValueError, match=r"^`max_user_events` must be 0"):
        replace(shop.drops, max_user_events=-1)
    with pytest.raises(ValueError, match=r"^`discount` must lie in"):
        replace(shop.reward, discount=1.0)
    with pytest.raises(ValueError, match=r"^`kl_weight` must be 0 or more"):
        replace(shop.policy, kl_weight=-1.0)
    with pytest.raises(ValueError, match=r"^`format` must be csv"):
        replace(shop.events, format="xml")
    with pytest.raises(ValueError, match=r"^`factor` must be above 0"):
        Boost(0.0, brand="x")
