"""What would a buyer of one department like in the other? Amazon Beauty and Electronics, bought in by the same users.

Transfer: `numpy.random.default_rng(0)` picks a fifth of the sorted users, whose events in the target department are
hidden and are the truth; the department's whole catalogue is ranked. By time: users who were known in both departments
before a day are asked for what they had not bought before and bought after it, within a department; `cross_domain`
fitted on both stands beside itself fitted on that department alone. Settings are chosen with `--validation`, which
asks another fifth of the users, whose truth the test never sees, or the days before.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.cross_domain
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.cross_domain --validation --set epochs=8

`--questions` asks some alone, and leaves the rows of the others in the result file as they are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from scipy.linalg import solve

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.tables import FIRST_VALUE_INDEX
from models.data.dataset import Dataset
from models.interface.registry import build_model
from tests.benchmarks.accuracy.gowalla import Pairs, dataset_of
from tests.benchmarks.harness.report import RESULTS
from tests.benchmarks.harness.variants import OURS, data_folder, parsed, seeds_parser, tell, tried_settings

NAME = FOLDER = "cross_domain"
SHOP = "amazon_cross_domain"
DATA = "Amazon Beauty and Electronics (ABXI study): 4,474 users, 10,379 + 14,188 items, 50,329 + 63,800 events"
DOMAINS = ("beauty", "electronics")
QUESTIONS = ("electronics", "beauty", "later electronics", "later beauty")
LAST_DAY = "2014-07-24"
"""Everything happened before it began."""
TEST_DAYS = 120
K = 10
LOOKED_AT = 100
METRICS = ("ndcg@10", "hr@10")
COUNTED = "counted in the same run"
PENALTIES = (200.0, 500.0, 1000.0)
PRIORS = (0.005, 0.01, 0.02)
"""What a ridge regression's settings are chosen from: its penalty, and the weight of log-popularity."""


@dataclass(frozen=True)
class Log:
    """All purchases: indices of users and items, and seconds since 1970; by user and then by item, each pair once.

    Attributes:
        domain_of: 2 for items of Beauty, 3 for those of Electronics, by item index.
        features: what the catalogue says of items, as `models.data.dataset` has it.
    """

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    domain_of: np.ndarray
    sizes: dict[str, int]
    features: dict[str, np.ndarray]

    def within(self, domain: str) -> np.ndarray:
        """Whether a purchase is of the department."""
        return self.domain_of[self.items] == domain_index(domain)

    def catalogue(self, domain: str) -> np.ndarray:
        """Its items."""
        return np.flatnonzero(self.domain_of == domain_index(domain))

    def dataset(self, is_known: np.ndarray, end: int, seed: int) -> Dataset:
        """What a night would know of some of the purchases."""
        known = Pairs(self.users[is_known], self.items[is_known])
        plain = dataset_of(known, self.sizes["user_id"], self.sizes["item_id"])
        times = self.times[is_known]
        order = np.lexsort((known.items, times, known.users))
        events = replace(plain.events, item_index=known.items[order].astype(np.int32), time=times[order])
        return replace(
            plain,
            end=end,
            seed=seed,
            sizes={**plain.sizes, **self.sizes},
            interactions=replace(plain.interactions, age_days=(end - times) / SECONDS_PER_DAY),
            events=events,
            item_features={**plain.item_features, **self.features},
        )


def domain_index(domain: str) -> int:
    return FIRST_VALUE_INDEX + DOMAINS.index(domain)


def read_log(folder: Path) -> Log:
    """The published files, with indices in the order of the ids."""
    rows = pq.read_table(folder / "events.parquet")
    domains = np.array(rows["domain"].to_pylist())
    items = np.array(rows["item_id"].to_pylist())
    known_users, users = np.unique(rows["user_id"].to_numpy(), return_inverse=True)
    known_items, item = np.unique(np.char.add(np.char.add(domains, "/"), items), return_inverse=True)
    times = rows["event_time"].cast(pa.timestamp("s")).cast(pa.int64()).to_numpy()
    order = np.lexsort((item, users))
    catalogue = {row["item_id"]: row for row in pq.read_table(folder / "beauty_items.parquet").to_pylist()}
    found = [catalogue.get(name.partition("/")[2], {}) if name.startswith("beauty/") else {} for name in known_items]
    features, sizes = _features(found)
    domain_of = np.concatenate([[0, 1], [domain_index(name.partition("/")[0]) for name in known_items]]).astype(
        np.int32
    )
    sizes |= {"user_id": len(known_users) + 2, "item_id": len(known_items) + 2, "domain": FIRST_VALUE_INDEX + 2}
    pairs = users[order] + FIRST_VALUE_INDEX, item[order] + FIRST_VALUE_INDEX, times[order]
    return Log(*pairs, domain_of, sizes, {**features, "domain_index": domain_of})


