"""Who is new, and what is new: `new_user_recommendations` and `new_item_audiences` of a past night, judged.

The night of 2011-10-10 of UCI Online Retail is built by the public programs. New users are those whose first purchase
lies in the 30 days after it: they get the list of their country where it has one, else that of `all`. New items are
those that were first sold in these days: the shop learns their titles by an items file of that night, as a shop with a
catalogue does, since Online Retail itself speaks of an item no sooner than it is sold. Judged are the people in each
audience against those who bought the item. Constants are chosen with earlier `--ds`, which write nothing.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.lists.new_users_items
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.shop.shop import SHIPPED_SHOPS
from expectations.tables import ITEM_VECTORS, ITEMS, NEW_ITEM_AUDIENCES, NEW_USER_RECOMMENDATIONS, USERS
from tests.benchmarks.harness.past_night import (
    DATA,
    DS,
    JUDGED_DAYS,
    SHOP,
    build_night,
    indices,
    interval,
    night_arguments,
    purchases,
)
from tests.benchmarks.harness.report import Benchmark, hardware

NAME = "new_users_items"
K = 10
AUDIENCE = 100
ITEMS_SECTION = """
items_file = "changes"

[items]
path = "{root}/raw/{ds}/items.csv"

[items.columns]
item_id = "code"
title = "name"
price = "price"

