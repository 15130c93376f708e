"""What is read in a stream and counted part by part is what would be read and counted at once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.runtime.days import SECONDS_PER_DAY
from models.batches.sequence_batches import NextItemBatches
from models.data import mmap_arrays
from models.data.dataset import Dataset
from models.data.mmap_arrays import disk_array, grouped_by_user, spans, spans_of_users
from models.data.pair_features import PairFeatures
from models.data.snapshot import Snapshot, Window, positive_pairs
from models.interface.registry import build_model, config_values
from models.interface.vector_rows import vector_rows


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap_arrays, "ENTRIES_AT_ONCE", 7)
    monkeypatch.setattr(mmap_arrays, "ROWS_AT_ONCE", 5)


def write_files(folder: Path, users: list[list[int]], lists: list[list[list[int]]]) -> None:
    for n, (of_file, values) in enumerate(zip(users, lists, strict=True)):
        table = pa.table({"user_index": pa.array(of_file, pa.int32()), "items": pa.array(values, pa.list_(pa.int32()))})
        pq.write_table(table, folder / f"part-{n}.parquet", row_group_size=2)


def flat_items(rows: pa.RecordBatch) -> dict[str, np.ndarray]:
    return {"item": pa.compute.list_flatten(rows["items"]).to_numpy()}


@pytest.mark.usefixtures("few_at_once")
def test_the_lists_of_a_user_stand_together_wherever_they_were_read(tmp_path: Path) -> None:
    write_files(tmp_path, [[4, 2], [5, 0, 3]], [[[40, 41], [20]], [[], [1, 2, 3], [30]]])
    offsets, arrays = grouped_by_user(str(tmp_path), 7, {"item": np.int64}, flat_items, ["items"], counts=["items"])
    assert offsets.tolist() == [0, 3, 3, 4, 5, 7, 7, 7]
    assert arrays["user_index"].tolist() == [0, 0, 0, 2, 3, 4, 4]
    assert arrays["item"].tolist() == [1, 2, 3, 20, 30, 40, 41]
    assert arrays["item"].dtype == np.int64


@pytest.mark.usefixtures("few_at_once")
def test_rows_of_a_user_from_several_files_follow_one_another(tmp_path: Path) -> None:
    users = [[3, 1, 3], [1, 3, 2, 3, 1, 1]]
    write_files(tmp_path, users, [[[u] for u in of_file] for of_file in users])
    offsets, arrays = grouped_by_user(str(tmp_path), 4, {"item": np.int32}, flat_items, ["items"])
    assert offsets.tolist() == [0, 0, 4, 5, 9]
    assert arrays["item"].tolist() == arrays["user_index"].tolist() == [1] * 4 + [2] + [3] * 4


def test_an_array_of_nothing_is_one(tmp_path: Path) -> None:
    assert disk_array((0, 3), np.float32).shape == (0, 3)
    write_files(tmp_path, [[]], [[]])
    offsets, arrays = grouped_by_user(str(tmp_path), 3, {"item": np.int32}, flat_items, ["items"], counts=["items"])
    assert (offsets.tolist(), arrays["item"].tolist()) == ([0, 0, 0, 0], [])


def test_an_array_is_zeros_and_can_be_written() -> None:
    array = disk_array((2, 3), np.float32)
    assert not array.any()
    array[1] = 5
    assert array.sum() == 15


@pytest.mark.usefixtures("few_at_once")
@pytest.mark.parametrize("lengths", [[3, 0, 4, 9, 1, 1, 1], [20], [0, 0], [7, 7, 7]])
def test_spans_hold_every_entry_and_every_user_once(lengths: list[int]) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    parts = list(spans_of_users(offsets))
    assert [user for first, last in parts for user in range(first, last)] == list(range(len(lengths)))
    assert all(last == first + 1 or offsets[last] - offsets[first] <= 7 for first, last in parts)
    assert [n for part in spans(int(offsets[-1])) for n in range(part.start, part.stop)] == list(range(offsets[-1]))


def what_is_counted(dataset: Dataset) -> dict[str, np.ndarray]:
    """Whatever walks over all that users did."""
    cut = dataset.end - 20 * SECONDS_PER_DAY
    snapshot, users = Snapshot(dataset, cut), np.array([2, 5, 9])
    names = ("ends", "num_events", "item_state", "user_state", "known_item_index", "known_user_index")
    found = {name: getattr(snapshot, name) for name in names}
    found["positives"] = np.stack(positive_pairs(dataset, Window(cut, dataset.end)))
    config = build_model("item_item").config  # type: ignore[attr-defined]
    items = np.tile(np.arange(dataset.num_items), (len(users), 1))
    found["pairs"] = PairFeatures(snapshot, config).of(users, items)
    for name in ("all_time_popularity", "recent_demand", "item_item"):
        model = build_model(name)
        model.fit(dataset)
        found[name] = model.scores(dataset, users)
    settings = {name: config_values("sequence")[name] for name in ("loss", "num_candidates", "popularity_discount")}
    batches = NextItemBatches(dataset, (), max_length=4, batch_size=8, item_dropout=0.0, **settings)
    of_batches = {name: getattr(batches, name) for name in ("starts", "lengths", "frequency", "num_examples")}
    return {**found, **{name: np.asarray(values) for name, values in of_batches.items()}}


def test_what_is_counted_part_by_part_is_what_is_counted_at_once(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = what_is_counted(dataset)
    monkeypatch.setattr(mmap_arrays, "ENTRIES_AT_ONCE", 7)
    for name, values in what_is_counted(dataset).items():
        np.testing.assert_allclose(values, at_once[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_each_user_has_their_own_part_of_the_log(dataset: Dataset) -> None:
    for log in (dataset.events, dataset.interactions):
        lengths = np.diff(log.offsets)
        assert len(lengths) == dataset.num_users
        assert np.array_equal(log.user_index, np.repeat(np.arange(dataset.num_users), lengths))
        columns = [field.name for field in fields(log) if field.name not in ("offsets", "history_starts")]
        assert all(len(getattr(log, name)) == lengths.sum() for name in columns)
    pairs = dataset.interactions
    assert (np.diff(pairs.user_index.astype(np.int64) * dataset.num_items + pairs.item_index) > 0).all()


def test_vectors_in_parts_are_the_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.interface.vector_rows.ROWS_AT_ONCE", 3)
    vectors = np.random.default_rng(1).random((9, 4), dtype=np.float32)
    rows = vector_rows(vectors, "user_index", "2024-03-10", "two_tower")
    assert rows["user_index"].to_pylist() == [2, 3, 4, 5, 6, 7, 8]
    assert np.array_equal(np.array(rows["vector"].to_pylist(), dtype=np.float32), vectors[2:])
    assert len(vector_rows(vectors[:2], "user_index", "2024-03-10", "two_tower")) == 0
