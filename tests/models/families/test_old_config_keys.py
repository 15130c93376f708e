"""Shop files and config files may still name settings of models as an earlier release did."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expectations.shop.shop import Shop
from models.interface import registry
from models.interface.registry import CONFIGS, config_values, shop_config, shop_values
from models.policies import agents


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


def _older_file(folder: Path, name: str, new: str, old: str) -> None:
    """Writes a config file as it ships, but for the older name of a key."""
    text = (CONFIGS / name).read_text(encoding="utf-8")
    assert f"\n{new} = " in text
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text.replace(f"\n{new} = ", f"\n{old} = "), encoding="utf-8")


def test_an_old_key_in_a_models_own_file_refits_nothing(
    world_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop = replace(world_shop, settings={"graph": {"user_weight_exponent": 0.25}})
    shipped, as_the_shop_wants, config = config_values("graph"), shop_values(shop, "graph"), shop_config(shop, "graph")
    _older_file(tmp_path / "models" / "configs", "graph.toml", "user_weight_exponent", "breadth_exponent")
    monkeypatch.setattr(registry, "CONFIGS", tmp_path / "models" / "configs")
    assert list(config_values("graph").items()) == list(shipped.items())
    assert shop_values(shop, "graph") == as_the_shop_wants
    assert shop_config(shop, "graph") == config
    assert "models/configs/graph.toml: `breadth_exponent` is now `user_weight_exponent`" in caplog.text


@pytest.mark.parametrize("agent", ["policy_gradient", "q_learning"])
def test_an_old_key_in_an_agents_file_refits_nothing(
    agent: str, world_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = replace(world_shop, policy=replace(world_shop.policy, agent=agent))
    weighed = replace(shop, policy=replace(shop.policy, kl_weight=7.0))
    shipped, with_the_shops_weight = agents.agent_values(shop), agents.agent_values(weighed)
    _older_file(tmp_path / "models" / "configs", f"policies/{agent}.toml", "kl_weight", "nearness")
    for module in (registry, agents):
        monkeypatch.setattr(module, "CONFIGS", tmp_path / "models" / "configs")
    assert agents.agent_values(shop) == shipped
    assert agents.agent_values(weighed) == with_the_shops_weight