def _features(found: Sequence[dict[str, Any]]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Brands and levels of the category path, by indices."""
    brands = sorted({row["brand"] for row in found if row.get("brand")})
    paths = [list(row.get("category_path") or ()) for row in found]
    levels = sorted({level for path in paths for level in path})
    of_brand = {name: index for index, name in enumerate(brands, FIRST_VALUE_INDEX)}
    of_level = {name: index for index, name in enumerate(levels, FIRST_VALUE_INDEX)}
    categories = np.zeros((len(found) + 2, max(1, *map(len, paths))), np.int32)
    for row, path in enumerate(paths, FIRST_VALUE_INDEX):
        categories[row, : len(path)] = [of_level[level] for level in path]
    brand = np.array([1, 1, *(of_brand.get(row.get("brand"), 1) for row in found)], np.int32)
    sizes = {"brand": len(brands) + FIRST_VALUE_INDEX, "category": len(levels) + FIRST_VALUE_INDEX}
    return {"brand_index": brand, "category_indices": categories}, sizes


@dataclass(frozen=True)
class Asked:
    """Users whose purchases in a department are to be found.

    Attributes:
        is_known: which purchases of the log may be learnt from.
        items: the catalogue that is ranked.
        truth: 1 where a user wanted an item. Shape (len(users), len(items)).
        known: likewise, what is left out of the lists.
    """

    domain: str
    is_known: np.ndarray
    end: int
    users: np.ndarray
    items: np.ndarray
    truth: sparse.csr_matrix
    known: sparse.csr_matrix

    def judged(self, scores: np.ndarray) -> np.ndarray:
        """NDCG@10 and whether anything was found, by user. Equal scores count by item. Shape (len(users), 2)."""
        scores = np.where(self.known.toarray() > 0, -np.inf, scores)
        # So many first, and in the order of the items, that ties at the K-th place are among them.
        best = np.sort(np.argpartition(-scores, LOOKED_AT, axis=1)[:, :LOOKED_AT], axis=1)
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")[:, :K]
        best = np.take_along_axis(best, order, axis=1)
        hits = np.take_along_axis(self.truth.toarray() > 0, best, axis=1)
        discounts = 1 / np.log2(np.arange(K) + 2)
        num_wanted = np.minimum(np.diff(self.truth.indptr), K)
        return np.stack([(hits * discounts).sum(axis=1) / np.cumsum(discounts)[num_wanted - 1], hits.any(axis=1)], 1)


def asked_transfer(log: Log, domain: str, is_validation: bool) -> Asked:
    """A fifth of the users, whose purchases in `domain` are hidden."""
    everybody = np.unique(log.users)
    hidden = np.sort(np.random.default_rng(0).choice(everybody, len(everybody) // 5, replace=False))
    is_known = ~(np.isin(log.users, hidden) & log.within(domain))
    users = hidden
    if is_validation:
        others = np.setdiff1d(everybody, hidden)
        users = np.sort(np.random.default_rng(1).choice(others, len(everybody) // 5, replace=False))
        is_known &= ~np.isin(log.users, users) | ~log.within(domain)
    is_true = np.isin(log.users, users) & log.within(domain)
    return _asked(log, domain, is_known, is_true, seconds_of(LAST_DAY), users, log.catalogue(domain))


def asked_later(log: Log, domain: str, is_validation: bool) -> Asked:
    """Users known in both departments before a day, and what they bought in `domain` in the TEST_DAYS after it."""
    end = seconds_of(LAST_DAY) - TEST_DAYS * SECONDS_PER_DAY * (2 if is_validation else 1)
    is_known = log.times < end
    in_one, in_other = (np.unique(log.users[is_known & log.within(name)]) for name in DOMAINS)
    is_true = ~is_known & (log.times < end + TEST_DAYS * SECONDS_PER_DAY) & log.within(domain)
    items = np.intersect1d(log.catalogue(domain), log.items[is_known])
    is_true &= np.isin(log.users, np.intersect1d(in_one, in_other))
    users = np.unique(log.users[is_true & np.isin(log.items, items)])
    return _asked(log, domain, is_known, is_true, end, users, items)


def _asked(
    log: Log, domain: str, is_known: np.ndarray, is_true: np.ndarray, end: int, users: np.ndarray, items: np.ndarray
) -> Asked:
    truth, known = (_matrix(log, chosen, users, items) for chosen in (is_true, is_known))
    return Asked(domain, is_known, end, users, items, truth, known)


def _matrix(log: Log, is_chosen: np.ndarray, users: np.ndarray, items: np.ndarray) -> sparse.csr_matrix:
    """1 for the chosen purchases of these users among these items."""
    is_chosen = is_chosen & np.isin(log.users, users) & np.isin(log.items, items)
    places = np.searchsorted(users, log.users[is_chosen]), np.searchsorted(items, log.items[is_chosen])
    return sparse.csr_matrix((np.ones(is_chosen.sum(), np.float32), places), shape=(len(users), len(items)))


def seconds_of(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp())


def popularity_of(log: Log, asked: Asked, days: float = np.inf) -> np.ndarray:
    """How often each item was bought in the last `days`."""
    is_counted = asked.is_known & (log.times >= asked.end - days * SECONDS_PER_DAY)
    return np.bincount(log.items[is_counted], minlength=log.sizes["item_id"])[asked.items].astype(np.float32)


def ridge_scores(log: Log, asked: Asked, penalty: float) -> np.ndarray:
    """Each target item regressed on the source history, through users by users."""
    source = log.catalogue(next(name for name in DOMAINS if name != asked.domain))
    learners = np.setdiff1d(np.unique(log.users[asked.is_known & log.within(asked.domain)]), asked.users)
    x, asking = (_matrix(log, asked.is_known, users, source) for users in (learners, asked.users))
    y = _matrix(log, asked.is_known, learners, asked.items)
    regular = (x @ x.T).toarray() + penalty * np.eye(len(learners), dtype=np.float32)
    weights = solve(regular, (x @ asking.T).toarray(), assume_a="pos").T
    return np.asarray((y.T @ weights.T).T)


def chosen_ridge(log: Log, asked: Asked) -> tuple[float, float]:
    """The penalty, and the weight of log(1 + popularity) beside it, that are best where settings are chosen."""
    log_popularity, choices = np.log1p(popularity_of(log, asked)), {}
    for penalty in PENALTIES:
        scores = ridge_scores(log, asked, penalty)
        for prior in PRIORS:
            choices[penalty, prior] = float(asked.judged(scores + prior * log_popularity)[:, 0].mean())
    return max(choices, key=lambda choice: choices[choice])


def model_scores(log: Log, asked: Asked, model: str, changes: dict[str, Any], seed: int, alone: bool) -> np.ndarray:
    """Fits a model of models/configs.

    Args:
        alone: on the purchases of the asked department alone.
    """
    is_known = asked.is_known & log.within(asked.domain) if alone else asked.is_known
    dataset = log.dataset(is_known, asked.end, seed)
    fitted = build_model(model, changes)
    fitted.fit(dataset)
    scores: np.ndarray = fitted.scores(dataset, asked.users)[:, asked.items]
    return scores


Row = dict[str, Any]


def transfer_rows(log: Log, domain: str, seeds: Sequence[int], changes: Row, is_validation: bool) -> list[Row]:
    """Popularity, ridge regression and `cross_domain`, whose figures are means over the seeds."""
    asked, tried = asked_transfer(log, domain, is_validation), asked_transfer(log, domain, True)
    popular = asked.judged(np.repeat(popularity_of(log, asked)[None], len(asked.users), axis=0))
    penalty, prior = chosen_ridge(log, tried)
    scores = ridge_scores(log, asked, penalty) + prior * np.log1p(popularity_of(log, asked))
    ridge = asked.judged(scores)
    started = time.monotonic()
    ours = [asked.judged(model_scores(log, asked, NAME, changes, seed, False)) for seed in seeds]
    seconds = round((time.monotonic() - started) / len(seeds), 1)
    bar = float(popular[:, 0].mean())
    means = [float(figures[:, 0].mean()) for figures in ours]
    more = {"spread of ndcg": round(float(np.ptp(means)), 4)} if len(seeds) > 1 else {}
    label = f"ridge regression and log-popularity (penalty {penalty:g}, weight {prior:g})"
    rows = [
        _row(domain, NAME, True, OURS, np.mean(ours, axis=0), bar) | more | {"seconds a fit": seconds},
        _row(domain, label, False, COUNTED, ridge, bar),
        _row(domain, "popularity of the department", False, COUNTED, popular, bar),
    ]
    return rows


def later_rows(log: Log, domain: str, seeds: Sequence[int], changes: Row, is_validation: bool) -> list[Row]:
    """`cross_domain` on both departments beside single-domain models; gains are paired, user by user."""
    asked, question = asked_later(log, domain, is_validation), f"later {domain}"
    popular = np.repeat(popularity_of(log, asked)[None], len(asked.users), axis=0)
    recent = np.repeat(popularity_of(log, asked, 90)[None], len(asked.users), axis=0)
    bar = float(asked.judged(popular)[:, 0].mean())
    started = time.monotonic()
    both, alone = (
        np.mean([asked.judged(model_scores(log, asked, NAME, changes, seed, alone)) for seed in seeds], axis=0)
        for alone in (False, True)
    )
    seconds = round((time.monotonic() - started) / len(seeds) / 2, 1)
    gain = both[:, 0] - alone[:, 0]
    means = np.random.default_rng(0).choice(gain, (2000, len(gain))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    gains = {"gain": round(float(gain.mean()), 4), "gain, 95 %": f"{low:+.4f} to {high:+.4f}"}
    return [
        _row(question, NAME, True, OURS, both, bar) | {"seconds a fit": seconds} | gains,
        _row(question, f"{NAME}, of that department alone", True, OURS, alone, bar),
        _row(question, "popularity of the last 90 days", False, COUNTED, asked.judged(recent), bar),
        _row(question, "popularity", False, COUNTED, asked.judged(popular), bar),
    ]


def _row(question: str, model: str, ours: bool, source: str, judged: np.ndarray, bar: float) -> Row:
    ndcg, hit_rate = (float(value) for value in judged.mean(axis=0))
    figures = {"ndcg@10": round(ndcg, 4), "hr@10": round(hit_rate, 4), "times popularity": round(ndcg / bar, 2)}
    return {"model": model, "ours": ours, "source": source, "towards": question, **figures}


def main(argv: Sequence[str] | None = None) -> None:
    """Fits and tells the figures; exits 0 without the data, saying so."""
    parser = seeds_parser(__doc__ or "")
    parser.set_defaults(seeds=[1, 2])
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--validation", action="store_true", help="judge where settings are chosen, and write nothing")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings to try, as JSON values")
    arguments = parsed(parser, argv)
    folder = data_folder(arguments, SHOP)
    if folder is None:
        return
    log, changes = read_log(folder), tried_settings(arguments)
    rows = {} if arguments.validation else earlier_rows(RESULTS / f"{NAME}.json")
    for question in arguments.questions:
        asks: Callable[..., list[Row]] = later_rows if question.startswith("later ") else transfer_rows
        domain = question.rpartition(" ")[2]
        rows[question] = asks(log, domain, arguments.seeds, changes, arguments.validation)
    all_rows = [row for name in QUESTIONS for row in rows.get(name, [])]
    tell(NAME, arguments, DATA, protocol_of(all_rows), all_rows)


def protocol_of(rows: Sequence[Row]) -> str:
    """What was asked, as far as there are rows of it."""
    transfer = (
        "a fifth of the users (894, by default_rng(0)), whose purchases in a department are hidden, full catalogue; "
        "settings of the regression chosen on another fifth, those of cross_domain by trials of single directions on "
        "such fifths"
    )
    later = (
        f"later: users known in both departments, purchases of the last {TEST_DAYS} days, items known before, what "
        "they had bought left out; gain over the same model fitted on that department alone"
    )
    has_later = any(row["towards"].startswith("later ") for row in rows)
    return f"{transfer}; {later}" if has_later else transfer


def earlier_rows(path: Path) -> dict[str, list[Row]]:
    """Question -> the rows that the result file has of it."""
    found = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []
    return {name: [row for row in found if row["towards"] == name] for name in QUESTIONS}


if __name__ == "__main__":
    main()
