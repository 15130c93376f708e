"""Which published days rest on older inputs, and the line that builds them again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from expectations.runtime.drops import DropFolder
from expectations.runtime.program import Night
from expectations.tables import EVENTS
from jobs.list_stale import StaleDay, main, staleness, staleness_text
from jobs.publish_tables import publish_tables
from jobs.publishing.manifest_history import Scope
from jobs.publishing.rollback import roll_back
from jobs.raw.ingest_plan import found_files
from jobs.raw.inspect_files import sha256_of
from tests.worlds.raw_drops import write_drop
from tests.worlds.small_night import write_rows
from tests.worlds.staged_night import stage_night

DAYS = ("2024-03-07", "2024-03-08", "2024-03-10")


def drop(night: Night, ds: str, text: str = "ann,lamp\n") -> Path:
    return write_drop(night.data, f"{ds}.csv", f"time,customer,article\n{ds},{text}")


def take_in(night: Night, ds: str, fingerprint: str = "a fingerprint") -> None:
    """Commits events with what `jobs.ingest` notes of the drop that lies there."""
    version = write_rows(night, EVENTS, [{"user_id": "ann"}], ds)
    found = found_files(night.shop, DropFolder(night.shop, night.lake.root, night.data), ds)
    files = [replace(file, sha256=sha256_of(file.path)).metadata for file in found]
    night.lake.commit(EVENTS, ds, version.path, fingerprint, version.rows, files=files)


def publish(night: Night, ds: str) -> None:
    of_day = stage_night(replace(night, ds=ds), "item-2")
    take_in(of_day, ds)
    publish_tables(of_day)


@pytest.fixture
def published(night: Night) -> Night:
    """Three published days; the shop was closed on the day between."""
    for ds in DAYS:
        drop(night, ds)
        publish(night, ds)
    return night


def stale_days(night: Night) -> list[str]:
    return [day.ds for day in staleness(night).stale]


def test_nothing_is_stale_after_the_nights(published: Night) -> None:
    assert staleness_text(staleness(published), "corner") == "3 published days, none is stale"


def test_nothing_published_is_nothing_stale(night: Night) -> None:
    assert staleness_text(staleness(night), "corner") == "0 published days, none is stale"


def test_another_code_or_a_touched_file_makes_nothing_stale(published: Night, other_code: Callable[[], None]) -> None:
    os.utime(Path(published.data) / "2024-03-08.csv", (1_600_000_500, 1_600_000_500))
    other_code()
    take_in(published, "2024-03-07", "another fingerprint")
    assert staleness(published).stale == ()


def test_a_changed_drop_makes_its_day_and_all_later_ones_stale(published: Night) -> None:
    drop(published, "2024-03-08", "robert,lamp\n")
    found = staleness(published)
    assert found.stale == (StaleDay("2024-03-08", ("drops",)), StaleDay("2024-03-10", ("drops",)))
    assert found.waiting == ("2024-03-08",)
    take_in(published, "2024-03-08")
    assert staleness(published).waiting == ()
    assert stale_days(published) == ["2024-03-08", "2024-03-10"]


def test_a_drop_of_a_day_that_seemed_closed_makes_later_days_stale(published: Night) -> None:
    drop(published, "2024-03-09")
    assert (stale_days(published), staleness(published).waiting) == (["2024-03-10"], ("2024-03-09",))


def test_a_day_that_was_built_again_is_not_stale(published: Night) -> None:
    drop(published, "2024-03-08", "robert,lamp\n")
    publish(published, "2024-03-08")
    assert stale_days(published) == ["2024-03-10"]


def test_other_settings_make_every_day_stale_but_another_place_of_the_drops_none(published: Night) -> None:
    shop = published.shop
    moved = replace(shop, drops=replace(shop.drops, wait_hours=1), events=replace(shop.events, path="{root}/{ds}.csv"))
    assert stale_days(replace(published, shop=moved)) == []
    assert staleness(replace(published, shop=replace(shop, seed=2))).stale == tuple(
        StaleDay(ds, ("settings",)) for ds in DAYS
    )


def test_days_after_the_one_asked_for_are_not_looked_at(published: Night) -> None:
    drop(published, "2024-03-07", "robert,lamp\n")
    assert stale_days(replace(published, ds="2024-03-08")) == ["2024-03-07", "2024-03-08"]


def test_days_without_a_gap_are_one_line_to_paste(published: Night) -> None:
    drop(published, "2024-03-07", "robert,lamp\n")
    assert staleness_text(staleness(published), "my shop.toml").splitlines() == [
        "waiting to be ingested: the drop of 2024-03-07 is new or has changed",
        "3 of 3 published days are stale",
        "",
        "2024-03-07 … 2024-03-08: other drops",
        "  make backfill FROM=2024-03-07 TO=2024-03-08 SHOP='my shop.toml'",
        "  airflow backfill create --dag-id nightly_recommendations --from-date 2024-03-07 --to-date 2024-03-08 "
        """--reprocess-behavior completed --dag-run-conf '{"shop": "my shop.toml"}'""",
        "",
        "2024-03-10: other drops",
        "  make backfill FROM=2024-03-10 TO=2024-03-10 SHOP='my shop.toml'",
        "  airflow backfill create --dag-id nightly_recommendations --from-date 2024-03-10 --to-date 2024-03-10 "
        """--reprocess-behavior completed --dag-run-conf '{"shop": "my shop.toml"}'""",
    ]


def test_the_program_needs_no_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--shop", "online_retail", "--root", str(tmp_path / "root"), "--data", str(tmp_path / "none")])
    assert capsys.readouterr().out == "0 published days, none is stale\n"


def test_a_day_that_was_rolled_back_is_not_stale_until_it_is_built_again(published: Night) -> None:
    drop(published, "2024-03-10", "robert,lamp\n")
    publish(published, "2024-03-10")
    at = datetime(2024, 3, 12, 4, tzinfo=timezone.utc)
    roll_back(published.lake, "night-before", Scope(ds="2024-03-10"), "operator", at)
    told = "rolled back: 2024-03-10 (to run_manifest version 3 at 2024-03-12T04:00:00+00:00)"
    assert staleness_text(staleness(published), "corner") == f"{told}\n3 published days, none is stale"
    publish(published, "2024-03-10")
    assert staleness(published).rolled_back == {}


def test_a_day_that_was_taken_back_whole_is_told_until_it_is_built_again(published: Night) -> None:
    roll_back(published.lake, "2", Scope(), "operator", published.now)
    assert list(staleness(published).rolled_back) == ["2024-03-10"]
    publish(published, "2024-03-10")
    assert staleness(published).rolled_back == {}
