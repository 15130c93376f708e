"""Tables go back to how they were, together, through what readers go by."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night
from expectations.semantics.published_tables import output_tables
from expectations.tables import NEW_ITEM_AUDIENCES, RUN_MANIFEST, SIMILAR_ITEMS, USER_RECOMMENDATIONS, NightError, Table
from jobs.publish_tables import publish_versions
from jobs.publishing import delta_commit
from jobs.publishing.manifest_history import Scope, version_meant
from jobs.publishing.rollback import roll_back
from jobs.rollback import main
from tests.worlds.plain_reader import latest_marks, named_marks
from tests.worlds.small_night import new_night
from tests.worlds.staged_night import forget_versions, stage_marked

EARLIER = "2024-03-09"
NOW = datetime(2024, 3, 12, 4, tzinfo=timezone.utc)


def publish(night: Night, mark: str, ds: str | None = None) -> None:
    """The n-th call makes version n of the manifest."""
    night = replace(night, ds=ds or night.ds)
    publish_versions(night, stage_marked(night, mark))


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Versions of the manifest: 1 is the earlier day, 2 the later day, 3 and 4 the later day again."""
    night = new_night(tmp_path_factory.mktemp("published") / "root")
    for mark, ds in (("earlier", EARLIER), ("first", None), ("second", None), ("third", None)):
        publish(night, mark, ds)
    return night


@pytest.fixture
def published(published_once: Night, tmp_path: Path) -> Night:
    """A copy of `published_once` for one test."""
    shutil.copytree(published_once.lake.root, tmp_path / "root")
    return replace(published_once, lake=Lake(str(tmp_path / "root")))


def staged(night: Night) -> dict[Table, Version]:
    return {table: night.lake.require(table, night.ds) for table in output_tables(night.lake, night.ds)}


def run(night: Night, *arguments: str) -> None:
    main(["--root", night.lake.root, *arguments])


def marks(night: Night, ds: str | None = None) -> dict[str, str]:
    """What both kinds of readers see: table name -> the mark of its rows."""
    tables, ds = f"{night.lake.root}/tables", ds or night.ds
    named = named_marks(tables, ds)
    latest = latest_marks(tables, ds, list(named))
    assert named == latest
    return {name: "".join(found) for name, found in named.items()}


def manifest(night: Night, ds: str | None = None) -> dict[str, dict[str, Any]]:
    rows = DeltaTable(night.lake.table_path(RUN_MANIFEST)).to_pyarrow_table(filters=[("ds", "=", ds or night.ds)])
    return {row["table_name"]: row for row in rows.to_pylist()}


def versions(night: Night) -> dict[str, int]:
    folders = sorted(Path(night.lake.root, "tables").iterdir())
    return {folder.name: DeltaTable(folder).version() for folder in folders}


def files(night: Night) -> dict[str, bytes]:
    root = Path(night.lake.root, "tables", USER_RECOMMENDATIONS.name)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.parquet"))}


def test_all_tables_of_a_night_go_back_together_and_no_other_night(published: Night) -> None:
    run(published, "--ds", published.ds, "--to", "night-before", "--apply")
    assert set(marks(published).values()) == {"second"}
    assert set(marks(published, EARLIER).values()) == {"earlier"}


