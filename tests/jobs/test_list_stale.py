"""Which published days rest on older inputs, and the line that builds them again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from itertools import permutations
from pathlib import Path

import pytest

from expectations.runtime.drops import DropFolder
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, pinned_night
from expectations.runtime.published_tables import manifest_rows
from expectations.semantics.champions import champion_of, published_decision
from expectations.tables import EVENTS, OUTPUT_TABLES, RUN_MANIFEST, USER_RECOMMENDATIONS
from jobs.list_stale import StaleDay, main, staleness, staleness_text
from jobs.publish_tables import publish_tables
from jobs.publishing.manifest_history import Scope
from jobs.publishing.rollback import roll_back
from jobs.raw.dropped_files import sha256_of
from jobs.raw.ingest_plan import DropsOnDisk
from tests.worlds.raw_drops import write_drop
from tests.worlds.small_night import new_night, write_gate, write_rows, write_small_night
from tests.worlds.staged_night import stage_tables

DAYS = ("2024-03-07", "2024-03-08", "2024-03-10")


def drop(night: Night, ds: str, text: str = "ann,lamp\n") -> Path:
    return write_drop(night.data, f"{ds}.csv", f"time,customer,article\n{ds},{text}")


def take_in(night: Night, ds: str, fingerprint: str = "a fingerprint") -> None:
    """Commits events with what `jobs.ingest` notes of the drop that lies there."""
    version = write_rows(night, EVENTS, [{"user_id": "ann"}], ds)
    drops = DropFolder(night.shop, night.lake.root, night.data)
    found = DropsOnDisk(night.lake, drops, [ds]).now(ds)
    files = [replace(file, sha256=sha256_of(file.path)).metadata for file in found]
    night.lake.commit(EVENTS, ds, version.path, fingerprint, version.rows, files=files)


def stage(night: Night, ds: str) -> Night:
    """The night of `ds`, all but published."""
    of_day = replace(night, ds=ds)
    write_small_night(of_day)
    take_in(of_day, ds)
    stage_tables(of_day, "item-2")
    return of_day


def publish(night: Night, ds: str) -> None:
    publish_tables(stage(night, ds))


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Three published days; the shop was closed on the day between."""
    folder = tmp_path_factory.mktemp("three_days")
    night = new_night(folder / "root")
    columns = {"event_time": "time", "user_id": "customer", "item_id": "article"}
    shop = replace(night.shop, events=replace(night.shop.events, columns=columns))
    night = replace(night, data=str(folder / "drops"), shop=shop)
    for ds in DAYS:
        drop(night, ds)
        publish(night, ds)
    return night


@pytest.fixture
def published(three_days: Night, tmp_path: Path) -> Night:
    """A copy of the three days."""
    shutil.copytree(Path(three_days.data).parent, tmp_path, dirs_exist_ok=True)
    return replace(three_days, lake=Lake(str(tmp_path / "root")), data=str(tmp_path / "drops"))


def stale_days(night: Night) -> list[str]:
    return [day.ds for day in staleness(night).stale]


def test_nothing_is_stale_after_the_nights(published: Night) -> None:
    assert staleness_text(staleness(published), "corner") == "3 published days, none is stale"


def corrected(night: Night, ds: str) -> None:
    drop(night, ds, "robert,lamp\n")


def with_seed(night: Night, seed: int) -> Night:
    return replace(night, shop=replace(night.shop, seed=seed))


def corrected_while_it_trains(night: Night) -> None:
    """Another run takes in the correction between this night's features and its publishing."""
    of_day = stage(night, DAYS[1])
    corrected(night, DAYS[1])
    take_in(night, DAYS[1], "corrected")
    publish_tables(of_day)


def edited_before_publishing(night: Night) -> Night:
    publish_tables(with_seed(stage(night, DAYS[1]), 2))
    return with_seed(night, 2)


def edited_before_publishing_and_edited_back(night: Night) -> None:
    edited_before_publishing(night)


def tables_of_two_states(night: Night) -> None:
    """The lists of users are built before a correction, the others after it, by hand."""
    lists = stage(night, DAYS[2]).lake.require(USER_RECOMMENDATIONS, DAYS[2])
    corrected(night, DAYS[0])
    take_in(night, DAYS[0])
    of_day = stage(night, DAYS[2])
    of_day.lake.commit(USER_RECOMMENDATIONS, DAYS[2], lists.path, "before", lists.rows, **lists.metadata)
    of_day.lake.note_validated(USER_RECOMMENDATIONS, DAYS[2], of_day.lake.require(USER_RECOMMENDATIONS, DAYS[2]))
    publish_tables(of_day)


