"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop

# The main module of a pytest-xdist worker has no file; PySpark would take that for its own doctests, and exit.
sys.modules["__main__"].__dict__.setdefault("__file__", __file__)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that two workers end at about the same time."""
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow_files, "e2e" not in item.path.parts))


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """One local Spark for the whole run: two threads, UTC, little memory."""
    from expectations.runtime.spark_session import spark_session

    session = spark_session("tests", "local[2]", "2g")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    # On a few rows, compiling a query and planning it anew after each stage take longer than running it.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    session.conf.set("spark.sql.adaptive.enabled", "false")
    yield session
    session.stop()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "root"))


@pytest.fixture
def shop() -> Shop:
    """A small shop of purchases; its raw file is one CSV a day under `{data}`."""
    return Shop(
        name="corner",
        events=RawFile(
            path="{data}/{ds}.csv",
            columns={
                "event_time": "time",
                "user_id": "customer",
                "item_id": "article",
                "quantity": "units",
                "price": "price",
            },
            constants={"event_type": "purchase", "domain": "things"},
        ),
        horizon_days=7,
        top_k=3,
        num_candidates=6,
    )


@pytest.fixture
def night(lake: Lake, shop: Shop, tmp_path: Path) -> Night:
    return Night(
        lake=lake,
        data=str(tmp_path / "drops"),
        shop=replace(shop),
        ds="2024-03-10",
        run_id="test",
        now=datetime(2024, 3, 11, 2, 0, tzinfo=timezone.utc),
    )


@pytest.fixture
def other_code(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes every program another version of itself, as an edit would."""

    def change(name: str = "other code") -> None:
        monkeypatch.setattr("expectations.runtime.code_version._closure_hash", lambda modules, root: name)

    return change


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Where the real data sets lie; skips the test where they are absent."""
    path = Path(os.environ.get("NIGHTJAR_DATA", "../shared/data"))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}; set NIGHTJAR_DATA")
    return path
