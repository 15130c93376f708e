"""How sources are blended into one list, from answers that a reader can rank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from expectations.runtime.lake import Version
from expectations.runtime.program import Night
from expectations.semantics.list_caps import Cap
from expectations.shop.reasons import Reason
from expectations.shop.table_settings import SimilarItems
from expectations.tables import ITEM_FEATURES, ITEM_NEIGHBOURS, ITEM_VECTORS
from jobs.lists.feature_tables import FeatureTables
from jobs.lists.gate_decision import gate_decision
from jobs.tables.content_cosines import content_cosines
from jobs.tables.new_item_audiences import most_alike
from jobs.tables.similar_item_lists import ItemFacts, similar_item_lists
from jobs.tables.similarity_sources import SimilaritySource, similarity_sources, unit_vectors, vector_cosines
from tests.worlds.small_night import write_gate, write_neighbours, write_rows, write_vectors, write_words

SETTINGS = SimilarItems()
NUM_ITEMS = 8
KNOWN, COLD, FRIEND, TWIN, SOLD_OUT, BEST_SELLER = range(2, NUM_ITEMS)


def source_of(reason: Reason, answers: dict[int, dict[int, float]]) -> SimilaritySource:
    """A source with the given answers, item -> other -> how strongly."""

    def scores(owners: np.ndarray) -> np.ndarray:
        rows = np.zeros((len(owners), NUM_ITEMS), np.float32)
        for row, owner in enumerate(owners):
            for other, score in answers.get(int(owner), {}).items():
                rows[row, other] = score
        return rows

    return SimilaritySource(str(reason), Version("", "", 0), reason, scores)


@pytest.fixture
def facts() -> ItemFacts:
    """Demand is the same for all, so that popularity plays no part."""
    is_available = np.arange(NUM_ITEMS) >= 2
    is_available[SOLD_OUT] = False
    num_users = np.zeros(NUM_ITEMS, np.int64)
    num_users[[KNOWN, BEST_SELLER]] = 98
    fallback = np.array([BEST_SELLER, KNOWN, COLD, FRIEND, TWIN])
    return ItemFacts(is_available, num_users, np.ones(NUM_ITEMS), fallback, "recent_demand", num_in_demand=2)


TOGETHER = source_of(Reason.BOUGHT_TOGETHER, {item: {FRIEND: 9.0, SOLD_OUT: 99.0} for item in (KNOWN, COLD)})
ALIKE = source_of(Reason.ALIKE, {item: {TWIN: 0.1, SOLD_OUT: 1.0} for item in (KNOWN, COLD)})


def listed(rows: pa.Table, item: int) -> list[tuple[int, str]]:
    return [
        (row["similar_index"], row["reason_code"])
        for row in sorted(rows.to_pylist(), key=lambda row: row["rank"])
        if row["item_index"] == item
    ]


def test_an_item_that_many_met_leans_to_what_goes_together_and_a_cold_one_to_what_is_alike(facts: ItemFacts) -> None:
    rows = similar_item_lists(np.array([KNOWN, COLD]), [TOGETHER, ALIKE], facts, top_k=2, settings=SETTINGS)
    assert listed(rows, KNOWN) == [(FRIEND, "bought_together"), (TWIN, "alike")]
    # Nobody met the cold item, so that what goes together with it is not known, and not said.
    assert listed(rows, COLD) == [(TWIN, "alike"), (BEST_SELLER, "popular_now")]
    trust = 98 / (98 + SETTINGS.shrinkage)
    assert rows["score"].to_pylist()[:3] == pytest.approx([trust, 1 - trust, 1])


def test_a_list_ends_with_all_other_items_on_sale_whatever_k_is(facts: ItemFacts) -> None:
    rows = similar_item_lists(np.array([KNOWN, SOLD_OUT]), [TOGETHER, ALIKE], facts, top_k=9, settings=SETTINGS)
    assert listed(rows, KNOWN) == [
        (FRIEND, "bought_together"),
        (TWIN, "alike"),
        (BEST_SELLER, "popular_now"),
        (COLD, "in_our_range"),
    ]
    assert len(listed(rows, SOLD_OUT)) == 5
    assert rows["score"].to_pylist() == sorted(rows["score"].to_pylist()[:4], reverse=True) + [0.0] * 5


def test_a_list_holds_one_variant_of_an_item_and_none_of_its_own(facts: ItemFacts) -> None:
    groups = np.zeros(NUM_ITEMS, np.int32)
    groups[[KNOWN, COLD]], groups[[FRIEND, TWIN, SOLD_OUT]] = 1, 2
    owners, sources = np.array([KNOWN, BEST_SELLER]), [TOGETHER, ALIKE]
    rows = similar_item_lists(owners, sources, replace(facts, variants=Cap(1, groups)), top_k=3, settings=SETTINGS)
    # The twin is a friend in another colour, and the cold item is the known one so.
    assert listed(rows, KNOWN) == [(FRIEND, "bought_together"), (BEST_SELLER, "popular_now")]
    assert listed(rows, BEST_SELLER) == [(KNOWN, "popular_now"), (FRIEND, "in_our_range")]
    rows = similar_item_lists(owners, sources, replace(facts, variants=Cap(2, groups)), top_k=3, settings=SETTINGS)
    assert [item for item, _ in listed(rows, KNOWN)] == [FRIEND, TWIN, BEST_SELLER]
    assert [item for item, _ in listed(rows, BEST_SELLER)] == [KNOWN, COLD, FRIEND]


def test_of_equals_what_sells_comes_first(facts: ItemFacts) -> None:
    equals = source_of(Reason.ALIKE, {KNOWN: {FRIEND: 1.0, TWIN: 1.0, BEST_SELLER: 1.0}})
    demand = np.ones(NUM_ITEMS)
    demand[TWIN] = 50
    rows = similar_item_lists(np.array([KNOWN]), [equals], replace(facts, demand=demand), top_k=3, settings=SETTINGS)
    assert [item for item, _ in listed(rows, KNOWN)] == [TWIN, FRIEND, BEST_SELLER]


def test_how_much_demand_and_trust_weigh_is_the_shops(facts: ItemFacts) -> None:
    doubtful = replace(SETTINGS, shrinkage=98.0)
    rows = similar_item_lists(np.array([KNOWN]), [TOGETHER, ALIKE], facts, top_k=2, settings=doubtful)
    assert rows["score"].to_pylist() == pytest.approx([0.5, 0.5])
    wanted = replace(facts, demand=np.where(np.arange(NUM_ITEMS) == TWIN, 1.5, 7.5))
    for exponent in (0.0, 0.5, 1.0):
        scaled = replace(SETTINGS, popularity_exponent=exponent)
        rows = similar_item_lists(np.array([COLD]), [ALIKE], wanted, top_k=1, settings=scaled)
        assert rows["score"].to_pylist() == pytest.approx([(2 / 8) ** exponent])


def test_a_reason_without_a_rival_has_all_the_weight(facts: ItemFacts) -> None:
    rows = similar_item_lists(np.array([KNOWN]), [ALIKE], facts, top_k=1, settings=SETTINGS)
    assert (listed(rows, KNOWN), rows["score"].to_pylist()) == ([(TWIN, "alike")], [1.0])


def test_voices_of_one_reason_are_heard_by_their_shares(facts: ItemFacts) -> None:
    other = replace(source_of(Reason.BOUGHT_TOGETHER, {KNOWN: {TWIN: 1.0}}), share=1 / 3)
    rows = similar_item_lists(np.array([KNOWN]), [TOGETHER, other, ALIKE], facts, top_k=2, settings=SETTINGS)
    trust = 98 / (98 + SETTINGS.shrinkage)
    assert listed(rows, KNOWN) == [(FRIEND, "bought_together"), (TWIN, "bought_together")]
    assert rows["score"].to_pylist() == pytest.approx([trust * 3 / 4, trust / 4 + 1 - trust])


def test_items_share_words_by_how_rare_these_are(night: Night) -> None:
    # Piece 2 is in three titles and piece 3 in two.
    write_words(night, {2: [2, 3], 3: [2, 4], 4: [3, 5], 5: [2, 6], 6: [7]})
    cosines = content_cosines(np.array([2, 6]), night.lake.require(ITEM_FEATURES, night.ds).path)
    assert cosines[0, 4] > cosines[0, 3] > 0
    assert cosines[0, 2] == pytest.approx(1)
    assert cosines[1].nonzero()[0].tolist() == [6]
    rare, common = np.log(5 / 2), np.log(5 / 3)
    lengths = np.hypot(common, rare) * np.hypot(rare, np.log(5))
    assert cosines[0, 4] == pytest.approx(rare**2 / lengths)


def test_a_category_and_a_brand_count_as_words(night: Night) -> None:
    features = [
        {"item_index": 2, "category_indices": [2, 3], "brand_index": 2},
        {"item_index": 3, "category_indices": [2], "brand_index": 1},
        {"item_index": 4, "category_indices": [], "brand_index": 2},
        {"item_index": 5, "category_indices": [], "brand_index": 1},
    ]
    write_rows(night, ITEM_FEATURES, features)
    (cosines,) = content_cosines(np.array([2]), night.lake.require(ITEM_FEATURES, night.ds).path)
    assert (cosines[2:] > 0).tolist() == [True, True, True, False]


def test_vectors_that_are_no_numbers_are_like_nothing(night: Night) -> None:
    vectors = {2: [1.0, 0.0], 3: [float("nan"), 1.0], 4: [2.0, 0.0], 5: [-1.0, 0.0], 6: [0.0, 0.0]}
    write_vectors(night, "content", {}, vectors)
    path = night.lake.require(ITEM_VECTORS, night.ds, "content").path
    assert np.isfinite(unit_vectors(path)).all()
    assert vector_cosines(np.array([2, 3, 9]), path)[:, 2:].tolist() == [[1, 0, 1, 0, 0], [0] * 5, [0] * 5]


def test_the_new_item_does_not_speak_for_itself_and_neither_does_what_nobody_met(night: Night) -> None:
    alike = source_of(Reason.ALIKE, {COLD: {COLD: 1.0, TWIN: 0.5, FRIEND: 0.25, KNOWN: 0.25, BEST_SELLER: 0.9}})
    found = most_alike(np.array([COLD]), alike, met=np.array([TWIN, KNOWN, FRIEND, COLD]), num_alike=300)
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        (COLD, TWIN, 0.5),
        (COLD, KNOWN, 0.25),
        (COLD, FRIEND, 0.25),
    ]


def test_vectors_of_sound_models_have_a_say_and_others_have_none(night: Night) -> None:
    write_words(night, {2: [2]})
    write_neighbours(night, [(2, 3, 1.0)])
    for model in ("graph", "content"):
        write_vectors(night, model, {}, {2: [1.0]})
    write_gate(night, healthy={"graph": True, "content": False})
    features, gate = FeatureTables.resolve(night.lake, night.ds), gate_decision(night.lake, night.ds)
    weights = night.lake.require(ITEM_NEIGHBOURS, night.ds, gate.similar_model)
    sources = similarity_sources(night.lake, features, gate, weights)
    assert [(source.source, source.reason) for source in sources] == [
        ("item_item", Reason.BOUGHT_TOGETHER),
        ("graph", Reason.BOUGHT_TOGETHER),
        ("item_features", Reason.ALIKE),
    ]
