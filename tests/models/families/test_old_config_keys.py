"""Shop files may still name settings of models as an earlier release did."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from expectations.shop.shop import Shop
from models.interface.registry import config_values, shop_config, shop_values


@pytest.mark.parametrize(
    ("model", "old", "new", "value"),
    [
        ("two_tower", "asks", "objective", "hidden_items"),
        ("two_tower", "breadth_exponent", "user_weight_exponent", 0.25),
        ("graph", "breadth_exponent", "user_weight_exponent", 0.25),
        ("cross_domain", "breadth_exponent", "user_weight_exponent", 0.25),
        ("cross_domain", "chance_share", "random_mask_share", 0.25),
        ("cross_domain", "era_days", "bucket_days", 90.0),
        ("cross_domain", "num_eras", "num_time_buckets", 7),
        ("cross_domain", "era_spread_days", "bucket_smoothing_days", 30.0),
    ],
)
def test_an_old_key_sets_the_setting_of_the_new_name(
    model: str, old: str, new: str, value: Any, world_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    assert config_values(model)[new] != value
    by_old, by_new = (replace(world_shop, settings={model: {key: value}}) for key in (old, new))
    with caplog.at_level(logging.WARNING):
        assert getattr(shop_config(by_old, model), new) == value
    assert shop_values(by_old, model) == shop_values(by_new, model), "a fit does not depend on which name was written"
    assert f"`{new}`" in caplog.text
