"""What becomes of damaged drops and damaged shop files?

Drops: a day of thirty events in each format, damaged by a seed (bytes cut, put in, overwritten, repeated), read as
`jobs.ingest` reads it. `traces` counts the files over which a reader fails by anything but a sentence; `lost_rows` the
lines of text that are still whole and are in no accepted event, no rejected row and no refused file; `published` the
drops that lose one and would be taken in. Shop files: those that ship, damaged; `traces` counts those that are refused
by anything but one line with their name.

    python -m tests.benchmarks.own_shops malformed
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from expectations.runtime.spark_session import session_from_environment
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop, load_shop
from expectations.shop.toml_settings import SettingsError
from jobs.raw.dropped_files import dropped_file
from jobs.raw.events import validated_events
from jobs.raw.ingest_plan import required_columns
from jobs.raw.raw_rows import read_raw_rows, rows_of_file
from jobs.raw.reading.cells import UNREADABLE_FILE
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS
from tests.worlds.odd_shops.damaged_files import DAMAGES, FILES, ROWS, Damage, damaged
from tests.worlds.odd_shops.damaged_shop_files import SHIPPED, Choose, damaged_shop_file
from tests.worlds.read_raw_file import MAPPING

NAME, DROPS, SHOP_FILES = "own_shops", "malformed drops", "malformed shop files"
FIRST_DAY = date(2024, 3, 9)


def shop_of(file_format: str) -> Shop:
    """The shop that reads such files."""
    events = replace(MAPPING, path="{ds}", format=file_format, constants={"event_type": "purchase"})
    return Shop(name="damaged", events=events)


def damages(rng: np.random.Generator) -> list[Damage]:
    """One to four damages."""
    return [
        (DAMAGES[rng.integers(len(DAMAGES))], int(rng.integers(10_000)), rng.bytes(int(rng.integers(7))))
        for _ in range(rng.integers(1, 5))
    ]


def drops_row(spark: SparkSession, folder: Path, num_drops: int, rng: np.random.Generator) -> dict[str, Any]:
    """Reads damaged drops, so many of each format."""
    traces = lost = published = 0
    for file_format, whole in FILES:
        shop, content = shop_of(file_format), whole()
        of_format = folder / f"{file_format}-{whole.__name__}"
        of_format.mkdir()
        paths = []
        for number in range(num_drops):
            path = of_format / (FIRST_DAY + timedelta(days=number)).isoformat()
            path.write_bytes(damaged(content, damages(rng)))
            if _is_read(path, shop.events):
                paths.append(path)
            else:
                traces += 1
        columns = required_columns(shop)["events"]
        files = [dropped_file("events", path.name, str(path)) for path in paths]
        judged = validated_events({"events": read_raw_rows(spark, shop.events, files, columns)}, shop, 1)
        lost_of_drops = _lost_rows(judged, paths) if whole.__name__ == "as_csv" and file_format == "csv" else {}
        lost, published = lost + sum(lost_of_drops.values()), published + len(lost_of_drops)
        print(
            f"{file_format} {whole.__name__}: {num_drops} read, {judged.count()} rows, lost {lost_of_drops}", flush=True
        )
    tried = num_drops * len(FILES)
    return {"tried": tried, "traces": traces, "lost_rows": lost, "published": published}


def _is_read(path: Path, raw: RawFile) -> bool:
    try:
        for _ in rows_of_file(str(path), path.name, "events", raw, sorted(raw.columns.values())):
            pass
    except Exception as err:
        print(f"{path}: {type(err).__name__}: {err}", flush=True)
        return False
    return True


def _lost_rows(judged: DataFrame, paths: Sequence[Path]) -> dict[str, int]:
    """Maps each drop that loses whole lines to how many."""
    told: dict[str, list[str]] = {path.name: [] for path in paths}
    for row in judged.select("ds", "user_id", "reason", "raw").collect():
        told[row["ds"]].append(f"{row['user_id']} {row['raw']}")
        if row["reason"] == UNREADABLE_FILE:
            told.pop(row["ds"])
    lost = {}
    for path in paths:
        whole = set(path.read_bytes().split(b"\n"))
        users = [row["customer"] for row in ROWS if ",".join(map(str, row.values())).encode() in whole]
        missing = [user for user in users if not any(user in text for text in told.get(path.name, [*users]))]
        if missing:
            lost[path.name] = len(missing)
    return lost


def shop_files_row(folder: Path, num_files: int, rng: np.random.Generator) -> dict[str, Any]:
    """Loads damaged shop files."""
    choose: Choose[Any] = lambda of: of[int(rng.integers(len(of)))]  # noqa: E731
    traces, path = 0, folder / "shop.toml"
    for _ in range(num_files):
        path.write_text(damaged_shop_file(choose(SHIPPED).read_text(), int(rng.integers(1, 4)), choose))
        try:
            load_shop(str(path))
        except SettingsError as err:
            traces += str(path) not in str(err) or "\n" in str(err)
        except Exception as err:
            print(f"{type(err).__name__}: {err}", flush=True)
            traces += 1
    return {"tried": num_files, "traces": traces}


def main(argv: Sequence[str] | None = None) -> None:
    """Damages, reads, counts, and replaces both rows of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drops", type=int, default=300, help="damaged drops of each way to write one (default 300)")
    parser.add_argument("--shop-files", type=int, default=2000, help="damaged shop files (default 2000)")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(arguments.seed)
    spark = session_from_environment("malformed")
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            DROPS: drops_row(spark, Path(folder), arguments.drops, rng),
            SHOP_FILES: shop_files_row(Path(folder), arguments.shop_files, rng),
        }
    for part, row in rows.items():
        result = record_part(NAME, part, [{"model": part, "ours": True, "source": OURS, **row}])
    print(result.text())


if __name__ == "__main__":
    main()
