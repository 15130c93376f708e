"""How well is a purchase foretold among views and carts? RetailRocket, one held-out purchase a user, full catalogue.

All that users did is the history, views and carts among it; the published `test_buy` names one item each that is not
in it. Settings stand in the shop file; they are chosen with `--validation`, which takes each user's last purchase,
and all else that the user did with that item, out of the history in place of it.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.retailrocket
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.retailrocket --validation --set session_pause=120
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.runtime.lake import Lake
from expectations.shop.shop import load_shop
from expectations.tables import UNKNOWN_INDEX, VOCABULARIES
from models.data.dataset import load_dataset
from models.interface.registry import build_model, shop_values
from tests.benchmarks.accuracy.beauty import METRICS, Question, hit_rate_and_ndcg, ranks_of
from tests.benchmarks.harness.programs import run
from tests.benchmarks.harness.variants import OURS, data_folder, parsed, peer_rows, seeds_parser, tell, tried_settings

NAME = SHOP = "retailrocket"
DATA = "RetailRocket (subset): 2,174 users, 29,905 items, 97,381 views, carts and purchases"
LAST_DAY = "2015-09-18"
SOURCE = "implicit 0.7.3 and NumPy, on one machine"
PEERS = (
    ("popularity", 0.035, 0.019),
    ("ItemKNN (cosine)", 0.049, 0.028),
    ("iALS (128 wide)", 0.127, 0.081),
    ("linear autoencoder in dual form", 0.130, 0.087),
)
"""Model, HR@10, NDCG@10."""
Pair = tuple[str, str]


def main(argv: Sequence[str] | None = None) -> None:
    """Fits and tells the figures; exits 0 without the data, saying so."""
    parser = seeds_parser(__doc__ or "")
    parser.set_defaults(seeds=[1])
    parser.add_argument("--models", nargs="+", default=["item_item"])
    parser.add_argument("--validation", action="store_true", help="judge where settings are chosen, and write nothing")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings to try, as JSON values")
    arguments = parsed(parser, argv)
    folder = data_folder(arguments, SHOP)
    if folder is None:
        return
    events = pq.read_table(folder / "events.parquet")
    held_out = pq.read_table(folder / "test_buy.parquet").to_pylist()
    wanted = {(str(row["user_id"]), str(row["item_id"])) for row in held_out}
    if arguments.validation:
        events, wanted = without_last_purchases(events)
    with TemporaryDirectory(prefix="nightjar-") as root:
        build_features(root, arguments.data, events)
        lake, shop = Lake(root), load_shop(SHOP)
        question = question_of(lake, wanted)
        rows = []
        for name in arguments.models:
            started = time.monotonic()
            model = build_model(name, {**shop_values(shop, name), **tried_settings(arguments)})
            model.fit(question.dataset)
            seconds = round(time.monotonic() - started, 1)
            figures = [round(value, 4) for value in hit_rate_and_ndcg(ranks_of(model, question))]
            about = {"model": name, "ours": True, "source": OURS}
            rows.append({**about, **dict(zip(METRICS, figures, strict=True)), "seconds a fit": seconds})
    protocol = (
        f"events of all types as history, one held-out purchase of {len(question.users):,} users, full catalogue of "
        f"{question.dataset.num_items - 2:,} items, items of the history left out; an item that no event speaks of is "
        "a miss"
    )
    tell(NAME, arguments, DATA, protocol, [*rows, *peer_rows(PEERS, SOURCE, METRICS)])


def without_last_purchases(events: pa.Table) -> tuple[pa.Table, set[Pair]]:
    """The events without each user's last purchased item, and these pairs; of users who did anything else."""
    bought = events.filter(pc.equal(events["event"], "buy")).sort_by(
        [("timestamp", "ascending"), ("item_id", "ascending")]
    )
    last = dict(zip(bought["user_id"].to_pylist(), bought["item_id"].to_pylist(), strict=True))
    users, items = events["user_id"].to_pylist(), events["item_id"].to_pylist()
    kept = events.filter(pa.array([last.get(user) != item for user, item in zip(users, items, strict=True)]))
    left = set(kept["user_id"].to_pylist())
    return kept, {(str(user), str(item)) for user, item in last.items() if user in left}


def build_features(root: str, data: str, events: pa.Table) -> None:
    """Runs the programs that turn a log into features."""
    log = Path(root) / "events.parquet"
    pq.write_table(events, log)
    flags = ["--shop", SHOP, "--root", root, "--data", data]
    run("jobs.split_days", *flags, "--log", str(log))
    run("jobs.ingest", *flags, "--ds", LAST_DAY)
    run("jobs.preprocess", *flags, "--ds", LAST_DAY)


def question_of(lake: Lake, wanted: set[Pair]) -> Question:
    """Who wanted what. An item that no event speaks of cannot be predicted, and stays in as a miss."""
    vocabulary = lake.read(VOCABULARIES, LAST_DAY).to_pylist()
    index = {(row["field"], row["value"]): row["index"] for row in vocabulary}
    pairs = sorted(
        (index["user_id", user], index.get(("item_id", item), UNKNOWN_INDEX))
        for user, item in wanted
        if ("user_id", user) in index
    )
    users, items = np.array(pairs).T
    return Question(load_dataset(lake, load_shop(SHOP), LAST_DAY), users, items)


if __name__ == "__main__":
    main()
