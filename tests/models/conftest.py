"""Fixtures of the models' tests."""

from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.tracking_config import tracking_server_from
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from models.data.dataset import Dataset, load_dataset
from tests.worlds.communities import DAY, community_events, write_world

NO_SERVER = "http://127.0.0.1:9"
"""Nothing listens on that port."""


@pytest.fixture(scope="session", autouse=True)
def _short_waits() -> None:
    """Nights that a test puts together wait for MLflow no longer than those of programs."""
    tracking_server_from(os.environ)


def communities_shop() -> Shop:
    """The shop of the two communities: it asks for the next 14 days."""
    columns = {"event_time": "time", "user_id": "customer", "item_id": "article"}
    raw = RawFile(path="{data}/{ds}.csv", columns=columns, constants={"event_type": "purchase"})
    return Shop(name="communities", events=raw, horizon_days=14, top_k=3, num_candidates=6)


@pytest.fixture(scope="session")
def world_shop() -> Shop:
    """See `communities_shop`."""
    return communities_shop()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, world_shop: Shop) -> Dataset:
    """The two communities as of DAY."""
    lake = Lake(str(tmp_path_factory.mktemp("world")))
    write_world(lake, community_events())
    return load_dataset(lake, world_shop, DAY)


@pytest.fixture
def dataset_of_equals(lake: Lake, world_shop: Shop) -> Dataset:
    """Every item was bought once."""
    write_world(lake, [(2, item, datetime(2024, 3, 1, item, tzinfo=timezone.utc)) for item in range(2, 22)])
    return load_dataset(lake, world_shop, DAY)
