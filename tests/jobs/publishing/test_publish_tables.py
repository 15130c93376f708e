"""What readers see while nights publish, meet each other, and die."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from expectations.checks.published_tables import min_listed_rows
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, pinned_night
from expectations.runtime.published_tables import published_table
from expectations.semantics.published_tables import output_tables
from expectations.shop.shop import Publish
from expectations.tables import (
    CROSS_DOMAIN_RECOMMENDATIONS,
    NEW_ITEM_AUDIENCES,
    OUTPUT_TABLES,
    RUN_MANIFEST,
    SIMILAR_ITEMS,
    TABLES,
    USER_RECOMMENDATIONS,
    NightError,
    Table,
)
from jobs.publish_tables import publish_tables, publish_versions
from jobs.publishing import delta_commit
from jobs.publishing.delta_commit import commit_partitions, files_of
from tests.worlds.plain_reader import is_mixed, latest_marks, named_marks
from tests.worlds.small_night import write_gate
from tests.worlds.staged_night import (
    forget_versions,
    published_items,
    recommendation,
    similar,
    stage_marked,
    stage_night,
    stage_rows,
)

EARLIER = "2024-03-09"
OF_ONE_DOMAIN = [TABLES[name] for name in OUTPUT_TABLES if name != CROSS_DOMAIN_RECOMMENDATIONS.name]


def versions_of(night: Night) -> list[int]:
    tables = (*output_tables(night.lake, night.ds), RUN_MANIFEST)
    return [DeltaTable(night.lake.table_path(table)).version() for table in tables]


def tables_of(night: Night) -> str:
    return f"{night.lake.root}/tables"


def marks_of(night: Night) -> set[frozenset[str]]:
    return set(map(frozenset, named_marks(tables_of(night), night.ds).values()))


def manifest_of(night: Night) -> dict[str, dict[str, Any]]:
    rows = DeltaTable(night.lake.table_path(RUN_MANIFEST)).to_pyarrow_table(filters=[("ds", "=", night.ds)]).to_pylist()
    return {row["table_name"]: row for row in rows}


def test_staged_tables_are_unseen_until_they_are_published(night: Night) -> None:
    stage_night(night, "item-2", "item-3")
    assert not DeltaTable.is_deltatable(night.lake.table_path(USER_RECOMMENDATIONS))
    publish_tables(night)
    assert published_items(night) == ["item-2", "item-3"]


def test_a_table_that_was_not_validated_stops_them_all(night: Night) -> None:
    stage_night(night, "item-2")
    stage_rows(night, SIMILAR_ITEMS, [], is_validated=False)
    with pytest.raises(NightError, match="similar_items ds=2024-03-10: only tables that passed"):
        publish_tables(night)
    assert not DeltaTable.is_deltatable(night.lake.table_path(USER_RECOMMENDATIONS))


def test_of_two_runs_of_a_day_each_publishes_what_it_validated_itself(night: Night) -> None:
    runs = [pinned_night(replace(night, run_id=run_id)) for run_id in ("first", "second")]
    for run, item in zip(runs, ("item-3", "item-4"), strict=True):
        stage_night(run, item)
    for run, item in zip((*runs, *runs), ("item-3", "item-4") * 2, strict=True):
        publish_tables(run)
        assert published_items(run) == [item]


def test_what_another_run_validated_counts_for_that_run_alone(night: Night) -> None:
    first, second = (pinned_night(replace(night, run_id=run_id)) for run_id in ("first", "second"))
    stage_night(first, "item-3")
    of_first = first.lake.require(SIMILAR_ITEMS, night.ds)
    assert second.lake.reuse(SIMILAR_ITEMS, night.ds, of_first.fingerprint) == of_first
    assert first.lake.is_validated(SIMILAR_ITEMS, night.ds)
    assert not second.lake.is_validated(SIMILAR_ITEMS, night.ds)


def test_later_nights_look_at_the_mark_of_the_run_that_built_last(night: Night) -> None:
    first, second = (pinned_night(replace(night, run_id=run_id)) for run_id in ("first", "second"))
    versions = {
        run.run_id: stage_rows(run, SIMILAR_ITEMS, [similar(item, 1, "item-9")], is_validated=False)
        for run, item in ((first, "item-3"), (second, "item-4"))
    }
    second.lake.note_validated(SIMILAR_ITEMS, night.ds, versions["second"])
    first.lake.note_validated(SIMILAR_ITEMS, night.ds, versions["first"])
    assert all(of.lake.is_validated(SIMILAR_ITEMS, night.ds) for of in (first, second, night))


def test_publishing_twice_makes_no_new_version(night: Night) -> None:
    stage_night(night, "item-2")
    publish_tables(night)
    before = versions_of(night)
    publish_tables(replace(night, run_id="again", now=datetime(2024, 3, 11, 9, tzinfo=timezone.utc)))
    assert versions_of(night) == before


def test_a_rebuilt_partition_replaces_its_own_and_no_other(night: Night) -> None:
    publish_tables(stage_night(night, "item-2", ds=EARLIER))
    publish_tables(stage_night(night, "item-3"))
    publish_tables(stage_night(night, "item-4", "item-5"))
    assert published_items(night, EARLIER) == ["item-2"]
    assert published_items(night) == ["item-4", "item-5"]


@pytest.mark.parametrize("num_commits", range(5))
def test_a_night_killed_before_the_manifest_is_unseen_by_who_goes_by_it_and_is_finished_by_a_rerun(
    night: Night, monkeypatch: pytest.MonkeyPatch, num_commits: int
) -> None:
    stage_marked(night, "first")
    publish_tables(night)
    stage_marked(night, "second")
    replace_partitions = delta_commit._replace_partitions
    done: list[str] = []

    def killed(*arguments: Any) -> None:
        if len(done) == num_commits:
            raise KeyboardInterrupt
        replace_partitions(*arguments)
        done.append("ours")

    with monkeypatch.context() as patched:
        patched.setattr(delta_commit, "_replace_partitions", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_tables(night)
    before = versions_of(night)
    assert marks_of(night) == {frozenset({"first"})}
    publish_tables(night)
    assert marks_of(night) == {frozenset({"second"})}
    assert sum(versions_of(night)) - sum(before) == 5 - num_commits


@pytest.mark.parametrize(("rival_ds", "earlier_item"), [(EARLIER, "item-6"), ("2024-03-10", "item-2")])
def test_a_commit_that_met_another_starts_from_the_new_table(
    night: Night, monkeypatch: pytest.MonkeyPatch, rival_ds: str, earlier_item: str
) -> None:
    publish_tables(stage_night(night, "item-2", ds=EARLIER))
    replace_partitions = delta_commit._replace_partitions
    rival = [
        stage_rows(replace(night, ds=rival_ds), USER_RECOMMENDATIONS, [recommendation("user-2", 1, "item-6", 1.0)])
    ]
    stage_night(night, "item-3")

    def beaten(*arguments: Any) -> None:
        # Between our look at the table and our commit, another program commits.
        while rival:
            files = files_of(night.lake, USER_RECOMMENDATIONS, rival.pop())
            commit_partitions(night.lake, USER_RECOMMENDATIONS, {rival_ds: files}, {})
        replace_partitions(*arguments)

    monkeypatch.setattr(delta_commit, "_replace_partitions", beaten)
    publish_tables(night)
    assert published_items(night, EARLIER) == [earlier_item]
    assert published_items(night) == ["item-3"]


def test_programs_that_publish_one_new_day_at_once_leave_one_of_them_whole(night: Night) -> None:
    earlier = replace(night, ds=EARLIER)
    publish_versions(earlier, stage_marked(earlier, "earlier"))
    rivals = [stage_marked(night, f"rival-{place}") for place in range(3)]
    threads = [threading.Thread(target=publish_versions, args=(night, staged)) for staged in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    named = named_marks(tables_of(night), night.ds)
    assert len(named) == len(OF_ONE_DOMAIN) and not is_mixed(named)
    assert latest_marks(tables_of(night), night.ds, list(named)) == named
    assert named_marks(tables_of(night), EARLIER) == {name: {"earlier"} for name in named}


@pytest.mark.parametrize("num_commits", range(5))
def test_who_meets_another_publish_of_the_same_night_puts_all_of_its_own_tables_in_place(
    night: Night, monkeypatch: pytest.MonkeyPatch, num_commits: int
) -> None:
    rival, ours = stage_marked(night, "rival"), stage_marked(night, "ours")
    replace_partitions = delta_commit._replace_partitions
    done: list[str] = []

    def met(*arguments: Any) -> None:
        if len(done) == num_commits:
            done.append("rival")
            publish_versions(night, rival)
        replace_partitions(*arguments)
        done.append("ours")

    monkeypatch.setattr(delta_commit, "_replace_partitions", met)
    publish_versions(night, ours)
    named = named_marks(tables_of(night), night.ds)
    assert named == {name: {"ours"} for name in named} == latest_marks(tables_of(night), night.ds, list(named))


def test_a_commit_gives_up_after_a_few_attempts(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_tables(stage_night(night, "item-2"))
    stage_night(night, "item-3")

    def always_beaten(*arguments: object) -> None:
        raise delta_commit.CommitFailedError("version taken")

    monkeypatch.setattr(delta_commit, "_replace_partitions", always_beaten)
    monkeypatch.setattr(delta_commit, "FIRST_PAUSE_SECONDS", 0.0)
    with pytest.raises(NightError, match="8 commits met commits of other programs"):
        publish_tables(night)
    assert published_items(night) == ["item-2"]


def test_the_manifest_tells_what_each_table_rests_on(night: Night) -> None:
    stage_night(night, "item-2", "item-3")
    rows = [
        recommendation("user-2", 1, "item-2", 0.5),
        recommendation("user-2", 2, "item-3", 0.4, is_fallback=True, source="recent_demand"),
        recommendation("user-3", 1, "item-2", 0.3),
        recommendation("user-3", 2, "item-4", 0.2),
    ]
    stage_rows(night, USER_RECOMMENDATIONS, rows)
    publish_tables(night)
    manifest = manifest_of(night)
    assert set(manifest) == {table.name for table in output_tables(night.lake, night.ds)}
    row = manifest["user_recommendations"]
    told = {key: row[key] for key in ("status", "rows", "users", "fallback_share", "vocabulary_hash", "run_id")}
    assert told == {
        "status": "published",
        "rows": 4,
        "users": 2,
        "fallback_share": 0.25,
        "vocabulary_hash": "hash",
        "run_id": "test",
    }
    metrics = json.loads(row["metrics"])
    assert metrics["gate"]["published_model"] == "two_tower"
    assert metrics["table"]["coverage"] == 0.6  # items 2, 3 and 4 of the five that are available
    assert metrics["table"]["sources"] == {"two_tower": 3, "recent_demand": 1}


def test_a_root_that_was_moved_publishes_and_checks_as_before(night: Night, tmp_path: Path) -> None:
    publish_tables(stage_night(night, "item-2", ds=EARLIER))
    before = versions_of(replace(night, ds=EARLIER))
    stage_night(night, "item-3")
    shutil.move(night.lake.root, tmp_path / "elsewhere")
    moved = replace(night, lake=Lake(str(tmp_path / "elsewhere")))
    publish_tables(replace(moved, ds=EARLIER))
    assert versions_of(replace(moved, ds=EARLIER)) == before, "nothing had to be committed again"
    publish_tables(moved)
    assert (published_items(moved, EARLIER), published_items(moved)) == (["item-2"], ["item-3"])
    # The guard on the size of lists still finds the day before.
    assert min_listed_rows(moved.lake, USER_RECOMMENDATIONS, moved.ds, moved.shop) == 1
    many = [recommendation("user-2", rank, f"item-{rank}", 1.0 / rank) for rank in range(1, 5)]
    stage_rows(replace(moved, ds=EARLIER), USER_RECOMMENDATIONS, many)
    assert min_listed_rows(moved.lake, USER_RECOMMENDATIONS, moved.ds, moved.shop) == 2


def test_a_fallback_night_is_called_so_in_the_manifest(night: Night) -> None:
    stage_night(night, "item-2")
    write_gate(night, published_model="recent_demand", is_fallback=True)
    publish_tables(night)
    assert {row["status"] for row in manifest_of(night).values()} == {"fallback"}


def test_the_manifest_tells_the_settings_that_the_tables_were_made_under(night: Night) -> None:
    """And not those that the shop file has come to say by the time of publishing."""
    publish_tables(stage_night(night, "item-2"))
    before = manifest_of(night)["user_recommendations"]["input_fingerprint"]
    edited = replace(night, shop=replace(night.shop, seed=2))
    publish_tables(edited)
    assert manifest_of(night)["user_recommendations"]["input_fingerprint"] == before
    publish_tables(stage_night(edited, "item-2"))
    assert manifest_of(night)["user_recommendations"]["input_fingerprint"] != before


def test_the_log_lets_readers_skip_files(night: Night) -> None:
    publish_tables(stage_night(night, "item-2", "item-3"))
    actions = DeltaTable(night.lake.table_path(USER_RECOMMENDATIONS)).get_add_actions(flatten=True)
    bounds = [actions[name][0].as_py() for name in ("num_records", "min.user_id", "max.user_id", "max.rank")]
    assert bounds == [2, "user-2", "user-2", 2]


@pytest.mark.parametrize("table", [*OF_ONE_DOMAIN, RUN_MANIFEST], ids=lambda table: table.name)
def test_readers_who_filter_by_any_column_find_the_rows(night: Night, table: Table) -> None:
    publish_tables(stage_night(night, "item-2"))
    published = DeltaTable(night.lake.table_path(table)).to_pyarrow_dataset()
    row = published.to_table().slice(0, 1)
    flat = [c.name for c in table.columns if not c.type.startswith("array") and row[c.name][0].is_valid]
    found = {name: published.to_table(filter=pc.field(name) == row[name][0]).num_rows > 0 for name in flat}
    assert [name for name, is_found in found.items() if not is_found] == []


def test_a_night_without_a_new_item_publishes_an_empty_partition_in_place_of_the_one_before(night: Night) -> None:
    publish_tables(stage_night(night, "item-2", ds=EARLIER))
    publish_tables(stage_night(night, "item-2"))
    stage_night(night, "item-3")
    stage_rows(night, NEW_ITEM_AUDIENCES, [])
    publish_tables(night)
    published = DeltaTable(night.lake.table_path(NEW_ITEM_AUDIENCES)).to_pyarrow_table()
    assert published["ds"].to_pylist() == [EARLIER]
    row = manifest_of(night)["new_item_audiences"]
    assert (row["rows"], row["users"], json.loads(row["metrics"])["table"]["coverage"]) == (0, 0, 0.0)
    before = versions_of(night)
    publish_tables(night)
    assert versions_of(night) == before


def drift_of(night: Night) -> dict[str, Any]:
    drift: dict[str, Any] = json.loads(manifest_of(night)[USER_RECOMMENDATIONS.name]["metrics"])["table"]["drift"]
    return drift


def test_the_manifest_tells_how_lists_stand_beside_the_day_before(night: Night) -> None:
    publish_tables(stage_night(night, "item-2", "item-3", ds=EARLIER))
    publish_tables(stage_night(night, "item-3", "item-4"))
    assert drift_of(replace(night, ds=EARLIER))["compared_with"] is None
    drift = drift_of(night)
    assert (drift["compared_with"], drift["overlap"]) == (EARLIER, 0.5)
    assert (drift["scores"]["lowest"], drift["scores"]["highest"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ({"min_overlap": 0.6}, "`publish.min_overlap` .* Received: 0.500 with ds=2024-03-09, where 0.6 is the bound"),
        ({"min_coverage": 1.0}, "`publish.min_coverage` .* where 1.0 is the bound"),
        ({"max_fallback_share": 0.4}, "`publish.max_fallback_share` .* Received: 0.500, where 0.4 is the bound"),
    ],
)
def test_lists_that_the_shop_did_not_expect_are_not_published(night: Night, bound: dict[str, float], told: str) -> None:
    publish_tables(stage_night(night, "item-2", "item-3", ds=EARLIER))
    stage_night(night, "item-3", "item-4")
    rows = [recommendation("user-2", rank, f"item-{rank + 2}", 1.0 / rank, is_fallback=rank == 2) for rank in (1, 2)]
    stage_rows(night, USER_RECOMMENDATIONS, rows)
    with pytest.raises(NightError, match=told):
        publish_tables(replace(night, shop=replace(night.shop, publish=Publish(**bound))))
    assert published_items(night) == []
    publish_tables(night)
    assert published_items(night) == ["item-3", "item-4"]


def test_lists_that_were_published_before_there_were_propensities_stay_readable(night: Night) -> None:
    columns = tuple(column for column in USER_RECOMMENDATIONS.columns if column.name != "propensity")
    before = replace(USER_RECOMMENDATIONS, columns=columns)
    row = recommendation("user-2", 1, "item-4", 1.0)
    del row["propensity"]
    earlier = replace(night, ds=EARLIER)
    files = files_of(night.lake, before, stage_rows(earlier, before, [row]))
    commit_partitions(night.lake, before, {EARLIER: files}, {})
    stage_night(night, "item-2")
    publish_tables(night)
    assert published_items(night, EARLIER) == ["item-4"]
    rows = DeltaTable(night.lake.table_path(USER_RECOMMENDATIONS)).to_pyarrow_table().sort_by("ds")
    assert rows["propensity"].to_pylist() == [None, 1.0]


def test_nights_that_were_published_before_the_manifest_named_versions_stay_readable(night: Night) -> None:
    publish_tables(stage_night(night, "item-2", ds=EARLIER))
    forget_versions(night.lake)
    publish_tables(stage_night(night, "item-3"))
    manifest = DeltaTable(night.lake.table_path(RUN_MANIFEST))
    named = {(row["ds"], row["table_version"]) for row in manifest.to_pyarrow_table().to_pylist()}
    assert named == {(EARLIER, None), (night.ds, 2)}
    assert manifest.metadata().configuration == delta_commit.PROPERTIES
    tables = {ds: published_table(night.lake, USER_RECOMMENDATIONS, ds) for ds in (EARLIER, night.ds, "2024-03-11")}
    assert {ds: table and table.version() for ds, table in tables.items()} == {
        EARLIER: 2,
        night.ds: 2,
        "2024-03-11": None,
    }


def test_no_later_commit_takes_away_the_version_that_a_manifest_names(night: Night) -> None:
    stage_marked(night, "earlier")
    publish_tables(night)
    # Delta would drop entries older than its retention whenever it writes a checkpoint: here, at once.
    eager = {"delta.logRetentionDuration": "interval 0 seconds", "delta.checkpointInterval": "1"}
    for name in named_marks(tables_of(night), night.ds):
        DeltaTable(f"{tables_of(night)}/{name}").alter.set_table_properties(eager)
    for day in ("2024-03-11", "2024-03-12"):
        publish_tables(stage_night(night, "item-3", ds=day))
    assert marks_of(night) == {frozenset({"earlier"})}