def test_without_apply_it_is_told_what_would_change_and_nothing_changes(
    published: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    before = versions(published)
    run(published, "--ds", published.ds, "--to", "night-before")
    assert versions(published) == before
    printed = capsys.readouterr().out
    assert "to run_manifest version 3" in printed and "This was a dry run" in printed
    lines = re.findall(r"2024-03-10  (\w+) +(\d) → (\d) +(\d) → (\d)  the same", printed)
    assert ("user_recommendations", "4", "3", "2", "2") in lines and len(lines) == 4


def test_one_table_goes_back_alone(published: Night) -> None:
    run(published, "--table", "similar_items", "--ds", published.ds, "--to", "2", "--apply")
    found = marks(published)
    assert found.pop("similar_items") == "first"
    assert set(found.values()) == {"third"}
    statuses = {name: row["status"] for name, row in manifest(published).items()}
    assert {name for name, status in statuses.items() if status == "rolled_back"} == {"similar_items"}


def test_all_days_go_back_to_a_version_and_a_day_that_it_did_not_hold_goes(published: Night) -> None:
    publish(published, "earlier, again", EARLIER)
    run(published, "--all-days", "--to", "1", "--apply")
    assert set(marks(published, EARLIER).values()) == {"earlier"}
    assert marks(published) == {}
    assert DeltaTable(published.lake.table_path(USER_RECOMMENDATIONS)).to_pyarrow_table()[
        "ds"
    ].unique().to_pylist() == [EARLIER]


def test_all_days_to_the_night_before_takes_back_the_last_publish(published: Night) -> None:
    publish(published, "next", "2024-03-11")
    run(published, "--all-days", "--to", "night-before", "--apply")
    assert marks(published, "2024-03-11") == {}
    assert set(marks(published).values()) == {"third"}


def test_one_table_of_all_days_goes_back(published: Night) -> None:
    publish(published, "earlier, again", EARLIER)
    run(published, "--table", "similar_items", "--all-days", "--to", "2", "--apply")
    assert marks(published)["similar_items"] == "first" and marks(published)["user_recommendations"] == "third"
    assert marks(published, EARLIER)["similar_items"] == "earlier"


def test_a_time_means_the_last_version_up_to_then(published: Night) -> None:
    history = DeltaTable(published.lake.table_path(RUN_MANIFEST)).history()
    at = {commit["version"]: commit["timestamp"] / 1000 for commit in history}
    # A microsecond later, so that the time is not one of a whole second.
    elsewhere = datetime.fromtimestamp(at[3], tz=timezone(timedelta(hours=2))) + timedelta(microseconds=1)
    run(published, "--ds", published.ds, "--to", elsewhere.isoformat(), "--apply")
    assert set(marks(published).values()) == {"second"}
    in_utc = datetime.fromtimestamp(at[2], tz=timezone.utc).replace(tzinfo=None) + timedelta(microseconds=1)
    run(published, "--ds", published.ds, "--to", in_utc.isoformat(), "--apply")
    assert set(marks(published).values()) == {"first"}


def test_a_time_as_the_list_tells_it_means_the_version_that_was_committed_then(
    published: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    run(published)
    _, day, time = capsys.readouterr().out.splitlines()[1].split()[:3]
    assert version_meant(published.lake, f"{day}T{time}", Scope()) == 4


def test_no_file_is_written_anew(published: Night) -> None:
    before = files(published)
    run(published, "--ds", published.ds, "--to", "2", "--apply")
    assert files(published) == before


def test_the_manifest_says_what_was_rolled_back_when_and_by_whom(published: Night) -> None:
    before = manifest(published)["user_recommendations"]
    roll_back(published.lake, "3", Scope(ds=published.ds), "operator", NOW)
    row = manifest(published)["user_recommendations"]
    assert (row["status"], row["run_id"], row["table_version"]) == ("rolled_back", before["run_id"], 5)
    assert json.loads(row["rollback"]) == {
        "at": "2024-03-12T04:00:00+00:00",
        "run_id": "operator",
        "manifest_version": 3,
        "from_version": 4,
        "to_version": 3,
        "status": "published",
    }


def test_a_rollback_that_was_done_has_nothing_left_to_do(published: Night) -> None:
    run(published, "--ds", published.ds, "--to", "night-before", "--apply")
    before = versions(published)
    run(published, "--ds", published.ds, "--to", "night-before", "--apply")
    assert versions(published) == before


def test_a_rollback_can_be_taken_back_and_leaves_no_note_then(published: Night) -> None:
    run(published, "--ds", published.ds, "--to", "2", "--apply")
    run(published, "--ds", published.ds, "--to", "4", "--apply")
    assert set(marks(published).values()) == {"third"}
    assert {(row["status"], row["rollback"]) for row in manifest(published).values()} == {("published", None)}


def test_a_rerun_of_the_night_publishes_it_again(published: Night) -> None:
    run(published, "--ds", published.ds, "--to", "2", "--apply")
    publish_versions(published, staged(published))
    assert set(marks(published).values()) == {"third"}
    assert {row["status"] for row in manifest(published).values()} == {"published"}


def test_a_kill_before_the_manifest_leaves_readers_with_the_night_of_before(
    published: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_partitions = delta_commit._replace_partitions

    def killed(delta_table: DeltaTable, table: Any, *arguments: Any) -> None:
        if table is RUN_MANIFEST:
            raise KeyboardInterrupt
        replace_partitions(delta_table, table, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(delta_commit, "_replace_partitions", killed)
        with pytest.raises(KeyboardInterrupt):
            run(published, "--ds", published.ds, "--to", "2", "--apply")
    named = named_marks(f"{published.lake.root}/tables", published.ds)
    assert named == {name: {"third"} for name in named}
    run(published, "--ds", published.ds, "--to", "2", "--apply")
    assert set(marks(published).values()) == {"first"}


def test_going_back_to_what_the_manifest_names_repairs_a_publish_that_was_killed(
    published: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = stage_marked(published, "killed")[USER_RECOMMENDATIONS]
    there = {published.ds: delta_commit.files_of(published.lake, USER_RECOMMENDATIONS, staged)}
    delta_commit.commit_partitions(published.lake, USER_RECOMMENDATIONS, there, {})
    run(published, "--ds", published.ds, "--to", "4", "--apply")
    assert set(marks(published).values()) == {"third"}


def test_a_rollback_that_meets_a_publish_is_planned_anew(published: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_partitions, rivals = delta_commit._replace_partitions, ["rival"]

    def met(*arguments: Any) -> None:
        if arguments[1] is RUN_MANIFEST and rivals:
            publish(published, rivals.pop())
        replace_partitions(*arguments)

    monkeypatch.setattr(delta_commit, "_replace_partitions", met)
    run(published, "--table", "similar_items", "--ds", published.ds, "--to", "2", "--apply")
    found = marks(published)
    assert found.pop("similar_items") == "first"
    assert set(found.values()) == {"rival"}


def test_new_figures_beside_the_same_tables_are_no_night_of_their_own(published: Night) -> None:
    publish_versions(replace(published, code="as it was"), staged(published))
    assert DeltaTable(published.lake.table_path(RUN_MANIFEST)).version() == 5
    run(published, "--ds", published.ds, "--to", "night-before", "--apply")
    assert set(marks(published).values()) == {"second"}


def test_nights_of_releases_that_named_no_versions_can_be_gone_back_to(published: Night) -> None:
    forget_versions(published.lake)
    publish(published, "fourth")
    run(published, "--ds", published.ds, "--to", "night-before", "--apply")
    assert set(marks(published).values()) == {"third"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--ds", "2024-03-10", "--to", "9"], r"run_manifest has the versions 0 to 4\. Received: --to 9"),
        (["--ds", "2024-03-10", "--to", "1"], "run_manifest version 1 does not hold ds=2024-03-10"),
        (["--ds", "2024-03-12", "--to", "4"], "run_manifest version 4 does not hold ds=2024-03-12"),
        (["--all-days", "--to", "0"], "run_manifest version 0 does not hold any night"),
        (["--ds", EARLIER, "--to", "night-before"], "there is no night before; run_manifest version 1 was the first"),
        (["--ds", "2024-03-12", "--to", "night-before"], "No publish of 2024-03-12 is noted"),
        (["--ds", "2024-03-10", "--to", "2001-01-01"], "Nothing was published before 20"),
        (["--ds", "2024-03-10", "--to", "yesterday"], "Received: 'yesterday'"),
        (["--to", "3"], "No day was given"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_never_was_is_refused_in_one_line(
    published: Night, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.delenv("DS", raising=False)
    before = versions(published)
    with pytest.raises(NightError, match=told):
        run(published, *arguments, "--apply")
    assert versions(published) == before


def test_a_version_whose_files_were_vacuumed_is_refused(published: Night) -> None:
    table = DeltaTable(published.lake.table_path(NEW_ITEM_AUDIENCES))
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    before = versions(published)
    with pytest.raises(NightError, match="new_item_audiences ds=2024-03-10: 1 of the 1 files of then are gone"):
        run(published, "--ds", published.ds, "--to", "2", "--apply")
    assert versions(published) == before


def test_a_version_whose_log_is_gone_is_refused(published: Night) -> None:
    table = DeltaTable(published.lake.table_path(SIMILAR_ITEMS))
    table.create_checkpoint()
    Path(published.lake.table_path(SIMILAR_ITEMS), "_delta_log", f"{2:020}.json").unlink()
    with pytest.raises(NightError, match="similar_items version 2 is gone"):
        run(published, "--ds", published.ds, "--to", "2", "--apply")


def test_a_root_where_nothing_was_published_is_named(night: Night) -> None:
    with pytest.raises(NightError, match="Nothing was published at"):
        run(night, "--ds", night.ds, "--to", "night-before")


def test_versions_are_listed_with_what_they_did(published: Night, capsys: pytest.CaptureFixture[str]) -> None:
    run(published, "--all-days", "--to", "1", "--apply")
    capsys.readouterr()
    run(published)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["version", "5", "4", "3", "2", "1", "0"]
    assert (lines[1][3:], lines[2][3:]) == (["rollback", published.ds, "manual"], ["publish", published.ds, "test"])
