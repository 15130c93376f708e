"""Lists in the policy's order, and lists that are drawn, as the night builds, publishes and shows them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from expectations.runtime.lake import fingerprint_of
from expectations.runtime.program import Night
from expectations.semantics.policy_decision import policy_settings
from expectations.semantics.published_tables import output_tables
from expectations.shop.list_rules import ListRules
from expectations.shop.policy_settings import POLICY, Policy
from expectations.tables import CANDIDATES, POLICY_DECISIONS, RUN_MANIFEST, SCORES, USER_RECOMMENDATIONS, VOCABULARIES
from jobs.build_tables import build_tables
from jobs.publish_tables import publish_tables
from jobs.show_night import night_text, policy_text
from tests.worlds.small_night import ANN, BELL, CLOCK, LANTERN, SPOON, write_gate, write_rows, write_small_night

MOVEMENT = {"top_k": 3, "num_users": 2, "overlap": 0.5, "first_changed": 1.0, "displacement": 1.25}


@pytest.fixture
def small_night(night: Night) -> Night:
    write_small_night(night)
    return with_policy(night, Policy(agent="policy_gradient"))


def with_policy(night: Night, policy: Policy) -> Night:
    return replace(night, shop=replace(night.shop, policy=policy))


def decide(night: Night, is_allowed: bool = True, **changes: Any) -> None:
    """What `models.rerank` leaves: Ann's list turned round."""
    lists = night.lake.require(CANDIDATES, night.ds, "two_tower")
    row = {
        "published_model": "two_tower",
        "lists": lists.fingerprint,
        "settings": policy_settings(night.shop),
        "model_version": f"policy-{night.ds}-1",
        "is_allowed": is_allowed,
        "reason": "It keeps what lists earn." if is_allowed else "It would lose too much.",
        "decision": json.dumps({"movement": MOVEMENT}),
    } | changes
    order = (BELL, CLOCK, LANTERN, SPOON)
    scored = [{"user_index": ANN, "item_index": item, "score": 1.0 - n / 4} for n, item in enumerate(order)]
    fingerprint = fingerprint_of(row)
    for table, rows, model in ((SCORES, scored, POLICY), (POLICY_DECISIONS, [row], None)):
        version = write_rows(night, table, rows, model=model)
        night.lake.commit(table, night.ds, version.path, fingerprint, version.rows, model)


def build_lists(spark: SparkSession, night: Night) -> None:
    build_tables(spark, night, [USER_RECOMMENDATIONS.name])


def listed(night: Night, user_id: str, *columns: str) -> list[tuple[Any, ...]]:
    rows = night.lake.read(USER_RECOMMENDATIONS, night.ds).sort_by("rank").to_pylist()
    return [tuple(row[column] for column in columns) for row in rows if row["user_id"] == user_id]


def policy_noted(night: Night) -> dict[str, Any]:
    found: dict[str, Any] = night.lake.require(USER_RECOMMENDATIONS, night.ds).metadata["policy"]
    return found


def test_an_allowed_policy_orders_the_lists_and_signs_its_rows(spark: SparkSession, small_night: Night) -> None:
    decide(small_night)
    build_lists(spark, small_night)
    assert listed(small_night, "user-2", "item_id", "source", "model_version", "is_fallback") == [
        (f"item-{item}", POLICY, "policy-2024-03-10-1", False) for item in (BELL, CLOCK, LANTERN)
    ]
    # Of the others the policy says nothing: their lists are filled.
    assert {row[0] for row in listed(small_night, "user-3", "source")} == {"recent_demand"}
    assert policy_noted(small_night)["movement"] == MOVEMENT
    assert policy_noted(small_night)["is_allowed"] is True


def test_a_refused_policy_leaves_the_lists_and_says_why(spark: SparkSession, small_night: Night) -> None:
    decide(small_night, is_allowed=False)
    build_lists(spark, small_night)
    assert [row[0] for row in listed(small_night, "user-2", "source")] == ["two_tower"] * 3
    assert policy_noted(small_night) == {
        "agent": "policy_gradient",
        "temperature": 0.0,
        "is_allowed": False,
        "reason": "It would lose too much.",
        "model_version": "policy-2024-03-10-1",
        "movement": MOVEMENT,
    }


@pytest.mark.parametrize(
    "changes",
    [{"lists": "of another fit"}, {"settings": "of another shop file"}],
    ids=["other lists", "other settings"],
)
def test_a_stale_decision_does_not_count(spark: SparkSession, small_night: Night, changes: dict[str, Any]) -> None:
    decide(small_night, **changes)
    build_lists(spark, small_night)
    assert [row[0] for row in listed(small_night, "user-2", "source")] == ["two_tower"] * 3
    assert policy_noted(small_night)["reason"] == "Nothing was decided about these lists: did models.rerank fail?"


def test_scores_that_were_not_judged_are_not_published(spark: SparkSession, small_night: Night) -> None:
    decide(small_night)
    version = small_night.lake.require(SCORES, small_night.ds, POLICY)
    small_night.lake.commit(SCORES, small_night.ds, version.path, "of another run", version.rows, POLICY)
    build_lists(spark, small_night)
    assert [row[0] for row in listed(small_night, "user-2", "source")] == ["two_tower"] * 3
    assert policy_noted(small_night)["is_allowed"] is False


