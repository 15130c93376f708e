"""Which events are exposed: on the day on which a published list stood, by its user, with an item that the list held.

The other events are organic: users found these items by themselves, which tells what they want; see
`models.policies.organic_choice_model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.days import day_number, days_before
from expectations.runtime.lake import Lake
from expectations.tables import EVENTS
from models.data.pair_keys import pair_keys
from models.data.vocabulary import indices_of, read_vocabulary
from models.interface.published_lists import published_lists


@dataclass(frozen=True)
class Exposures:
    """What users were shown.

    Attributes:
        shown: day since 1970 -> keys of the pairs of user and shown item, ascending. Shape (num_pairs,).
    """

    shown: Mapping[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, lake: Lake, ds: str, days: Iterable[str]) -> Exposures:
        """Reads the published lists of these days, each of which stood on the day after.

        Only lists of users who did anything on that day, as far as its own drop tells, are kept: of others there is
        nothing to say. Lists that a backfill published count as if they had stood.

        Args:
            ds: the partition whose vocabulary gives users and items their indices.
        """
        words, items = (read_vocabulary(lake, ds, name) for name in ("user_id", "item_id"))
        shown = {}
        for day in days:
            stood_on = days_before(day, -1)
            if lake.current(EVENTS, stood_on) is None:
                continue
            came = pc.unique(lake.read(EVENTS, stood_on, columns=["user_id"])["user_id"])
            rows = published_lists(lake, day, came, ["user_id", "item_id"])
            places = [indices_of(rows["user_id"], words), indices_of(rows["item_id"], items)]
            known = pa.table(places, names=["user", "item"]).drop_null()
            keys = pair_keys(known["user"].to_numpy(), known["item"].to_numpy())
            shown[day_number(stood_on)] = np.sort(keys)
        return cls(shown)

    def marks(self, user: np.ndarray, item: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Returns which events were exposed.

        Args:
            user, item: indices. Shape (num_events,), int64.
            day: since 1970, with fractions. Same shape, float64.

        Returns:
            Shape (num_events,), bool.
        """
        is_exposed, whole = np.zeros(len(user), dtype=bool), np.floor(day).astype(np.int64)
        for stood_on, keys in self.shown.items():
            rows = np.flatnonzero(whole == stood_on)
            is_exposed[rows] = np.isin(pair_keys(user[rows], item[rows]), keys)
        return is_exposed
