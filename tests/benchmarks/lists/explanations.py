"""Are reasons true? The fall of a score without the cited item, against that without another item of the history.

Fits models on UCI Online Retail by the public programs and explains each user's ten best items, as `models.explain`
does: an item of the history is cited whose absence costs the score most. Judged by deletion: in how many rows does the
score fall more without the cited item than without one that is drawn at random from the same history? Told beside it:
the same for the item with the largest item-item weight, which asks nobody.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.lists.explanations
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from datetime import date
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy import sparse

from expectations.runtime.program import Night, night_from, night_parser
from expectations.tables import FITTED_MODELS, ITEM_NEIGHBOURS, PADDING_INDEX
from models.data.dataset import Dataset, load_dataset
from models.explain import NUM_CAUSES, USERS_AT_ONCE, neighbour_matrix
from models.families.attribution import Explainable, attributions, candidate_causes
from models.interface.model import NO_ITEM
from models.interface.registry import model_class
from models.interface.weights_store import fetched_folder
from tests.benchmarks.accuracy.online_retail import SHOP
from tests.benchmarks.harness.programs import run
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.benchmarks.harness.variants import OURS, data_folder, data_parser
from tests.worlds.best_items import recommend

NAME = "explanations"
DS = "2011-10-10"
MODELS = ("item_item", "two_tower", "deep_cf")
K = 10
NUM_USERS = 1_000

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Fits, explains and tells the figures; exits 0 without the data, saying so."""
    parser = data_parser(__doc__)
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    if data_folder(arguments, SHOP) is None:
        return
    with TemporaryDirectory(prefix="nightjar-") as temporary:
        flags = ["--shop", SHOP, "--root", arguments.root or temporary, "--data", arguments.data, "--ds", DS]
        for program in ("jobs.ingest", "jobs.preprocess"):
            run(program, *flags)
        run("models.train", *flags, "--model", *dict.fromkeys(("item_item", *arguments.models)))
        night = night_from(night_parser(None).parse_args(flags))
        dataset = load_dataset(night.lake, night.shop, DS)
        rows = [judged(night, dataset, name) for name in arguments.models]
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=f"UCI Online Retail (CC BY 4.0), one file a day, 2010-12-01 to {DS}",
        protocol=(
            f"the {K} best items of {NUM_USERS:,} users with at least two items in their histories, repeats among "
            "them; cited truly: rows whose score falls more without the cited item than without a random other item of "
            "the history, of all rows that cite one"
        ),
        rows=rows,
    )
    print(benchmark.text())
    print(f"written: {benchmark.write()}")


def judged(night: Night, dataset: Dataset, name: str) -> dict[str, Any]:
    """How true the reasons of one model are."""
    with fetched_folder(night.lake, str(night.lake.read(FITTED_MODELS, DS, name)["weights_path"][0].as_py())) as folder:
        model = model_class(name).load(folder)
    assert isinstance(model, Explainable), f"{name} cannot be asked without an item"
    weights = neighbour_matrix(night.lake.read(ITEM_NEIGHBOURS, DS, "item_item"), dataset.num_items)
    rng, users = np.random.default_rng(night.shop.seed), users_of_several_items(dataset)
    started, falls, by_weight, others, is_cited = time.monotonic(), [], [], [], []
    for block in np.array_split(users, -(-len(users) // USERS_AT_ONCE)):
        listed = recommend(model, dataset, block, K, exclude_seen=False)[0]
        listed = np.where(listed == NO_ITEM, PADDING_INDEX, listed)
        causes = candidate_causes(dataset, block, listed, weights, NUM_CAUSES)
        found = attributions(model, dataset, block, listed, causes)
        falls.append(found.score_drop)
        is_cited.append(found.cited_item != PADDING_INDEX)
        others.append(
            score_drop_without(model, dataset, block, listed, random_others(dataset, block, found.cited_item, rng))
        )
        heaviest = heaviest_causes(causes, listed, weights)
        by_weight.append(score_drop_without(model, dataset, block, listed, heaviest))
    cited, fall, other, weight = (np.concatenate(parts) for parts in (is_cited, falls, others, by_weight))
    return {
        "model": name,
        "ours": True,
        "source": OURS,
        "rows that cite": round(float(cited.mean()), 4),
        "cited truly": round(float((fall > other)[cited].mean()), 4),
        "mean fall": round(float(fall[cited].mean()), 4),
        "mean fall of another": round(float(other[cited].mean()), 4),
        "largest weight truly": round(float((weight > other)[cited].mean()), 4),
        "seconds": round(time.monotonic() - started, 1),
    }


def users_of_several_items(dataset: Dataset) -> np.ndarray:
    """Some users with at least two items, evenly spaced."""
    num_items = np.diff(dataset.seen_by(np.arange(dataset.num_users)).indptr)
    users = np.flatnonzero(num_items >= 2)
    return users[:: max(1, len(users) // NUM_USERS)][:NUM_USERS]


def random_others(dataset: Dataset, users: np.ndarray, cited_item: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row an item that its user met, but not the cited one. Shape of `cited_item`."""
    met = dataset.seen_by(users)
    drawn = np.zeros(cited_item.shape, dtype=np.int64)
    for row in range(len(users)):
        own = met.indices[met.indptr[row] : met.indptr[row + 1]]
        for place in range(cited_item.shape[1]):
            drawn[row, place] = rng.choice(own[own != cited_item[row, place]])
    return drawn


def heaviest_causes(causes: np.ndarray, listed: np.ndarray, weights: sparse.csr_matrix) -> np.ndarray:
    """For each row the candidate cause with the largest item-item weight. Shape of `listed`."""
    met, neighbours = np.broadcast_arrays(causes[:, :, None], listed[:, None, :])
    heaviness = np.asarray(weights[met.ravel(), neighbours.ravel()]).reshape(met.shape)
    return np.take_along_axis(causes, heaviness.argmax(axis=1), axis=1)


def score_drop_without(
    model: Explainable, dataset: Dataset, users: np.ndarray, listed: np.ndarray, without: np.ndarray
) -> np.ndarray:
    """How much each row's score falls without an item of its own. All of shape (num_users, num_listed)."""
    rows, places = np.divmod(np.arange(listed.size), listed.shape[1])
    pairs = users[rows], listed[rows, places][:, None]
    falls = model.logits(dataset, *pairs) - model.logits(dataset, *pairs, without[rows, places])
    return falls.reshape(listed.shape)


if __name__ == "__main__":
    main()
