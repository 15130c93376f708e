"""Which days have a drop, and when it may be read."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from expectations.runtime.drops import DropFolder
from expectations.runtime.input_fingerprint import settings_fingerprint
from expectations.shop.drop_settings import Drops
from expectations.shop.raw_files import JoinedFile, RawFile
from expectations.shop.shop import Shop

DS = "2024-03-10"
NOW = datetime(2024, 3, 11, 2, tzinfo=timezone.utc)


def laid(folder: Path, name: str, age_seconds: float = 3600) -> None:
    """A file that last changed so long before NOW."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("time\n", encoding="utf-8")
    changed = (NOW - timedelta(seconds=age_seconds)).timestamp()
    os.utime(path, (changed, changed))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def drops(shop: Shop, data: Path, tmp_path: Path) -> DropFolder:
    return DropFolder(shop, str(tmp_path / "root"), str(data))


def with_items(drops: DropFolder, settings: Drops | None = None) -> DropFolder:
    items = RawFile(path="{data}/items/{ds}.csv", columns={"item_id": "article"})
    return replace(drops, shop=replace(drops.shop, items=items, drops=settings or Drops()))


def with_events(drops: DropFolder, *sources: RawFile) -> DropFolder:
    """The drops of a shop whose events are read from these files; of columns nothing but their path is meant."""
    own = drops.shop.events
    first, *others = (replace(source, columns=own.columns, constants=own.constants) for source in sources)
    return replace(drops, shop=replace(drops.shop, events=first, more_events=tuple(others)))


def test_nothing_there_is_absent(drops: DropFolder) -> None:
    assert drops.state(DS, NOW) == "absent"


@pytest.mark.parametrize(("age_seconds", "state"), [(61, "complete"), (60, "complete"), (59, "being_written")])
def test_a_file_counts_as_written_when_it_has_settled(
    drops: DropFolder, data: Path, age_seconds: float, state: str
) -> None:
    laid(data, f"{DS}.csv", age_seconds)
    assert drops.state(DS, NOW) == state


def test_the_events_file_is_waited_for_and_the_others_must_settle(drops: DropFolder, data: Path) -> None:
    drops = with_items(drops)
    laid(data, f"items/{DS}.csv")
    assert drops.state(DS, NOW) == "being_written"
    laid(data, f"{DS}.csv")
    assert drops.state(DS, NOW) == "complete"
    laid(data, f"items/{DS}.csv", age_seconds=1)
    assert drops.state(DS, NOW) == "being_written"


def test_a_marker_decides_alone(drops: DropFolder, data: Path) -> None:
    drops = with_items(drops, Drops(complete_marker="{data}/{ds}.done"))
    assert drops.state(DS, NOW) == "absent"
    laid(data, f"items/{DS}.csv")
    assert drops.state(DS, NOW) == "being_written"
    laid(data, f"{DS}.csv", age_seconds=1)
    laid(data, f"{DS}.done", age_seconds=0)
    assert drops.state(DS, NOW) == "complete"


def test_days_are_those_with_a_file_of_that_kind(drops: DropFolder, data: Path) -> None:
    for name in ("2024-03-10.csv", "2024-03-08.csv", "2024-03-12.csv", "2024-03-09.csv.gz", "notes.csv"):
        laid(data, name)
    (data / "2024-03-07.csv").mkdir()
    assert drops.days(until=DS) == ["2024-03-08", "2024-03-10"]


def test_a_drop_of_clicks_and_orders_is_whole_when_both_are_there(drops: DropFolder, data: Path) -> None:
    orders = JoinedFile("{data}/{ds}/orders.csv", key="order")
    lines = RawFile("{data}/{ds}/lines.csv", join={"orders": orders})
    drops = with_events(drops, RawFile("{data}/{ds}/clicks.csv"), lines)
    for name, missing in (("clicks", ["lines", "orders"]), ("lines", ["orders"])):
        laid(data, f"{DS}/{name}.csv")
        assert drops.missing(DS) == [str(data / DS / f"{other}.csv") for other in missing]
        assert drops.state(DS, NOW) == "being_written"
    laid(data, f"{DS}/orders.csv")
    assert drops.state(DS, NOW) == "complete"
    laid(data, "2024-03-09/lines.csv")
    assert drops.days(until=DS) == ["2024-03-09", DS]


def test_a_file_that_stands_for_all_days_is_no_sign_of_a_drop(drops: DropFolder, data: Path) -> None:
    items = RawFile("{data}/catalogue.csv", columns={"item_id": "article"})
    drops = replace(drops, shop=replace(drops.shop, items=items))
    laid(data, "catalogue.csv", age_seconds=1)
    assert drops.state(DS, NOW) == "absent"
    laid(data, f"{DS}.csv")
    assert drops.state(DS, NOW) == "complete"


def test_no_folder_means_no_days(drops: DropFolder) -> None:
    assert drops.days(until=DS) == []


@pytest.mark.parametrize(
    "template", ["{data}/{ds}/events.csv", "{data}/day={ds}/events.csv", "{data}/{ds}/events-{ds}.csv"]
)
def test_the_day_may_name_a_folder_or_folder_and_file(drops: DropFolder, data: Path, template: str) -> None:
    raw = RawFile(path=template)
    for ds in ("2024-03-09", "2024-03-10"):
        laid(data, template.replace("{data}/", "").replace("{ds}", ds))
    laid(data, "2024-03-08/other.csv")
    assert with_events(drops, raw).days(until=DS) == ["2024-03-09", "2024-03-10"]
    assert drops.exists(raw, "2024-03-09")
    assert not drops.exists(raw, "2024-03-08")


def test_a_relative_path_starts_at_the_shop_file(drops: DropFolder, tmp_path: Path) -> None:
    raw = RawFile(path="raw/{ds}.csv")
    drops = replace(drops, shop=replace(drops.shop, folder=str(tmp_path / "shops")))
    laid(tmp_path, f"shops/raw/{DS}.csv")
    assert drops.path(raw, DS) == f"{tmp_path}/shops/raw/{DS}.csv"
    assert with_events(drops, raw).days(until=DS) == [DS]


def test_the_root_may_hold_the_drops(drops: DropFolder, tmp_path: Path) -> None:
    assert drops.path(RawFile(path="{root}/raw/{ds}.json"), DS) == f"{tmp_path}/root/raw/{DS}.json"


def test_a_night_waits_so_many_hours_after_the_day(drops: DropFolder) -> None:
    drops = replace(drops, shop=replace(drops.shop, drops=Drops(wait_hours=6.5)))
    assert drops.deadline(DS) == datetime(2024, 3, 11, 6, 30, tzinfo=timezone.utc)


def test_a_word_of_a_shop_that_is_called_path_or_table_counts_and_a_place_does_not(shop: Shop) -> None:
    def fingerprint(**settings: Any) -> str:
        return settings_fingerprint(replace(shop, events=replace(shop.events, **settings)))

    assert fingerprint(event_types={"table": "view"}) != fingerprint(event_types={})
    assert fingerprint(event_types={"path": "view"}) != fingerprint(event_types={"path": "click"})
    assert fingerprint(path="elsewhere/{ds}.csv") == fingerprint()
