"""What people want today: the world's one formula for how much somebody wants something."""

from __future__ import annotations

import numpy as np

from jobs.demo_shop.catalogue import Catalogue
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.population import Population
from jobs.demo_shop.shelves import APPEAL, seasons


def active_needs(config: WorldConfig, people: Population, users: np.ndarray, day_index: int) -> np.ndarray:
    """Returns which shelves each user needs something of today. Shape (num_users, num_shelves), bool.

    Args:
        users: whose needs are asked for. Shape (num_users,), int.
    """
    due = people.need_due[users]
    return (due <= day_index) & (day_index < due + config.need_window)


def shelf_wants(
    config: WorldConfig, people: Population, users: np.ndarray, needs: np.ndarray, day_of_year: int
) -> np.ndarray:
    """Returns how much each user wants something of each shelf. Shape (num_users, num_shelves), float.

    Args:
        users: whose wants are asked for. Shape (num_users,), int.
        needs: what `active_needs` returns for them. Shape (num_users, num_shelves), bool.
    """
    return (
        people.taste[users]
        + APPEAL
        + seasons(day_of_year)
        + config.need_strength * needs
        - config.rest_weight * people.rest[users]
        - config.satiation_weight * people.satiation[users]
    )


def item_wants(
    config: WorldConfig, goods: Catalogue, people: Population, users: np.ndarray, needs: np.ndarray, shelves: np.ndarray
) -> np.ndarray:
    """Returns how much each user wants each item, before anything is seen today. Shape (num_users, num_items), float.

    Args:
        users: whose wants are asked for. Shape (num_users,), int.
        needs: what `active_needs` returns for them. Shape (num_users, num_shelves), bool.
        shelves: what `shelf_wants` returns for them. Shape (num_users, num_shelves), float.
    """
    wants = shelves[:, goods.shelf] + people.brand_liking[users][:, goods.brand] + people.style[users] @ goods.style.T
    wants -= config.price_weight * (goods.price_level - people.budget[users][:, None]) ** 2
    wants += goods.quality + config.deal_weight * np.log(goods.list_price / goods.price)

    anchor = people.need_anchor[users]
    is_needed = needs[:, goods.shelf]
    fits = is_needed & (goods.brand[anchor][:, goods.shelf] == goods.brand)
    is_same = is_needed & (anchor[:, goods.shelf] == np.arange(len(goods)))
    wants += config.loyalty * fits + config.loyalty * is_same
    return wants