def test_a_policy_that_was_switched_off_leaves_the_lists(spark: SparkSession, small_night: Night) -> None:
    decide(small_night)
    build_lists(spark, with_policy(small_night, Policy()))
    assert [row[0] for row in listed(small_night, "user-2", "source")] == ["two_tower"] * 3
    assert policy_noted(small_night)["reason"] == "The shop file names no agent."


def test_a_decision_that_comes_later_is_built_into_the_table(spark: SparkSession, small_night: Night) -> None:
    build_lists(spark, small_night)
    before = small_night.lake.require(USER_RECOMMENDATIONS, small_night.ds)
    decide(small_night, is_allowed=False)
    build_lists(spark, small_night)
    assert policy_noted(small_night)["reason"] == "It would lose too much."
    decide(small_night)
    build_lists(spark, small_night)
    after = small_night.lake.require(USER_RECOMMENDATIONS, small_night.ds)
    assert len({before.fingerprint, after.fingerprint}) == 2
    build_lists(spark, small_night)
    assert small_night.lake.require(USER_RECOMMENDATIONS, small_night.ds) == after


def test_demand_that_a_policy_ordered_is_no_demand_alone(spark: SparkSession, small_night: Night) -> None:
    """Of a re-ranked baseline, rows cite what speaks for them."""
    write_gate(small_night, published_model="two_tower", is_fallback=True)
    decide(small_night)
    build_lists(spark, small_night)
    assert {row[0] for row in listed(small_night, "user-2", "is_fallback")} == {True}


def test_the_manifest_and_the_page_tell_how_far_lists_moved(spark: SparkSession, small_night: Night) -> None:
    decide(small_night)
    build_tables(spark, small_night)
    for table in output_tables(small_night.lake, small_night.ds):
        version = small_night.lake.require(table, small_night.ds)
        small_night.lake.note_validated(table, small_night.ds, version)
    publish_tables(small_night)
    manifest = DeltaTable(small_night.lake.table_path(RUN_MANIFEST)).to_pyarrow_table().to_pylist()
    (row,) = [row for row in manifest if row["table_name"] == USER_RECOMMENDATIONS.name]
    metrics = json.loads(row["metrics"])
    assert metrics["policy"]["movement"] == MOVEMENT
    assert metrics["table"]["sources"] == {POLICY: 3, "recent_demand": 6}
    assert json.loads(row["model_versions"])[POLICY] == "policy-2024-03-10-1"
    vocabulary = small_night.lake.read(VOCABULARIES, small_night.ds).to_pylist()
    write_rows(small_night, VOCABULARIES, vocabulary)
    assert "Re-ranked by policy_gradient: It keeps what lists earn." in night_text(small_night, None)


def test_the_page_says_what_was_done_and_what_was_not() -> None:
    told = {"agent": "q_learning", "temperature": 0.1, "is_allowed": False, "reason": "Too few.", "movement": MOVEMENT}
    assert policy_text(told, 0.25).splitlines() == [
        "  Not re-ranked: Too few.",
        "  Would move: 50.0% of the published model's first 3 stay there, 100.0% of users see another item first, an "
        "item moves",
        "    1.2 ranks",
        "  Chance: 25.0% of the rows were drawn, at temperature 0.1; `propensity` says how likely each was",
    ]
    off = {"agent": "", "temperature": 0.0, "is_allowed": False, "reason": "The shop file names no agent."}
    assert policy_text(off, 0.0).splitlines() == [
        "  Not re-ranked: The shop file names no agent.",
        "  Chance: every place goes to the best item, propensity 1",
    ]
    assert policy_text(None, 0.0) == "  Nothing was noted of it."


def test_a_shop_draws_its_lists_and_writes_down_how_likely_each_place_was(
    spark: SparkSession, small_night: Night
) -> None:
    drawn = with_policy(small_night, Policy(temperature=1.0))
    build_lists(spark, drawn)
    rows = {user: listed(drawn, user, "item_id", "score", "propensity") for user in ("user-2", "user-3", "user-4")}
    for of_user in rows.values():
        assert len({item for item, _, _ in of_user}) == 3
        scores = [score for _, score, _ in of_user]
        assert scores == sorted(scores, reverse=True)
    assert all(0 < chance < 1 for _, _, chance in rows["user-2"])
    # Bob has two candidates of equal score, and a filler; Cid has fillers alone.
    assert [chance for _, _, chance in rows["user-3"]] == pytest.approx([0.5, 1.0, 1.0])
    assert [chance for _, _, chance in rows["user-4"]] == [1.0] * 3
    first = drawn.lake.require(USER_RECOMMENDATIONS, drawn.ds)
    build_lists(spark, with_policy(small_night, Policy(temperature=0.5)))
    build_lists(spark, drawn)
    again = drawn.lake.require(USER_RECOMMENDATIONS, drawn.ds)
    assert again.path != first.path and again.fingerprint == first.fingerprint
    assert rows["user-2"] == listed(drawn, "user-2", "item_id", "score", "propensity")


def test_candidates_below_the_first_k_can_be_drawn(spark: SparkSession, small_night: Night) -> None:
    seen: set[str] = set()
    for seed in range(6):
        shop = replace(small_night.shop, top_k=2, policy=Policy(temperature=3.0), rules=ListRules(), seed=seed)
        build_lists(spark, replace(small_night, shop=shop))
        seen |= {item for (item,) in listed(small_night, "user-2", "item_id")}
    assert seen == {f"item-{item}" for item in (SPOON, LANTERN, CLOCK, BELL)}
