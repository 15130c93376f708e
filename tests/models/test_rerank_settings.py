"""How many lists a policy takes to be fitted is the shop's."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from expectations.shop.shop import Shop
from models.rerank import PolicyNotFitted, fit_policy


@pytest.mark.parametrize("least", [1, 7])
def test_fewer_lists_than_the_shop_asks_for_fit_no_policy(shop: Shop, least: int) -> None:
    nothing: Any = SimpleNamespace(earlier={}, shown=None)
    shop = replace(shop, policy=replace(shop.policy, min_lists=least))
    with pytest.raises(PolicyNotFitted, match=rf"0 lists are too few .* it takes {least}\."):
        fit_policy("2024-03-10", nothing, nothing, shop)
