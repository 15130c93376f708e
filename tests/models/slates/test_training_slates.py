"""What a policy learns from and is judged by: visits of the backtest's days, and lists that were shown."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from expectations.runtime.days import day_number, days_before
from expectations.runtime.program import Night
from expectations.tables import CANDIDATES, EVENT_TYPES, EVENTS, RUN_MANIFEST, USER_RECOMMENDATIONS
from jobs.publishing.delta_commit import commit_partitions
from models.interface.in_force import ModelsAsOf
from models.slates.exposures import Exposures
from models.slates.logged_slates import shown_days, shown_lists
from models.slates.slate_candidates import SlateCandidates
from models.slates.slate_features import FEATURES
from models.slates.training_slates import Examples, UserLog, organic_candidates, sight_days, visits
from tests.worlds.judged_night import write_events, write_vocabulary
from tests.worlds.policy_night import AS_OF, DS, night_of, publish, write_small_log, write_world

SIMILARITY = "organic_similarity"


@pytest.fixture(scope="module")
def world_night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return night_of(folder)


@pytest.fixture
def small_log(tmp_path: Path) -> Night:
    return write_small_log(tmp_path)


@pytest.fixture
def log(world_night: Night) -> UserLog:
    return UserLog.of(world_night.lake, world_night.shop, DS, AS_OF, Exposures())


def test_visits_are_in_the_indices_of_the_night(world_night: Night, log: UserLog) -> None:
    lists = ModelsAsOf(world_night.lake, world_night.shop, AS_OF).lists("two_tower")
    assert lists is not None
    found = visits(
        DS,
        AS_OF,
        SlateCandidates(world_night.lake, DS, log.history_events, world_night.shop),
        lists,
        log,
        world_night.shop,
    )
    ends = day_number(DS) + 1
    assert found.candidates.day.max() + sight_days(world_night.shop) <= ends
    assert (found.slates.slots >= 0).sum(axis=1).tolist() == [1] * len(found)
    assert np.isnan(found.slates.propensity).all()
    bought = 5.0 * ((found.items[:, 0] - 2) % 2 == (found.candidates.user - 2) % 2)
    assert found.immediate_reward[:, 0].tolist() == bought.tolist()
    # What stands first in the lists of the earlier day is what scores best there.
    latest = ModelsAsOf(world_night.lake, world_night.shop, DS).lists("two_tower")
    assert latest is not None
    source, user, day = (
        SlateCandidates(world_night.lake, DS, log.history_events, world_night.shop),
        found.candidates.user,
        found.candidates.day,
    )
    assert (source.of(latest, DS, user, day, log.history_events).item == found.candidates.item).all()


def test_organic_views_after_a_list_are_not_in_its_features(world_night: Night, log: UserLog) -> None:
    source = SlateCandidates(world_night.lake, DS, log.history_events, world_night.shop)
    user, day, column = np.arange(2, 60), np.full(58, day_number(DS) + 1.0), FEATURES.index(SIMILARITY)
    told = {}
    for as_of in (DS, days_before(DS, 4), AS_OF):
        items = np.tile(np.arange(2, 18), (len(user), 1))
        found = source.described(as_of, user, day, items, np.zeros(items.shape), log.history_events)
        told[as_of] = found.features[..., column]
        past = log.history_events.where(log.history_events.day < day_number(as_of) + 1)
        cut = SlateCandidates(world_night.lake, DS, past, world_night.shop).described(
            DS, user, day, items, np.zeros(items.shape), log.history_events
        )
        np.testing.assert_array_equal(cut.features, found.features)
    assert told[days_before(DS, 4)].any() and (told[DS] != told[days_before(DS, 4)]).any()
    assert not told[AS_OF].any(), "nobody had found anything by then"


def test_future_rewards_are_discounted(world_night: Night, log: UserLog) -> None:
    lists = ModelsAsOf(world_night.lake, world_night.shop, AS_OF).lists("two_tower")
    assert lists is not None
    found = visits(
        DS,
        AS_OF,
        SlateCandidates(world_night.lake, DS, log.history_events, world_night.shop),
        lists,
        log,
        world_night.shop,
    )
    user, day = found.candidates.user[0], found.candidates.day[0]
    events = log.events.where(log.events.user == user)
    is_later = (events.day >= day + 1) & (events.day < day + sight_days(world_night.shop)) & (events.event_type == 3)
    assert found.future_reward[0] == pytest.approx((5.0 * 0.97 ** (events.day[is_later] - day)).sum())


def shown_to(night: Night) -> Examples:
    log = UserLog.of(night.lake, night.shop, DS, days_before(DS, 9), Exposures())
    source = SlateCandidates(night.lake, DS, log.history_events, night.shop)
    found = shown_lists(night.lake, DS, source, shown_days(night.lake, DS, night.shop.policy.log_days), log, night.shop)
    assert found is not None
    return found


def test_shown_lists_are_those_of_who_came_on_the_day_after(small_log: Night) -> None:
    publish(small_log, days_before(DS, 2), {user: [("b", 0.5), ("a", 0.25), ("c", 1.0)] for user in ("u0", "u1", "u2")})
    publish(small_log, days_before(DS, 1), {"u1": [("a", 0.5), ("d", 1.0), ("b", 0.5)], "u2": [("a", 0.5)]})
    publish(small_log, DS, {"u0": [("a", 0.5)]})  # nobody has seen that one yet
    found = shown_to(small_log)
    assert found.candidates.user.tolist() == [2, 3]
    assert found.candidates.day.tolist() == [day_number(DS) - 1, day_number(DS)]
    # d was no candidate, so that u1's list is told up to it.
    assert found.items.tolist() == [[3, 2, 4], [2, -1, -1]]
    np.testing.assert_array_equal(found.slates.propensity, [[0.5, 0.25, 1.0], [0.5, 1.0, 1.0]])
    assert found.immediate_reward.tolist() == [[5.0, 0.0, 0.0], [1.0, 0.0, 0.0]]


def test_events_with_what_was_shown_that_day_are_exposed(small_log: Night) -> None:
    publish(small_log, days_before(DS, 2), {"u0": [("b", 0.5)], "u1": [("a", 0.5)]})
    publish(small_log, days_before(DS, 1), {"u1": [("a", 0.5), ("no such item", 1.0)], "u0": [("d", 0.5)]})
    exposures = Exposures.of(small_log.lake, DS, [days_before(DS, 2), days_before(DS, 1), DS])
    of_yesterday, of_today = day_number(DS) - 0.5, day_number(DS) + 0.5
    user, item = np.array([2, 3, 3, 3, 2]), np.array([3, 2, 2, 5, 5])
    day = np.array([of_yesterday, of_yesterday, of_today, of_today, of_today])
    # u1 did nothing yesterday, and u0 nothing today: of lists that nobody saw there is nothing to say.
    assert exposures.marks(user, item, day).tolist() == [True, False, True, False, False]
    without, log = shown_to(small_log), UserLog.of(small_log.lake, small_log.shop, DS, days_before(DS, 9), exposures)
    assert without.is_organic[:, :3].tolist() == [[False, True, False], [True, False, False]]
    assert log.events.is_exposed.tolist() == [True, True, False]
    assert not organic_candidates(without.candidates, log.events).any(), "what is left was no candidate"


def test_lists_from_before_there_were_propensities_say_so(small_log: Night) -> None:
    publish(small_log, days_before(DS, 1), {"u1": [("a", None), ("b", None)]})
    found = shown_to(small_log)
    assert np.isnan(found.slates.propensity[found.slates.slots >= 0]).all()


def test_only_the_days_that_the_shop_looks_back_on_count(small_log: Night) -> None:
    for n in (1, 2):
        publish(small_log, days_before(DS, n), {"u0": [("a", 0.5)]})
    lake = small_log.lake
    assert [day.ds for day in shown_days(lake, DS, 28)] == [days_before(DS, 2), days_before(DS, 1)]
    assert [day.ds for day in shown_days(lake, DS, 1)] == [days_before(DS, 1)]
    small_log.lake.write(
        CANDIDATES, days_before(DS, 1), small_log.lake.read(CANDIDATES, DS, "two_tower"), "x", model="two_tower"
    )
    write_vocabulary(small_log.lake, days_before(DS, 1), ["u0"], ["a"], hash="other words")
    assert [day.ds for day in shown_days(lake, DS, 28)] == [days_before(DS, 2)], "its lists mean nothing any more"


def test_what_is_committed_and_not_in_force_was_not_shown(small_log: Night) -> None:
    """A night that died before the manifest, or was rolled back, leaves such versions."""
    yesterday, before, lake = days_before(DS, 1), days_before(DS, 2), small_log.lake
    publish(small_log, yesterday, {"u0": [("a", 0.5)]})
    path, file = lake.table_path(USER_RECOMMENDATIONS), f"ds={yesterday}/listed-1/part-00000.parquet"
    table = DeltaTable(path)
    Path(path, file).parent.mkdir()
    Path(table.file_uris()[0]).rename(Path(path, file))
    in_force = commit_partitions(lake, USER_RECOMMENDATIONS, {yesterday: [file]}, {})
    manifest = DeltaTable(lake.table_path(RUN_MANIFEST)).to_pyarrow_table()
    place = manifest.column_names.index("table_version")
    named = manifest.set_column(place, manifest.field(place), pa.array([in_force]))
    write_deltalake(lake.table_path(RUN_MANIFEST), named, mode="overwrite")
    shown = shown_days(lake, DS, 28)
    assert [(day.ds, day.contents) for day in shown] == [(yesterday, (f"ds={yesterday}/listed",))]
    for day in (yesterday, before):
        copy = f"ds={day}/another-1/part-00000.parquet"
        Path(path, copy).parent.mkdir(parents=True)
        shutil.copyfile(Path(path, file), Path(path, copy))
        commit_partitions(lake, USER_RECOMMENDATIONS, {day: [copy]}, {})
    assert shown_days(lake, DS, 28) == shown


def test_events_after_the_night_change_nothing(world_night: Night) -> None:
    before = UserLog.of(world_night.lake, world_night.shop, DS, AS_OF, Exposures())
    write_events(world_night.lake, "2024-03-12", [("09:00:00", "u1", "i1", "purchase", 1.0)])
    assert world_night.lake.days(EVENTS)[-1] == "2024-03-12"
    after = UserLog.of(world_night.lake, world_night.shop, DS, AS_OF, Exposures())
    assert len(after.events) == len(before.events) and after.events.day.max() < day_number(DS) + 1


def test_of_quantities_only_those_of_purchases_say_something(small_log: Night) -> None:
    met = [("10:00:00", "u1", "a", "click", 0.0), ("11:00:00", "u1", "d", "purchase", -1.0)]
    write_events(small_log.lake, DS, met)
    events = UserLog.of(small_log.lake, small_log.shop, DS, days_before(DS, 1), Exposures()).events
    assert events.event_type.tolist() == [EVENT_TYPES.index("click")]


def test_moments_are_days_since_1970() -> None:
    assert day_number(DS) == datetime(2024, 3, 11, tzinfo=timezone.utc).timestamp() / 86_400
