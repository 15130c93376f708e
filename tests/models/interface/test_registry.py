"""The settings of a model: its config file's, with the shop's in their place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from expectations.shop.shop import Shop
from models.interface import registry
from models.interface.registry import shop_config, shop_values


@dataclass(frozen=True)
class Neighbours:
    size: int = field(metadata={"old_names": ("num_peers",)})


@dataclass(frozen=True)
class ItemItemConfig:
    neighbours: Neighbours


def test_a_fit_does_not_depend_on_which_name_of_a_key_the_shop_wrote(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry, "config_values", lambda name: {"neighbours": {"size": 5}})
    monkeypatch.setattr(registry, "import_module", lambda name: SimpleNamespace(ItemItemConfig=ItemItemConfig))
    old = replace(shop, settings={"item_item": {"neighbours": {"num_peers": 9}}})
    new = replace(shop, settings={"item_item": {"neighbours": {"size": 9}}})
    assert shop_values(old, "item_item") == shop_values(new, "item_item") == {"neighbours": {"size": 9}}
    assert shop_config(old, "item_item") == ItemItemConfig(Neighbours(9))
    assert caplog.messages == [
        f"shop {shop.name} [settings.item_item] neighbours: `num_peers` is now `size`; "
        "the old name is read until the next release"
    ]
