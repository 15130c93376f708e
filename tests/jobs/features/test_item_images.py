"""Pictures of a catalogue as rows: which are taken over from an earlier day, and that nobody sees a difference."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pyspark.sql import SparkSession

from expectations.runtime.drops import DropFolder
from expectations.runtime.program import Night
from expectations.tables import ITEM_IMAGES, ITEMS, VOCABULARIES
from jobs.features.item_images import build_item_images
from tests.worlds.small_night import write_rows

SIZE = 4
PATHS = {
    "red": "red.png",
    "twin": "red.png",
    "torn": "torn.jpg",
    "gone": "gone.png",
    "away": "../red.png",
    "none": None,
}
INDEX = {item_id: index for index, item_id in enumerate(PATHS, start=2)}
RED_PIXELS = bytes([255, 0, 0]) * SIZE * SIZE


@pytest.fixture
def pictures(night: Night, tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(folder / "red.png")
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    return folder


def of_day(night: Night, ds: str, paths: dict[str, str | None] = PATHS, index: dict[str, int] = INDEX) -> Night:
    """A night whose catalogue names these pictures."""
    night = replace(night, ds=ds, shop=replace(night.shop, image_size=SIZE))
    write_rows(night, ITEMS, [{"item_id": item_id, "image_path": path} for item_id, path in paths.items()])
    numbered = [{"field": "item_id", "value": value, "index": place} for value, place in index.items()]
    write_rows(night, VOCABULARIES, numbered)
    return night


def built(spark: SparkSession, night: Night) -> list[dict[str, Any]]:
    drops = DropFolder(night.shop, night.lake.root, night.data)
    build_item_images(spark, night.lake, night.ds, drops, night.shop.image_size)
    return sorted(night.lake.read(ITEM_IMAGES, night.ds).drop("ds").to_pylist(), key=lambda row: row["item_index"])


def test_every_picture_that_is_named_has_a_row(spark: SparkSession, night: Night, pictures: Path) -> None:
    rows = built(spark, of_day(night, "2024-03-10"))
    times = {name: (pictures / name).stat() for name in ("red.png", "torn.jpg")}
    red, torn = (f"{name} {found.st_size} {found.st_mtime_ns}" for name, found in times.items())
    assert rows == [
        {"item_index": 2, "status": "decoded", "pixels": RED_PIXELS, "source": red},
        {"item_index": 3, "status": "decoded", "pixels": RED_PIXELS, "source": red},
        {"item_index": 4, "status": "unreadable", "pixels": None, "source": torn},
        {"item_index": 5, "status": "absent", "pixels": None, "source": "gone.png"},
        {"item_index": 6, "status": "absent", "pixels": None, "source": "../red.png"},
    ]


def test_a_file_that_did_not_change_is_not_decoded_again(spark: SparkSession, night: Night, pictures: Path) -> None:
    first = built(spark, of_day(night, "2024-03-09"))
    file = pictures / "red.png"
    found = file.stat()
    # Other bytes under the same size and time: only who opens the file can tell.
    file.write_bytes(bytes(found.st_size))
    os.utime(file, ns=(found.st_mtime_ns, found.st_mtime_ns))
    assert built(spark, of_day(night, "2024-03-10")) == first
    assert [row["status"] for row in built(spark, of_day(night, "2024-03-08"))][:2] == ["unreadable"] * 2


def test_rows_are_the_same_with_and_without_an_earlier_day(
    spark: SparkSession, night: Night, pictures: Path, other_code: Callable[[], None]
) -> None:
    built(spark, of_day(night, "2024-03-09", {"red": "red.png", "torn": "torn.jpg"}))
    # Items that are numbered anew, one more with the same file, and a file that came late.
    Image.new("RGB", (8, 8), (0, 0, 255)).save(pictures / "gone.png")
    later = of_day(night, "2024-03-10", index={item_id: 20 - place for item_id, place in INDEX.items()})
    with_cache = built(spark, later)
    other_code()
    assert built(spark, later) == with_cache
    assert [row["status"] for row in with_cache].count("decoded") == 3


def test_a_file_that_changed_is_decoded_again(spark: SparkSession, night: Night, pictures: Path) -> None:
    built(spark, of_day(night, "2024-03-09"))
    Image.new("RGB", (8, 8), (0, 0, 255)).save(pictures / "red.png")
    os.utime(pictures / "red.png", ns=(1, 1))
    assert built(spark, of_day(night, "2024-03-10"))[0]["pixels"] == bytes([0, 0, 255]) * SIZE * SIZE


def test_a_catalogue_without_pictures_has_no_rows(spark: SparkSession, night: Night, pictures: Path) -> None:
    assert built(spark, of_day(night, "2024-03-10", {"no": None})) == []