def corrected_and_built_again(night: Night, *days: str) -> None:
    corrected(night, DAYS[1])
    for ds in days:
        publish(night, ds)


def corrected_in_a_pinned_run(night: Night) -> None:
    """A run began, then another one took the correction in; the first one goes on to its end, features and all."""
    run = pinned_night(replace(night, ds=DAYS[2], run_id="scheduled"))
    write_small_night(run)
    take_in(night, DAYS[2])
    corrected(night, DAYS[0])
    take_in(night, DAYS[0], "corrected")
    stage_tables(run, "item-2")
    publish_tables(run)


def code_replaced_while_it_runs(night: Night) -> None:
    publish_tables(replace(stage(night, DAYS[2]), code="as it was"))


def cleared_away(night: Night) -> None:
    (Path(night.data) / f"{DAYS[0]}.csv").unlink()


def undone(night: Night) -> None:
    corrected(night, DAYS[1])
    take_in(night, DAYS[1], "corrected")
    drop(night, DAYS[1])
    take_in(night, DAYS[1])


def published_under_another_seed(night: Night, *days: str) -> Night:
    for ds in days:
        publish(with_seed(night, 2), ds)
    return with_seed(night, 2)


def corrected_and_taken_in(night: Night) -> None:
    corrected(night, DAYS[1])
    take_in(night, DAYS[1], "corrected")


def opened_on_a_closed_day(night: Night) -> None:
    drop(night, "2024-03-09")


def seeded_for_one_day(night: Night) -> None:
    published_under_another_seed(night, DAYS[0])


def corrected_and_seeded(night: Night) -> Night:
    corrected(night, DAYS[2])
    return with_seed(night, 2)


def corrected_twice(night: Night) -> None:
    """Built again after the first correction, not after the second."""
    corrected_and_built_again(night, *DAYS[1:])
    drop(night, DAYS[1], "cyd,lamp\n")


def moved(night: Night) -> Night:
    shop = night.shop
    events = replace(shop.events, path="{root}/../drops/{ds}.csv")
    drops, bounds = replace(shop.drops, wait_hours=1), replace(shop.publish, min_coverage=0.25)
    return replace(night, shop=replace(shop, events=events, drops=drops, publish=bounds))


STAYS = {"": "item_item", "item_item": "item_item", "two_tower": "two_tower"}
"""Champion -> whom the gate publishes where no gain is sure."""
WINS = dict.fromkeys(STAYS, "item_item")
"""One model surely beats all."""


def publish_by_gate(night: Night, ds: str, by_champion: Mapping[str, str]) -> None:
    of_day = stage(night, ds)
    champion = champion_of(published_models(night), ds)
    write_gate(of_day, by_champion[champion or ""], by_champion=by_champion)
    stage_tables(of_day, "item-2")
    publish_tables(of_day)


def published_models(night: Night) -> dict[str, str]:
    rows = manifest_rows(night.lake, columns=("ds", "table_name", "metrics"))
    return {row["ds"]: published_decision(row["metrics"])["published_model"] for row in rows}


def champion_replaced(night: Night, by_champion: Mapping[str, str] = STAYS) -> None:
    """Two nights follow the champion two_tower; then the first of them is built again, and another model wins."""
    publish_by_gate(night, DAYS[1], STAYS)
    publish_by_gate(night, DAYS[2], by_champion)
    publish_by_gate(night, DAYS[1], WINS)


def champion_replaced_and_followed(night: Night) -> None:
    champion_replaced(night)
    publish_by_gate(night, DAYS[2], STAYS)


