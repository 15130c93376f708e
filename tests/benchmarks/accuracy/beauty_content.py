"""Does the content model find items that nobody met? Amazon Beauty with a tenth of its items withheld from training.

Which items are withheld follows from a hash of their index. The model is fitted as if they came a day later: no history
holds them, and none is drawn as a negative. Then users who turn to one of them next are asked, with all items to choose
from and with their whole histories, since the model can read an item that it never met. Beside it: ten random picks
from the category that the user's history holds most often, the deepest level that the shop tells, counted exactly. What
each kind of content brings is measured by leaving it out, and by reading it alone. These files tell no prices, no
descriptions and no pictures, so that nothing is known of what those would bring.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.beauty_content --seeds 1
    python -m tests.benchmarks.accuracy.beauty_content --validation --variants all --set epochs=5
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from expectations.tables import FIRST_VALUE_INDEX
from models.data.dataset import Dataset
from models.data.event_store import Events, Interactions
from tests.benchmarks.accuracy.beauty import (
    DATA,
    FIT_DAY,
    METRICS,
    K,
    Question,
    asked_features,
    dataset_as_of,
    judge_of,
    question_of,
)
from tests.benchmarks.harness.variants import judged_variants, tell

NAME = "beauty_content"
READS = {
    "all": ["tokens", "categories", "brand"],
    "text by attention": ["tokens", "categories", "brand"],
    "text, but no plain memory of titles": ["tokens", "categories", "brand"],
    "without text": ["categories", "brand"],
    "without category": ["tokens", "brand"],
    "without brand": ["tokens", "categories"],
    "text alone": ["tokens"],
    "category alone": ["categories"],
    "brand alone": ["brand"],
}
HOW_TITLES_ARE_READ: dict[str, dict[str, Any]] = {
    "text by attention": {"text_encoder": "attention"},
    "text, but no plain memory of titles": {"title_dim": 0},
}
VARIANTS: dict[str, dict[str, Any]] = {
    name: {"reads": reads, **HOW_TITLES_ARE_READ.get(name, {})} for name, reads in READS.items()
}
"""What each says in place of models/configs/content.toml."""


def main(argv: Sequence[str] | None = None) -> None:
    """Fits every variant and tells the figures; exits 0 without the data, saying so."""
    with asked_features(__doc__ or "", argv, VARIANTS) as (arguments, lake, judged_day):
        if lake is None:
            return
        known = dataset_as_of(lake, FIT_DAY)
        is_withheld = withheld_items(known.num_items)
        question = asked_about(question_of(lake, judged_day), is_withheld)
        without = without_items(known, is_withheld)
        rows = judged_variants("content", VARIANTS, arguments, without, METRICS, judge_of(question))
    protocol = (
        f"{int(is_withheld.sum()):,} of {known.num_items - 2:,} items withheld from the fit, as positives and as "
        f"negatives; {len(question.users):,} users whose last event is with one of them, asked with their whole "
        "histories, withheld items among them; full catalogue, items of the history left out; titles, categories "
        "and brands alone, since the data tell no prices, descriptions or pictures; settings chosen on the events "
        "before the last"
    )
    tell(NAME, arguments, DATA, protocol, [*rows, random_pick_row(question)])


def withheld_items(num_items: int) -> np.ndarray:
    """Whether an item is withheld, by Knuth's multiplicative hash of its index. Shape (num_items,)."""
    indices = np.arange(num_items, dtype=np.uint64)
    is_withheld: np.ndarray = (indices * np.uint64(2_654_435_761)) % np.uint64(2**32) < 2**32 // 10
    is_withheld[:FIRST_VALUE_INDEX] = False
    return is_withheld


def without_items(dataset: Dataset, is_withheld: np.ndarray) -> Dataset:
    """The dataset as if these items came a day later: nobody met them, and `Snapshot.known_items` leaves them out.

    They keep their indices and what the catalogue says of them.
    """
    events, pairs = dataset.events, dataset.interactions
    kept, kept_pairs = ~is_withheld[events.item_index], ~is_withheld[pairs.item_index]
    age_days = np.where(is_withheld, -1, dataset.item_features["age_days"])
    return replace(
        dataset,
        events=replace(events, **_kept(events, kept, dataset.num_users), history_starts=_starts_among(events, kept)),
        interactions=replace(pairs, **_kept(pairs, kept_pairs, dataset.num_users)),
        item_features={**dataset.item_features, "age_days": age_days},
    )


def _kept(log: Events | Interactions, kept: np.ndarray, num_users: int) -> dict[str, np.ndarray]:
    """The arrays of a log of which some entries are kept."""
    arrays = {name: values[kept] for name, values in vars(log).items() if name not in ("offsets", "history_starts")}
    lengths = np.bincount(arrays["user_index"], minlength=num_users)
    return {"offsets": np.concatenate([[0], np.cumsum(lengths)]), **arrays}


def _starts_among(events: Events, kept: np.ndarray) -> np.ndarray:
    """Where each user's history begins among the kept events. Shape (users,)."""
    starts: np.ndarray = np.concatenate([[0], np.cumsum(kept)])[events.history_starts]
    return starts


def asked_about(question: Question, is_withheld: np.ndarray) -> Question:
    """Those of the question's events that are with withheld items."""
    # The question's day may know items that the fit's day did not.
    chosen = np.isin(question.items, np.flatnonzero(is_withheld))
    return replace(question, users=question.users[chosen], items=question.items[chosen])


def random_pick_row(question: Question) -> dict[str, Any]:
    """The chance that ten random picks from the user's main category hold the item."""
    return {
        "model": "ten random picks within the user's main category",
        "ours": False,
        "source": "counted exactly",
        "hr@10": round(float(random_pick_chances(question).mean()), 4),
    }


def random_pick_chances(question: Question) -> np.ndarray:
    """For each user: 10 / items of the category that the user has not met, or 0 where the item is in another one."""
    dataset = question.dataset
    category = deepest_category(dataset.item_features["category_indices"])
    sizes = np.bincount(category[FIRST_VALUE_INDEX:], minlength=category.max() + 1)
    chances = []
    for user, item in zip(question.users, question.items, strict=True):
        met = category[dataset.events.item_index[dataset.events.offsets[user] : dataset.events.offsets[user + 1]]]
        main_category = np.bincount(met[met > 0]).argmax() if (met > 0).any() else -1
        left = sizes[main_category] - np.sum(category[dataset.seen_by(np.array([user])).indices] == main_category)
        chances.append(min(1.0, K / left) if category[item] == main_category else 0.0)
    return np.array(chances)


def deepest_category(levels: np.ndarray) -> np.ndarray:
    """The last level of each item's path, 0 where there is none. Shape (num_items,) from (num_items, levels)."""
    depth = (levels > 0).sum(axis=1)
    return np.where(depth > 0, levels[np.arange(len(levels)), np.maximum(depth - 1, 0)], 0)


if __name__ == "__main__":
    main()
