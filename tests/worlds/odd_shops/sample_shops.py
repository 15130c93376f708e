"""Small shops whose exports are odd in one way each: what becomes of them, beside what should.

They lie beside the real data, one folder each: a shop file, a drop, the right value in words, and `case.json` with
the day and what cuts the log into days, where it comes as one file. `sample_shops.json` holds the right values as rows:
accepted events, rejected rows by reason, and the catalogue where the shop has a file of one; or the words of the
refusal. Some say in `say` what their shop file has to say besides.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.presets import laid_over
from expectations.shop.shop import Shop, load_shop, with_several_events
from expectations.shop.toml_settings import settings_from_mapping
from expectations.tables import NightError
from jobs.raw.drop_readiness import require_drop
from jobs.raw.ingest_plan import days_to_ingest
from jobs.raw.judged_drops import checked_counts, validated_drops
from jobs.split_days import MadeDays, split_days

RIGHT = Path(__file__).with_suffix(".json")
MOST_ROWS = 12
"""Of a kind, that are compared one by one; of more, the number is."""
_AFTERWARDS = datetime(2100, 1, 1, tzinfo=timezone.utc)
_EVENT = ("event_time", "user_id", "item_id", "event_type", "quantity", "price", "session_id")
_ITEM = ("item_id", "title", "category", "brand", "price", "is_available")

Outcome = dict[str, Any]


def folder_of_samples(real_data: Path) -> Path:
    """Returns where the shops lie."""
    return real_data.resolve().parent / "cases" / "files"


def right_values() -> dict[str, Outcome]:
    """Maps the name of each shop to what should become of it."""
    return dict(json.loads(RIGHT.read_text(encoding="utf-8")))


def is_right(found: Outcome, right: Outcome) -> bool:
    """Whether what came of a sample is what should; of a refusal, a part of its words is given."""
    if "refused" in right:
        return right["refused"] in found.get("refused", "")
    return found == {name: value for name, value in right.items() if name != "say"}


def outcome(spark: SparkSession, sample: Path, root: Path, say: Mapping[str, Any]) -> Outcome:
    """Reads and judges the drop of a sample as a first night would, and tells what came of it.

    Args:
        say: what the sample's shop file would have to say besides, where no program can tell by itself.

    Raises:
        Exception: whatever a night does not foresee; a refusal is an outcome.
    """
    case = json.loads((sample / "case.json").read_text(encoding="utf-8"))
    try:
        night = Night(Lake(str(root)), str(sample), _shop(sample, say), case["ds"], "sample", _AFTERWARDS)
        if "split" in case:
            _split(spark, night, sample, case["split"])
        require_drop(night.drop_folder, night.ds, night.now)
        return _judged(spark, night)
    except NightError as err:
        return {"refused": str(err).replace(str(sample), "").replace(str(root), "")}


def _shop(sample: Path, say: Mapping[str, Any]) -> Shop:
    path = sample / "shop.toml"
    if not say:
        return load_shop(str(path))
    values = with_several_events(laid_over(tomllib.loads(path.read_text(encoding="utf-8")), say), str(path))
    return settings_from_mapping(Shop, {**values, "folder": str(sample)}, str(path))


def _split(spark: SparkSession, night: Night, sample: Path, flags: list[str]) -> None:
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    made = MadeDays(given["--order-column"], given["--last-day"]) if "--order-column" in given else None
    items = sample / given["--items"] if "--items" in given else None
    split_days(spark, night, sample / given["--log"], items, made)


def _judged(spark: SparkSession, night: Night) -> Outcome:
    plans = days_to_ingest(spark, night.lake, night.ds, night.drop_folder)
    with validated_drops(spark, night.lake, plans, night.shop) as validated:
        counts = checked_counts(spark, night.lake, plans, validated, night.shop)
        accepted = {source: rows.where("reason is null").collect() for source, rows in validated.items()}
    reasons: Counter[str] = Counter()
    for by_day in counts.values():
        for count in by_day.values():
            reasons.update(count.rejected)
    events = accepted["events"]
    found: Outcome = {"events": len(events), "rejected": dict(sorted(reasons.items()))}
    rows = sorted(([_plain(row[name]) for name in _EVENT] for row in events), key=str)
    found["rows"] = rows if len(rows) <= MOST_ROWS else rows[:3]
    found["users"], found["items"] = (len({row[name] for row in events}) for name in ("user_id", "item_id"))
    if "items" in accepted:
        catalogue = sorted(([_plain(row[name]) for name in _ITEM] for row in accepted["items"]), key=str)
        found["catalogue"] = catalogue[:MOST_ROWS]
    return found


def _plain(value: Any) -> Any:
    # Spark gives times in the zone of this machine.
    return str(value.astimezone(timezone.utc).replace(tzinfo=None)) if isinstance(value, datetime) else value
