"""Is the drop there, still coming, or was the shop closed?"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from expectations.runtime.drops import DropFolder
from expectations.runtime.program import Night
from expectations.shop.drop_settings import Drops
from expectations.tables import NightError
from jobs.raw.drop_readiness import DropNotReadyError, require_drop
from tests.worlds.raw_drops import write_drop
from tests.worlds.source_tables import DuckDbWorld, IcebergWorld

NEXT_MORNING = datetime(2024, 3, 11, 2, 0, tzinfo=timezone.utc)
NEXT_NOON = datetime(2024, 3, 11, 12, 0, tzinfo=timezone.utc)


def drops_of(night: Night, **settings: Any) -> DropFolder:
    return DropFolder(replace(night.shop, drops=replace(Drops(), **settings)), night.lake.root, night.data)


def test_a_settled_file_is_complete(night: Night) -> None:
    write_drop(night.data, "2024-03-10.csv", "time\n")
    assert require_drop(drops_of(night), "2024-03-10", NEXT_MORNING) == "complete"


def test_a_file_that_just_changed_is_waited_for_even_after_the_deadline(night: Night) -> None:
    path = write_drop(night.data, "2024-03-10.csv", "time\n")
    just_now = (NEXT_NOON - timedelta(seconds=5)).timestamp()
    os.utime(path, (just_now, just_now))
    with pytest.raises(DropNotReadyError, match=r"being written.*2024-03-10\.csv.*settle_seconds = 60"):
        require_drop(drops_of(night), "2024-03-10", NEXT_NOON)


def test_an_absent_drop_is_waited_for_until_the_deadline(night: Night) -> None:
    with pytest.raises(DropNotReadyError, match="waiting until 2024-03-11 06:00 UTC"):
        require_drop(drops_of(night), "2024-03-10", NEXT_MORNING)


def test_an_absent_drop_is_an_error_after_the_deadline(night: Night) -> None:
    with pytest.raises(NightError, match=r"2024-03-10\.csv: no drop of 2024-03-10.*missing_day=error") as error:
        require_drop(drops_of(night), "2024-03-10", NEXT_NOON)
    assert not isinstance(error.value, DropNotReadyError)


def test_a_day_without_a_drop_may_mean_that_the_shop_was_closed(night: Night) -> None:
    assert require_drop(drops_of(night, missing_day="closed"), "2024-03-10", NEXT_NOON) == "closed"


def test_a_later_drop_shows_that_none_will_come(night: Night) -> None:
    write_drop(night.data, "2024-03-11.csv", "time\n")
    assert require_drop(drops_of(night, missing_day="closed"), "2024-03-10", NEXT_MORNING) == "closed"


def test_files_without_their_marker_are_waited_for(night: Night) -> None:
    write_drop(night.data, "2024-03-10.csv", "time\n")
    drops = drops_of(night, complete_marker="{data}/{ds}.done")
    with pytest.raises(DropNotReadyError, match=r"waiting for \S*2024-03-10\.done"):
        require_drop(drops, "2024-03-10", NEXT_MORNING)


def test_files_without_their_marker_are_an_error_after_the_deadline(night: Night) -> None:
    write_drop(night.data, "2024-03-10.csv", "time\n")
    drops = drops_of(night, complete_marker="{data}/{ds}.done", missing_day="closed")
    with pytest.raises(DropNotReadyError):
        require_drop(drops, "2024-03-10", NEXT_MORNING)
    with pytest.raises(NightError, match=r"not whole.*2024-03-10\.done"):
        require_drop(drops, "2024-03-10", NEXT_NOON)


SHOP_FILE = """
name = "corner"
[drops]
missing_day = "error"
[events]
path = "{data}/{ds}.csv"
constants = { event_type = "purchase" }
columns = { event_time = "time", user_id = "customer", item_id = "article" }
"""


@pytest.mark.parametrize(
    ("ds", "code", "word"), [("2024-03-10", 0, "complete"), ("2024-03-09", 1, ""), ("2999-01-01", 75, "no drop of")]
)
def test_the_program_tells_waiting_from_failing_by_its_exit_code(tmp_path: Path, ds: str, code: int, word: str) -> None:
    (tmp_path / "corner.toml").write_text(SHOP_FILE)
    write_drop(str(tmp_path / "drops"), "2024-03-10.csv", "time\n")
    flags = ["--ds", ds, "--shop", str(tmp_path / "corner.toml"), "--data", str(tmp_path / "drops")]
    command = [sys.executable, "-X", "importtime", "-m", "jobs.await_drop", *flags, "--root", str(tmp_path / "root")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.startswith(word)) == (code, True), done.stderr[-500:]
    assert "pyspark" not in done.stderr


TABLE_SHOP_FILE = """
name = "corner"
[events]
format = "iceberg"
constants = { event_type = "purchase" }
columns = { event_time = "sold_at", user_id = "customer", item_id = "article" }
[events.table]
connection = "SHOP_CATALOG"
name = "shop.purchases"
day_column = "day"
"""


@pytest.mark.parametrize(
    ("ds", "connected", "code", "said"),
    [
        ("2024-03-10", True, 0, "complete"),
        ("2024-03-09", True, 1, "(catalog SHOP_CATALOG), rows of 2024-03-09: no drop of 2024-03-09"),
        ("2999-01-01", True, 75, "no drop of 2999-01-01 yet at the Iceberg table shop.purchases"),
        ("2024-03-10", False, 1, "the environment variable SHOP_CATALOG, which is not set"),
    ],
)
def test_the_program_looks_into_a_table_and_needs_no_spark(
    tmp_path: Path, ds: str, connected: bool, code: int, said: str
) -> None:
    world = IcebergWorld(tmp_path)
    world.set_day("2024-03-10", [("09:00:00", "ann", 11, 1, "9.00")])
    (tmp_path / "corner.toml").write_text(TABLE_SHOP_FILE)
    flags = ["--ds", ds, "--shop", str(tmp_path / "corner.toml"), "--root", str(tmp_path / "root")]
    command = [sys.executable, "-X", "importtime", "-m", "jobs.await_drop", *flags]
    environment = {**os.environ, **(world.connections if connected else {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    last_line = (done.stdout or done.stderr).splitlines()[-1]
    assert (done.returncode, said in last_line) == (code, True), done.stderr[-500:]
    assert "pyspark" not in done.stderr
    assert not (tmp_path / "root" / "raw_tables").exists()


def test_a_table_without_rows_of_the_day_is_to_be_filled(night: Night, tmp_path: Path) -> None:
    world = DuckDbWorld(tmp_path)
    world.set_day("2024-03-10", [("09:00:00", "ann", 11, 1, "9.00")])
    night = replace(night, shop=replace(night.shop, events=world.source()))
    with pytest.raises(DropNotReadyError, match=r"read settle_seconds = 60\.0 after the end of the day"):
        require_drop(night.drop_folder, "2024-03-10", datetime(2024, 3, 10, 23, 0, tzinfo=timezone.utc))
    assert require_drop(night.drop_folder, "2024-03-10", NEXT_MORNING) == "complete"
    with pytest.raises(NightError, match=r"shop\.duckdb, rows of 2024-03-09: no drop .* Fill the table"):
        require_drop(night.drop_folder, "2024-03-09", NEXT_NOON)
