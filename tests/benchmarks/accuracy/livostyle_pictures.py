"""Do vectors of pictures find items of the same category? Livostyle's thumbnails, half of them never trained on.

The part of the content model that reads pictures learns to tell categories from one half of the pictures, and mirror
images of them; each picture of the other half then names its ten nearest there. A hash of the product says which half.
Chance is what ten random others would give, counted exactly. Beside it: the same network untrained, and plain pixels.
The network's form and its epochs were chosen within the half that is learnt from.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.livostyle_pictures
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq

from jobs.storage.pictures import decoded
from models.families.content import build_picture_reader
from models.nn.network_fitting import as_numpy
from models.nn.training_setup import prepare_training
from tests.benchmarks.harness.variants import data_folder, seeds_parser, tell

NAME = "livostyle_pictures"
SHOP = "livostyle"
DATA = "Livostyle's catalogue (MIT): the thumbnails that can be decoded, with the full path of their category"
SIZE = 64
DIM = 64
NUM_NEIGHBOURS = 10
EPOCHS = 30


@dataclass(frozen=True)
class Pictures:
    """Pixels of shape (n, SIZE, SIZE, 3), and the number of each one's category."""

    pixels: np.ndarray
    category: np.ndarray


def main(argv: Sequence[str] | None = None) -> None:
    """Trains with every seed and tells the figures; exits 0 without the data, saying so."""
    arguments = seeds_parser(__doc__ or "").parse_args(argv)
    folder = data_folder(arguments, SHOP)
    if folder is None:
        return
    learnt, judged, num_categories = read_halves(folder)
    started, shares = time.monotonic(), []
    for seed in arguments.seeds:
        prepare_training(seed)
        shares.append(same_category(vectors(trained_reader(learnt, num_categories), judged), judged.category))
    seconds = (time.monotonic() - started) / len(arguments.seeds)
    prepare_training(arguments.seeds[0])
    untrained = vectors(build_picture_reader(DIM), judged)
    plain = judged.pixels.reshape(len(judged.pixels), -1).astype(np.float32)
    rows = [
        _row("picture reader of `content`, trained", float(np.mean(shares)), True, round(seconds, 1)),
        _row("the same, untrained", same_category(untrained, judged.category), False),
        _row("plain pixels", same_category(plain - plain.mean(axis=0), judged.category), False),
        _row("ten random others", chance(judged.category), False),
        _row("limit: small categories hold fewer than ten others", limit(judged.category), False),
    ]
    protocol = (
        f"share of the {NUM_NEIGHBOURS} nearest by cosine that are of the picture's own category, among "
        f"{len(judged.category)} pictures that were not trained on; {len(learnt.category)} were"
    )
    tell(NAME, arguments, DATA, protocol, rows)


def read_halves(folder: Path) -> tuple[Pictures, Pictures, int]:
    """The half to learn from, the half to judge on, and how many categories there are."""
    products = [
        row
        for row in pq.read_table(folder / "products.parquet").sort_by("id").to_pylist()
        if row["thumbnail"] and row["category_full_path"]
    ]
    number = {path: n for n, path in enumerate(sorted({row["category_full_path"] for row in products}))}
    halves: tuple[list[Any], list[Any]] = ([], [])
    for row in products:
        pixels = decoded((folder / row["thumbnail"]).read_bytes(), SIZE)
        if pixels is not None:
            half = halves[hashlib.sha256(str(row["id"]).encode()).digest()[0] % 2]
            half.append((np.frombuffer(pixels, np.uint8).reshape(SIZE, SIZE, 3), number[row["category_full_path"]]))
    learnt, judged = (
        Pictures(np.stack([pixels for pixels, _ in half]), np.array([category for _, category in half]))
        for half in halves
    )
    return learnt, judged, len(number)


def trained_reader(learnt: Pictures, num_categories: int) -> keras.Model:
    """The reader after it learnt to tell categories."""
    reader = build_picture_reader(DIM)
    picture = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    logits = keras.layers.Dense(num_categories)(keras.layers.Dropout(0.3)(keras.activations.relu(reader(picture))))
    network = keras.Model(picture, logits)
    network.compile(
        optimizer=keras.optimizers.AdamW(0.002, weight_decay=0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    both_ways = np.concatenate([learnt.pixels, learnt.pixels[:, :, ::-1]])
    network.fit(both_ways, np.tile(learnt.category, 2), epochs=EPOCHS, batch_size=32, verbose=0)
    return reader


def vectors(reader: keras.Model, pictures: Pictures) -> np.ndarray:
    """Shape (n, DIM)."""
    return as_numpy(reader(pictures.pixels, training=False))


def same_category(found: np.ndarray, category: np.ndarray) -> float:
    """The mean share of each one's nearest that are of its own category."""
    unit = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :NUM_NEIGHBOURS]
    return float((category[nearest] == category[:, None]).mean())


def chance(category: np.ndarray) -> float:
    """The mean share of others that are of one's own category."""
    sizes = np.bincount(category)
    return float(((sizes[category] - 1) / (len(category) - 1)).mean())


def limit(category: np.ndarray) -> float:
    """What nobody can pass: a picture's category may hold fewer others than neighbours are asked for."""
    sizes = np.bincount(category)
    return float((np.minimum(sizes[category] - 1, NUM_NEIGHBOURS) / NUM_NEIGHBOURS).mean())


def _row(model: str, share: float, ours: bool, seconds: float | None = None) -> dict[str, Any]:
    source = "this repository" if ours else "counted in the same run"
    row = {"model": model, "ours": ours, "source": source, "same category @10": round(share, 4)}
    return row if seconds is None else {**row, "seconds a fit": seconds}


if __name__ == "__main__":
    main()
