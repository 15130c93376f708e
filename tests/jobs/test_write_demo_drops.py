from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from expectations.runtime.drops import DropFolder
from expectations.shop.shop import load_shop
from expectations.tables import NightError
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.drop_files import ACTIONS
from jobs.write_demo_drops import main, write_drops

SMALL = WorldConfig(seed=5, num_users=300, num_items=100, mean_visit_rate=0.2)
LAST = "2025-03-09"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine days of drops."""
    folder = tmp_path_factory.mktemp("demo")
    assert write_drops(str(folder), SMALL, LAST) == 9
    return folder


def rows_of(root: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(root / "raw" / name, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text, strict=True))


def bytes_under(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_shipped_shop_file_finds_every_column(root: Path) -> None:
    shop = load_shop("demo")
    drops = DropFolder(shop, str(root), "")
    assert drops.days(LAST) == [f"2025-03-0{n}" for n in range(1, 10)]
    for raw in (shop.events, shop.items, shop.users):
        assert raw is not None
        path = Path(drops.path(raw, "2025-03-01"))
        found = rows_of(root, str(path.relative_to(root / "raw")))[0]
        assert set(raw.columns.values()) <= set(found)
    assert shop.horizon_days == 14
    assert set(shop.events.event_types) == set(ACTIONS)


def test_a_second_call_writes_nothing(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert write_drops(str(root), SMALL, LAST) == 0
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_drop_has_the_same_bytes_whatever_was_there_before(root: Path, tmp_path: Path) -> None:
    write_drops(str(tmp_path), SMALL, "2025-03-04")
    (tmp_path / "raw" / "2025-03-02" / "events.csv.gz").unlink()
    assert write_drops(str(tmp_path), SMALL, LAST) == 6
    assert bytes_under(tmp_path) == bytes_under(root)


def test_archives_hold_no_time_of_writing(root: Path) -> None:
    # Bytes 4 to 7 of a gzip file are the time at which it was written.
    assert {path.read_bytes()[4:8] for path in root.rglob("*.gz")} == {bytes(4)}


def test_a_root_holds_one_world(root: Path) -> None:
    with pytest.raises(NightError, match="another demo world"):
        write_drops(str(root), replace(SMALL, seed=6), LAST)


def test_a_day_before_the_shop_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="opens on 2025-03-01"):
        write_drops(str(tmp_path), SMALL, "2025-02-28")


def test_about_one_event_row_in_two_hundred_is_dirty(root: Path) -> None:
    num_dirty, num_rows = 0, 0
    for day in range(1, 10):
        rows = rows_of(root, f"2025-03-0{day}/events.csv.gz")
        repeated = sum(count - 1 for count in Counter(tuple(row.values()) for row in rows).values())
        num_dirty += repeated + sum(is_dirty(row) for row in rows)
        num_rows += len(rows)
    assert 0.003 < num_dirty / num_rows < 0.008


def is_dirty(row: dict[str, str]) -> bool:
    is_of_this_world = row["customer"].startswith("C") and row["action"] in ACTIONS and row["units"].isdigit()
    return not is_of_this_world or "T25:" in row["time"] or row["unit_price"].startswith("-")


def test_the_same_kinds_of_dirt_come_every_month(tmp_path: Path) -> None:
    write_drops(str(tmp_path), replace(SMALL, num_users=2000), "2025-03-03")
    rows = [row for day in (1, 2, 3) for row in rows_of(tmp_path, f"2025-03-0{day}/events.csv.gz")]
    assert any(row["action"] == "hovered" for row in rows)
    assert any(row["customer"] == "" for row in rows)
    assert any(row["customer"] == "till-test" for row in rows)
    assert any(row["units"] == "two" for row in rows)
    assert any(row["unit_price"].startswith("-") for row in rows)
    assert any(row["time"].endswith("T25:61:00Z") for row in rows)


def test_items_files_hold_the_whole_catalogue(root: Path) -> None:
    first, last = rows_of(root, "2025-03-01/items.csv.gz"), rows_of(root, f"{LAST}/items.csv.gz")
    assert len(first) == 102  # and two dirty rows
    assert len(last) in (102, 103)  # a new one on day 8; seldom, one is given up
    assert {row["in_stock"] for row in last} == {"yes", "no"}
    good = [row for row in last if row["article"].startswith("A0")]
    assert all(row["category"].count(" > ") == 2 for row in good)
    assert {row["department"] for row in good} == {"electronics", "home"}
    assert any('"' in row["text"] and "," in row["text"] for row in good)
    assert [row["article"] for row in last if row not in good] == ["", "A-TEST"]


def test_users_files_hold_changes(root: Path) -> None:
    opening = rows_of(root, "2025-03-01/users.csv.gz")
    assert len({row["customer"] for row in opening}) == 300
    assert [row["age"] for row in opening if row["customer"] == "C000001"][1] == "999"
    assert not (root / "raw" / "2025-03-02" / "users.csv.gz").exists()
    newcomers = {row["customer"] for row in rows_of(root, "2025-03-08/users.csv.gz")}
    assert newcomers >= {"C000301", "C000302", "C000303"}
    assert len(newcomers) < 30


def test_events_lie_within_their_day(root: Path) -> None:
    times = [row["time"] for row in rows_of(root, f"{LAST}/events.csv.gz") if not is_dirty(row)]
    assert {time[:10] for time in times} == {LAST}


def test_pictures_differ_by_colour_and_group(root: Path) -> None:
    items = [row for row in rows_of(root, f"{LAST}/items.csv.gz") if row["picture"]]
    by_looks: dict[tuple[str, ...], bytes] = {}
    for row in items:
        with Image.open(root / row["picture"]) as image:
            assert image.size == (64, 64)
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "BMP")
        looks = (row["category"], row["brand"], row["name"].rpartition(", ")[2].split()[0])
        assert by_looks.setdefault(looks, buffer.getvalue()) == buffer.getvalue()
    assert len(set(by_looks.values())) == len(by_looks)


def test_the_program_takes_a_small_world_from_its_flags(tmp_path: Path) -> None:
    flags = ["--num-users", "50", "--num-items", "60", "--first-day", "2025-06-01", "--seed", "3"]
    main(["--ds", "2025-06-02", "--shop", "demo", "--root", str(tmp_path), *flags])
    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == [
        "2025-06-01",
        "2025-06-02",
        "pictures",
        "world.json",
    ]
    config = replace(WorldConfig(), num_users=50, num_items=60, first_day=date(2025, 6, 1), seed=3)
    assert write_drops(str(tmp_path), config, "2025-06-02") == 0


def test_another_shop_is_not_filled_with_demo_drops(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="online_retail reads drops of its own"):
        main(["--ds", "2025-06-02", "--shop", "online_retail", "--root", str(tmp_path)])


def test_a_world_that_cannot_be_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="`num_users` must be at least 12"):
        main(["--ds", "2025-06-02", "--shop", "demo", "--root", str(tmp_path), "--num-users", "1"])
