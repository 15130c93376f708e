"""The reward that a shop declares."""

from __future__ import annotations

from typing import Any

import pytest

from expectations.shop.reward import Reward
from expectations.shop.toml_settings import SettingsError, settings_from_mapping


def test_a_shop_that_says_nothing_is_paid_in_clicks_carts_and_purchases() -> None:
    assert Reward() == Reward({"view": 0.0, "click": 1.0, "cart": 2.0, "purchase": 5.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"event_weights": {"buy": 1.0}}, "must be of view, click, cart, purchase. Received: buy"),
        ({"event_weights": {"click": -1.0}}, "`event_weights.click` must be a number from 0. Received: -1.0"),
        ({"event_weights": {}}, "must pay for something"),
        ({"margin_weight": float("nan")}, "`margin_weight` must be a number from 0. Received: nan"),
        ({"return_bonus": float("inf")}, "`return_bonus` must be a number from 0"),
        ({"repetition_penalty": -0.1}, "`repetition_penalty` must be a number from 0"),
        ({"return_days": 0}, "`return_days` must be at least 1. Received: 0"),
        ({"discount": 1.0}, r"`discount` must lie in \[0, 1\). Received: 1.0"),
        ({"discont": 0.9}, "unknown key 'discont'. Did you mean 'discount'?"),
    ],
)
def test_what_a_reward_cannot_mean_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings_from_mapping(Reward, values, "shop [reward]")
