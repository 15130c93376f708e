"""Does a fit need more memory when the log grows? It should not: what users did is read in a stream and lies on disk.

Writes feature tables of shops of 1, 5 and 20 million events with equal catalogues, and fits each model for an epoch, in
a process of its own: narrow networks and large batches, because the question is what the log costs and not the network.
`memory` is what the process itself holds at its highest; pages of the log that the operating system keeps for it, and
takes back where memory is short, are shown beside it.

    python -m tests.benchmarks.performance.training_memory --millions 1 5 20
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.days import end_of
from expectations.runtime.lake import Lake
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.tables import (
    FIRST_VALUE_INDEX,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    USER_FEATURES,
    VOCABULARIES,
    Table,
)
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.benchmarks.harness.variants import OURS

NAME = "training_memory"
DAY = "2024-03-10"
NUM_DAYS = 300
NUM_ITEMS = 20_000
EVENTS_PER_USER = 50
USERS_AT_ONCE = 20_000
SETTINGS: dict[str, dict[str, Any]] = {
    "sequence": {"embedding_dim": 16, "title_dim": 0, "num_blocks": 1, "max_length": 20, "num_candidates": 512},
    "two_tower": {"embedding_dim": 16, "max_length": 20, "max_windows": 2, "num_candidates": 512, "batch_size": 2048},
    "deep_cf": {"embedding_dim": 16, "max_length": 20, "max_windows": 2, "batch_size": 512},
    "item_item": {"max_dense": 0},
}
"""Each in place of models/configs."""
SHORT = {"epochs": 1}

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures each size and tells the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5, 20], help="of events")
    parser.add_argument("--models", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    rows = []
    for millions in arguments.millions:
        with tempfile.TemporaryDirectory(prefix="nightjar-") as folder:
            write_features(Lake(folder), int(millions * 1_000_000))
            rows += [measured_fit(folder, name, millions) for name in arguments.models]
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME} --millions {' '.join(f'{m:g}' for m in arguments.millions)}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=f"generated: {NUM_ITEMS:,} items, a user for every {EVENTS_PER_USER} events, {NUM_DAYS} days",
        protocol="one epoch of each model, a process each; memory: the largest anonymous resident size, with what the "
        "libraries hold before anything is read; log in memory: pages of files at that moment, which the system may "
        "take back",
        rows=sorted(rows, key=lambda row: arguments.models.index(row["model"].split()[0])),
    )
    print(benchmark.text())
    print(f"written: {benchmark.write()}")


def measured_fit(root: str, model: str, millions: float) -> dict[str, Any]:
    """Fits in a process of its own."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[dict[str, float]] = context.Queue()
    process = context.Process(target=fit_and_tell, args=(root, model, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{model} with {millions:g} M events ended with status {process.exitcode}")
    found = results.get()
    logger.info("fitted: model=%s millions=%g %s", model, millions, found)
    return {"model": f"{model} {millions:g} M events", "ours": True, "source": OURS, **found}


def fit_and_tell(root: str, model: str, results: multiprocessing.Queue[dict[str, float]]) -> None:
    """Fits, and puts its memory on the queue."""
    from models.data.dataset import load_dataset
    from models.interface.registry import MODELS, build_model

    watch = MemoryWatch()
    before, _ = watch.now()
    started = time.monotonic()
    changes = SETTINGS[model] | (SHORT if MODELS[model].kind == "deep" else {})
    with watch:
        fitted = build_model(model, changes)
        fitted.fit(load_dataset(Lake(root), a_shop(), DAY))
    results.put(
        {
            "memory MiB": round(watch.most),
            "before MiB": round(before),
            "log in memory MiB": round(watch.of_files),
            "seconds": round(time.monotonic() - started, 1),
        }
    )


class MemoryWatch:
    """Looks at this process ten times a second, as long as it is entered.

    Attributes:
        most: the largest anonymous resident size, in MiB.
        of_files: the resident size of files at that moment, in MiB.
    """

    def __init__(self) -> None:
        self.most = self.of_files = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.1):
            anonymous, of_files = self.now()
            if anonymous > self.most:
                self.most, self.of_files = anonymous, of_files

    @staticmethod
    def now() -> tuple[float, float]:
        """Anonymous memory and memory of files, in MiB."""
        status = Path("/proc/self/status").read_text("ascii")
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        return tuple(int(sizes[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))  # type: ignore[return-value]


def a_shop() -> Shop:
    """Its next 30 days are asked for."""
    columns = {"event_time": "time", "user_id": "user", "item_id": "item"}
    return Shop(name="generated", events=RawFile(path="{ds}", columns=columns, constants={"event_type": "purchase"}))


def write_features(lake: Lake, num_events: int) -> None:
    """The feature tables of DAY, users a part at a time."""
    num_users = num_events // EVENTS_PER_USER
    fields = {"user_id": num_users, "item_id": NUM_ITEMS, "event_type": 1}
    entries = [
        pa.table(
            {
                "field": pa.repeat(pa.scalar(field), size),
                "value": [f"{n}" for n in range(size)] if field != "event_type" else ["purchase"],
                "index": pa.array(np.arange(FIRST_VALUE_INDEX, FIRST_VALUE_INDEX + size, dtype=np.int32)),
                "vocabulary_hash": pa.repeat(pa.scalar("generated"), size),
            }
        )
        for field, size in fields.items()
    ]
    write_parts(lake, VOCABULARIES, entries)
    write_parts(lake, ITEM_FEATURES, [plain_rows(ITEM_FEATURES, "item_index", NUM_ITEMS, age_days=NUM_DAYS)])
    write_parts(lake, USER_FEATURES, [plain_rows(USER_FEATURES, "user_index", num_users)])
    starts = range(0, num_users, USERS_AT_ONCE)
    parts = (users_part(start, min(USERS_AT_ONCE, num_users - start)) for start in starts)
    write_parts(lake, HISTORIES, (histories for histories, _ in parts))
    parts = (users_part(start, min(USERS_AT_ONCE, num_users - start)) for start in starts)
    write_parts(lake, INTERACTIONS, (pairs for _, pairs in parts))


def write_parts(lake: Lake, table: Table, parts: Any) -> None:
    """Commits a partition of DAY that is written part by part."""
    path, rows = lake.new_version_path(table, DAY, "generated"), 0
    Path(path).mkdir(parents=True)
    with pq.ParquetWriter(f"{path}/part-00000.parquet", arrow_schema(table)) as writer:
        for part in parts:
            part = part.append_column("ds", pa.repeat(pa.scalar(DAY), len(part)))
            writer.write_table(part.select(table.column_names).cast(arrow_schema(table)))
            rows += len(part)
    lake.commit(table, DAY, path, "generated", rows)


def plain_rows(table: Table, key: str, size: int, **constants: int) -> pa.Table:
    """Rows that know nothing but their index."""
    columns: dict[str, Any] = {key: np.arange(FIRST_VALUE_INDEX, FIRST_VALUE_INDEX + size, dtype=np.int32)}
    for column in table.columns:
        if column.name not in ("ds", key):
            is_list = column.type.startswith("array")
            columns[column.name] = [[]] * size if is_list else [constants.get(column.name, 1)] * size
    return pa.table(columns)


def users_part(first: int, count: int) -> tuple[pa.Table, pa.Table]:
    """Histories and interactions of some users, the same each time they are asked for."""
    rng = np.random.default_rng(first)
    users = np.arange(first, first + count, dtype=np.int32) + FIRST_VALUE_INDEX
    shape = (count, EVENTS_PER_USER)
    items = (rng.random(shape) ** 3 * NUM_ITEMS).astype(np.int32) + FIRST_VALUE_INDEX
    end = int(end_of(DAY).timestamp())
    times = np.sort(end - 1 - rng.integers(0, NUM_DAYS * 86_400, shape), axis=1)
    places = np.arange(0, items.size + 1, EVENTS_PER_USER, dtype=np.int32)

    def lists(values: np.ndarray) -> pa.Array:
        return pa.ListArray.from_arrays(places, pa.array(values.ravel()))

    ones = np.ones(shape, dtype=np.int32)
    histories = {name: lists(ones) for name in ("gap_buckets", "session_starts", "weekdays")}
    histories |= {"user_index": users, "item_indices": lists(items), "event_times": lists(times)}
    histories["event_type_indices"] = lists(ones * FIRST_VALUE_INDEX)
    for name, kind in (("older_purchase_indices", pa.int32()), ("older_purchase_times", pa.int64())):
        histories[name] = pa.ListArray.from_arrays(np.zeros(count + 1, dtype=np.int32), pa.array([], kind))
    keys, last = np.unique((users[:, None].astype(np.int64) << 32 | items).ravel()[::-1], return_index=True)
    pair_times = pa.array(times.ravel()[::-1][last] * 1_000_000, pa.timestamp("us", "UTC"))
    once = np.ones(len(keys), dtype=np.int64)
    pairs = {"user_index": (keys >> 32).astype(np.int32), "item_index": (keys & 0xFFFFFFFF).astype(np.int32)}
    pairs |= {"weight": once * 5.0, "num_events": once, "num_purchases": once}
    pairs |= {"first_time": pair_times, "last_time": pair_times}
    return pa.table(histories), pa.table(pairs)


if __name__ == "__main__":
    main()