DROPS, SETTINGS, CHAMPION, CODE = ("drops",), ("settings",), ("champion",), ("code",)
HISTORIES: dict[str, tuple[Callable[[Night], Night | None], dict[str, tuple[str, ...]]]] = {
    "nothing happened": (lambda night: None, {}),
    "a drop was cleared away after it was read": (cleared_away, {}),
    "the first drop was corrected": (lambda night: corrected(night, DAYS[0]), dict.fromkeys(DAYS, DROPS)),
    "the last drop was corrected": (lambda night: corrected(night, DAYS[2]), {DAYS[2]: DROPS}),
    "corrected, and taken in alone": (corrected_and_taken_in, dict.fromkeys(DAYS[1:], DROPS)),
    "corrected, and its day built again": (lambda n: corrected_and_built_again(n, DAYS[1]), {DAYS[2]: DROPS}),
    "corrected, and all later days built again": (lambda n: corrected_and_built_again(n, *DAYS[1:]), {}),
    "corrected, built again, corrected again": (corrected_twice, dict.fromkeys(DAYS[1:], DROPS)),
    "a correction was undone": (undone, {}),
    "corrected while the night trained": (corrected_while_it_trains, dict.fromkeys(DAYS[1:], DROPS)),
    "corrected while a pinned run went on": (corrected_in_a_pinned_run, dict.fromkeys(DAYS, DROPS)),
    "tables of two states of the log": (tables_of_two_states, dict.fromkeys(DAYS, DROPS)),
    "a day that seemed closed got a drop": (opened_on_a_closed_day, {DAYS[2]: DROPS}),
    "another seed": (lambda night: with_seed(night, 2), dict.fromkeys(DAYS, SETTINGS)),
    "another place of the drops and another bound": (moved, {}),
    "another seed, and one day built under it": (
        lambda night: published_under_another_seed(night, DAYS[0]),
        dict.fromkeys(DAYS[1:], SETTINGS),
    ),
    "another seed, all built under it": (lambda night: published_under_another_seed(night, *DAYS), {}),
    "another seed for one day, and back": (seeded_for_one_day, {DAYS[0]: SETTINGS}),
    "edited before publishing": (edited_before_publishing, dict.fromkeys(DAYS, SETTINGS)),
    "edited before publishing, and edited back": (edited_before_publishing_and_edited_back, {}),
    "another seed and a corrected drop": (
        corrected_and_seeded,
        {DAYS[0]: SETTINGS, DAYS[1]: SETTINGS, DAYS[2]: (*DROPS, *SETTINGS)},
    ),
    "another champion": (champion_replaced, {DAYS[2]: CHAMPION}),
    "another champion, and the next night built again": (champion_replaced_and_followed, {}),
    "another champion, who decides nothing": (lambda n: champion_replaced(n, dict.fromkeys(STAYS, "two_tower")), {}),
    "code replaced while the night ran": (code_replaced_while_it_runs, {DAYS[2]: CODE}),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_what_is_told_of_a_planted_history(published: Night, history: str) -> None:
    happen, expected = HISTORIES[history]
    found = staleness(happen(published) or published)
    assert {day.ds: day.reasons for day in (*found.stale, *found.of_other_code)} == expected


@pytest.mark.parametrize("order", permutations(DAYS), ids=" ".join)
def test_building_what_is_listed_ends_in_the_decisions_of_nights_in_order(
    published: Night, order: Sequence[str]
) -> None:
    """The gate lets the champion stay but on the first day, on which two_tower is sure."""
    gates = dict.fromkeys(DAYS, STAYS) | {DAYS[0]: dict.fromkeys(STAYS, "two_tower")}
    for table in (*OUTPUT_TABLES, RUN_MANIFEST.name):
        shutil.rmtree(Path(published.lake.root, "tables", table), ignore_errors=True)
    for ds in order:
        publish_by_gate(published, ds, gates[ds])
    for ds in stale_days(published):
        publish_by_gate(published, ds, gates[ds])
    assert stale_days(published) == []
    assert published_models(published) == dict.fromkeys(DAYS, "two_tower")


def test_nothing_published_is_nothing_stale(night: Night) -> None:
    assert staleness_text(staleness(night), "corner") == "0 published days, none is stale"


def test_days_of_other_code_are_listed_apart(published: Night, other_code: Callable[[], None]) -> None:
    os.utime(Path(published.data) / "2024-03-08.csv", (1_600_000_500, 1_600_000_500))
    other_code()
    take_in(published, "2024-03-07", "another fingerprint")
    found = staleness(published)
    assert (found.stale, found.of_other_code) == ((), tuple(StaleDay(ds, CODE) for ds in DAYS))
    lines = staleness_text(found, "corner").splitlines()
    assert lines[0] == "3 published days, none is stale"
    assert lines[2] == "3 rest on the same drops and settings, and were built by other code"
    assert "2024-03-07 … 2024-03-08: other code" in lines
    publish(published, DAYS[0])
    drop(published, DAYS[2], "robert,lamp\n")
    assert staleness(published).stale == (StaleDay(DAYS[2], ("drops", "code")),)


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