[items.constants]
domain = "gifts"
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the night and tells the figures; exits 0 without the data, saying so."""
    arguments = night_arguments(__doc__, argv)
    if arguments is None:
        return
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    with TemporaryDirectory(prefix="nightjar-") as temporary:
        root = arguments.root or temporary
        shop = write_shop(root, Path(arguments.data) / SHOP, arguments.ds)
        night = build_night(root, arguments.data, arguments.ds, shop, arguments.models)
        benchmark = benchmark_of(night, date.today().isoformat())
    print(benchmark.text())
    if arguments.ds == DS:
        print(f"written: {benchmark.write()}")


def write_shop(root: str, drops: Path, ds: str) -> str:
    """Writes an items file of `ds`, with what is first sold after it. Returns the path of a shop file that reads it."""
    last = days_before(ds, -JUDGED_DAYS)
    days = {path.name[:10]: path for path in sorted(drops.glob("*.csv.gz")) if path.name[:10] <= last}
    lines = pd.concat(pd.read_csv(path, dtype=str).assign(day=day) for day, path in days.items())
    sold = lines[lines["StockCode"].str.match("^[0-9]{5}", na=False) & lines["CustomerID"].notna()]
    sold = sold[(pd.to_numeric(sold["UnitPrice"]) > 0) & sold["Description"].notna()]
    first = sold.groupby("StockCode")["day"].transform("min")
    new = sold[first > ds].drop_duplicates("StockCode")
    folder = Path(root) / "raw" / ds
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"StockCode": "code", "Description": "name", "UnitPrice": "price"}
    new[list(columns)].rename(columns=columns).to_csv(folder / "items.csv", index=False)
    shipped = (SHIPPED_SHOPS / f"{SHOP}.toml").read_text("utf-8")
    head, mark, tables = shipped.partition("[drops]")
    first_lines, _, section = ITEMS_SECTION.partition("\n[items]")
    path = Path(root) / f"{SHOP}.toml"
    path.write_text(f"{head}{first_lines}\n{mark}{tables}\n[items]{section}", "utf-8")
    return str(path)


def benchmark_of(night: Night, today: str) -> Benchmark:
    """The rows about users, then those about items."""
    lake, ds = night.lake, night.ds
    bought = purchases(lake, ds)
    first_day = bought.groupby("user_id")["day"].min()
    later = bought[bought["day"] > ds]
    of_new = later[later["user_id"].map(first_day) > ds]
    users, items = new_user_rows(lake, ds, of_new), new_item_rows(night, bought)
    return Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=today,
        hardware=hardware(),
        data=DATA,
        protocol=(
            f"the night of {ds}, judged on the {JUDGED_DAYS} days after. New users: {of_new['user_id'].nunique():,} "
            f"people whose first purchase lies in these days, NDCG and hit rate at {K} over all that they buy, full "
            f"catalogue; 95 % by bootstrap over people, of NDCG. New items: {items[0]['items']:,} that were first sold "
            f"in these days to somebody known before, whose audience of {AUDIENCE} is held against these buyers"
        ),
        rows=[*users, *({key: value for key, value in row.items() if key != "items"} for row in items)],
    )


def new_user_rows(lake: Lake, ds: str, wanted: pd.DataFrame) -> list[dict[str, Any]]:
    """Lists for people without a history: by their segment, for all alike, and rivals."""
    truth = wanted.groupby("user_id")["item_id"].agg(set)
    last = lake.read(USERS, days_before(ds, -JUDGED_DAYS)).to_pandas().set_index("user_id")
    segment = "country=" + last["country"].reindex(truth.index)
    rows = lake.read(NEW_USER_RECOMMENDATIONS, ds).to_pandas().sort_values(["segment", "rank"])
    of_segments = rows.groupby("segment")["item_id"].agg(list)
    of_all = of_segments["all"]
    known = lake.read(ITEMS, ds).to_pandas()
    shuffled = np.random.default_rng(1)
    available = known.loc[known["is_available"], "item_id"].to_numpy()
    ours = "this repository"
    lists = {
        ("new users: the list of their country", True, ours): [of_segments.get(name, of_all) for name in segment],
        ("new users: the list of all", True, ours): [of_all] * len(truth),
        ("new users: recent_demand", True, ours): [demanded(lake, ds, "recent_demand")] * len(truth),
        ("new users: all_time_popularity", True, ours): [demanded(lake, ds, "all_time_popularity")] * len(truth),
        ("new users: random", False, "NumPy"): [list(shuffled.choice(available, K, replace=False)) for _ in truth],
    }
    is_abroad = segment.isin(of_segments.index).to_numpy() & (segment != "country=United Kingdom").to_numpy()
    return [
        {"model": model, "ours": is_ours, "source": source, **list_figures(found, list(truth), is_abroad)}
        for (model, is_ours, source), found in lists.items()
    ]


def demanded(lake: Lake, ds: str, model: str) -> list[str]:
    """The K items that a popularity model puts first."""
    vectors = lake.read(ITEM_VECTORS, ds, model).to_pandas()
    ids = {index: value for value, index in indices(lake, ds, "item_id").items()}
    demand = vectors["vector"].map(lambda vector: vector[0])
    order = np.lexsort((vectors["item_index"], -demand))
    return [str(ids[index]) for index in vectors["item_index"].to_numpy()[order][:K]]


def list_figures(lists: list[list[str]], truth: list[set[str]], is_abroad: np.ndarray) -> dict[str, Any]:
    """NDCG and hit rate, also of people whose country, other than the largest, has a list."""
    discounts = 1 / np.log2(np.arange(2, K + 2))
    is_hit = np.array([[item in wanted for item in found] for found, wanted in zip(lists, truth, strict=True)])
    ideal = np.array([discounts[: min(K, len(wanted))].sum() for wanted in truth])
    ndcg, hits = (is_hit * discounts).sum(axis=1) / ideal, is_hit.any(axis=1)
    low, high = interval(ndcg)
    return {
        f"ndcg@{K}": round(float(ndcg.mean()), 4),
        "95 % low": low,
        "95 % high": high,
        f"hr@{K}": round(float(hits.mean()), 4),
        f"ndcg@{K}, {int(is_abroad.sum())} abroad": round(float(ndcg[is_abroad].mean()), 4),
    }


def new_item_rows(night: Night, bought: pd.DataFrame) -> list[dict[str, Any]]:
    """Audiences of new items, and rivals, against who of the people known before bought each."""
    lake, ds = night.lake, night.ds
    before, later = bought[bought["day"] <= ds], bought[bought["day"] > ds]
    known = np.sort(before["user_id"].unique())
    items = lake.read(ITEMS, ds).to_pandas()
    new = set(items["item_id"]) - set(before["item_id"])
    buyers = later[later["item_id"].isin(new) & later["user_id"].isin(known)].groupby("item_id")["user_id"].agg(set)
    table = lake.read(NEW_ITEM_AUDIENCES, ds).to_pandas().sort_values(["item_id", "rank"])
    audiences = table.groupby("item_id")["user_id"].agg(list)
    lately = before[before["day"] > days_before(ds, 30)]
    most, most_lately = (most_active(events) for events in (before, lately))
    rng = np.random.default_rng(1)
    ours = "this repository"
    rivals = {
        ("new items: their audience", True, ours): [audiences.get(item, []) for item in buyers.index],
        ("new items: who bought most in a year", False, "pandas"): [most] * len(buyers),
        ("new items: who bought most in 30 days", False, "pandas"): [most_lately] * len(buyers),
        ("new items: random", False, "NumPy"): [list(rng.choice(known, AUDIENCE, replace=False)) for _ in buyers],
    }
    return [
        {"model": model, "ours": is_ours, "source": source, **audience_figures(found, list(buyers), len(known))}
        for (model, is_ours, source), found in rivals.items()
    ]


def most_active(events: pd.DataFrame) -> list[str]:
    """The people who bought most different items, equal ones by id."""
    counts = events.groupby("user_id")["item_id"].nunique().reset_index()
    return [
        str(user) for user in counts.sort_values(["item_id", "user_id"], ascending=[False, True])["user_id"][:AUDIENCE]
    ]


def audience_figures(audiences: list[list[str]], buyers: list[set[str]], num_known: int) -> dict[str, Any]:
    """How many of the first are buyers, and of the buyers how many are reached; means over items."""
    is_buyer = [
        [user in of_item for user in users[:AUDIENCE]] for users, of_item in zip(audiences, buyers, strict=True)
    ]
    precision = np.array([sum(hits) / AUDIENCE for hits in is_buyer])
    return {
        "items": len(buyers),
        f"audience hr@{K}": round(float(np.mean([any(hits[:K]) for hits in is_buyer])), 4),
        f"buyers reached, {AUDIENCE}": round(
            float(np.mean([sum(hits) / len(of_item) for hits, of_item in zip(is_buyer, buyers, strict=True)])), 4
        ),
        f"lift, {AUDIENCE}": round(
            float(precision.mean() / np.mean([len(of_item) / num_known for of_item in buyers])), 2
        ),
    }


if __name__ == "__main__":
    main()
