"""A run reads what it pinned when it began, and of its own days only what it built from just that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser, pinned_night
from expectations.runtime.run_pins import BY_HAND, run_folder
from expectations.shop.shop import SHIPPED_SHOPS, load_shop
from expectations.tables import (
    EVENTS,
    FITTED_MODELS,
    GATE_DECISIONS,
    INTERACTIONS,
    ITEM_VECTORS,
    USER_RECOMMENDATIONS,
    VOCABULARIES,
    Table,
)
from tests.worlds.corner_shop import SHOP
from tests.worlds.small_night import write_rows

RUN = "scheduled__2024-03-11T00:00:00+00:00"
DS, BACKTEST_DAY, ANCHOR = "2024-03-10", "2024-03-03", "2024-02-25"


def events(night: Night, user: str, ds: str = DS) -> None:
    """Takes in a drop, in place of what was there."""
    write_rows(replace(night, lake=Lake(night.lake.root)), EVENTS, [{"user_id": user}], ds)


def begun(night: Night, run_id: str = RUN) -> Night:
    """The night as the programs of a run see it that has just begun."""
    return pinned_night(replace(night, run_id=run_id))


def build(night: Night, what: str, table: Table = INTERACTIONS, ds: str = DS, model: str | None = None) -> None:
    """Builds a partition whose fingerprint is `what`."""
    night.lake.commit(table, ds, night.lake.new_version_path(table, ds, what, model), what, 1, model)


def seen(night: Night, table: Table = INTERACTIONS, ds: str = DS, model: str | None = None) -> str | None:
    version = night.lake.current(table, ds, model)
    return version.fingerprint if version else None


def users(night: Night, ds: str = DS) -> list[str]:
    return list(night.lake.read(EVENTS, ds)["user_id"].to_pylist())


def test_a_drop_that_is_corrected_meanwhile_is_for_later_runs(night: Night) -> None:
    events(night, "ann", "2024-03-09")
    events(night, "ann")
    first = begun(night)
    events(night, "robert")
    events(night, "late", "2024-03-08")
    assert (users(first), first.lake.days(EVENTS)) == (["ann"], ["2024-03-09", DS])
    assert first.lake.versions(EVENTS, "2024-03-09").keys() == {"2024-03-09"}
    second = begun(night, "manual__2024-03-11T05:00:00+00:00")
    assert (users(second), second.lake.days(EVENTS)) == (["robert"], ["2024-03-08", "2024-03-09", DS])


def test_what_an_earlier_run_left_is_not_there(night: Night) -> None:
    for table, ds in ((FITTED_MODELS, DS), (ITEM_VECTORS, BACKTEST_DAY)):
        build(night, "left", table, ds, "two_tower")
    build(night, "left", GATE_DECISIONS)
    build(night, "left", USER_RECOMMENDATIONS)
    run = begun(night)
    assert seen(run, FITTED_MODELS, DS, "two_tower") is None
    assert seen(run, ITEM_VECTORS, BACKTEST_DAY, "two_tower") is None
    assert (run.lake.models(FITTED_MODELS, DS), run.lake.models(ITEM_VECTORS, BACKTEST_DAY)) == ([], [])
    assert (seen(run, GATE_DECISIONS), seen(run, USER_RECOMMENDATIONS)) == (None, None)


def test_other_days_are_as_they_were_last_built(night: Night) -> None:
    """Anchors, and the tables that earlier nights published."""
    build(night, "anchor", VOCABULARIES, ANCHOR)
    build(night, "published", USER_RECOMMENDATIONS, BACKTEST_DAY)
    run = begun(night)
    assert seen(run, VOCABULARIES, ANCHOR) == "anchor"
    assert seen(run, USER_RECOMMENDATIONS, BACKTEST_DAY) == "published"


def test_what_would_come_out_the_same_is_taken_into_the_run(night: Night) -> None:
    build(night, "the same")
    run = begun(night)
    assert run.lake.reuse(INTERACTIONS, DS, "another") is None
    assert seen(run) is None
    assert run.lake.reuse(INTERACTIONS, DS, "the same") is not None
    assert seen(run) == "the same"


def test_what_is_noted_anew_replaces_what_was_noted(night: Night) -> None:
    build(night, "the same")
    found = night.lake.reuse(INTERACTIONS, DS, "the same", made_from={"drops": ["b"]})
    assert found is not None
    assert found.metadata == {"made_from": {"drops": ["b"]}}
    assert night.lake.current(INTERACTIONS, DS) == found


def test_two_runs_of_one_day_do_not_see_each_other(night: Night) -> None:
    first, second = begun(night, "first"), begun(night, "second")
    build(first, "of the first")
    assert seen(second) is None
    build(second, "of the second")
    assert (seen(first), seen(second), seen(night)) == ("of the first", "of the second", "of the second")
    assert first.lake.reuse(INTERACTIONS, DS, "of the first") is not None, "a task of it that is tried again"
    assert seen(night) == "of the second"


def test_a_run_that_begins_again_with_the_same_inputs_goes_on(night: Night) -> None:
    events(night, "ann")
    build(begun(night), "built")
    assert seen(begun(night)) == "built"


@pytest.mark.parametrize("changed", ["drops", "settings", "code"])
def test_a_run_that_begins_again_with_other_inputs_sees_nothing_of_before(
    night: Night, changed: str, other_code: Callable[[], None]
) -> None:
    events(night, "ann")
    build(begun(night), "built")
    if changed == "drops":
        events(night, "robert")
    elif changed == "settings":
        night = replace(night, shop=replace(night.shop, seed=2))
    else:
        other_code()
    assert seen(begun(night)) is None


def test_a_program_that_is_started_by_hand_reads_what_is_current(night: Night) -> None:
    by_hand = begun(night, BY_HAND)
    build(night, "current")
    assert (seen(by_hand), by_hand.code) == ("current", None)


def test_the_id_of_a_run_is_no_path() -> None:
    folders = {run_folder(run_id, DS) for run_id in ("../../etc", "..", "a/b", "a b", "a?b", "é" * 300, "")}
    assert len(folders) == 7
    assert all(folder.count("/") == 2 and ".." not in folder and len(folder) < 80 for folder in folders)


def test_a_moved_root_keeps_the_runs(night: Night, tmp_path: Path) -> None:
    events(night, "ann")
    build(begun(night), "built")
    shutil.move(night.lake.root, tmp_path / "elsewhere")
    flags = ["--ds", DS, "--run-id", RUN, "--root", str(tmp_path / "elsewhere"), "--shop", corner(tmp_path)]
    moved = night_from(night_parser(None).parse_args(flags))
    assert (users(moved), seen(moved)) == (["ann"], "built")


def corner(folder: Path, more: str = "") -> str:
    path = folder / "corner.toml"
    path.write_text(SHOP + more, encoding="utf-8")
    return str(path)


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """Of the programs of a run that pinned the shop file as `corner` writes it."""
    found = ["--ds", DS, "--root", str(tmp_path / "root"), "--shop", corner(tmp_path), "--run-id", RUN]
    pinned_night(night_from(night_parser(None).parse_args([*found, "--top-k", "5", "--models", "recent_demand"])))
    return found


def test_a_shop_file_that_is_edited_meanwhile_is_for_later_runs(flags: list[str], tmp_path: Path) -> None:
    corner(tmp_path, "[event_weights]\nview = 9\n[publish]\nmin_coverage = 0.25\n")
    of_run = night_from(night_parser(None).parse_args(flags))
    assert (of_run.shop.top_k, of_run.shop.models) == (5, ("recent_demand",)), "as the form said"
    assert of_run.shop.event_weights != {"view": 9}
    assert of_run.shop.publish.min_coverage == 0.25, "a bound that stopped the night may be changed"
    later = night_from(night_parser(None).parse_args([*flags[:-1], "another run"]))
    assert later.shop.event_weights["view"] == 9
    first_program = night_from(night_parser(None).parse_args(flags), is_pinned=False)
    assert first_program.shop.event_weights["view"] == 9, "a run that begins again reads the file"


def test_a_shop_file_that_is_broken_meanwhile_stops_nothing(flags: list[str], tmp_path: Path) -> None:
    before = night_from(night_parser(None).parse_args(flags)).shop
    corner(tmp_path, "[nonsense]\n")
    assert night_from(night_parser(None).parse_args(flags)).shop == before


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED_SHOPS.glob("*.toml")))
def test_every_shop_comes_back_as_it_was_pinned(night: Night, name: str, tmp_path: Path) -> None:
    shop = load_shop(name)
    pinned_night(replace(night, run_id=RUN, shop=shop))
    flags = ["--ds", DS, "--run-id", RUN, "--root", night.lake.root, "--shop", name]
    assert night_from(night_parser(None).parse_args(flags)).shop == shop
