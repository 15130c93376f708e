"""Lists of models as `CandidateSets`, whatever day they are of, and users' events, all in the indices of one day.

An index means another user or item on another day; here all indices are those of the night's `ds`, so that a policy can
learn from lists of many days together. Users and items that `ds` does not know are left out.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.days import SECONDS_PER_DAY, day_number, end_of
from expectations.runtime.lake import Lake, Version
from expectations.shop.shop import Shop
from expectations.tables import EVENT_TYPES, EVENTS, FIRST_VALUE_INDEX, HISTORIES
from models.data.event_store import takes_back
from models.data.vocabulary import NOT_KNOWN, indices_of, indices_on, read_vocabulary
from models.evaluation.held_out import NEW_ITEMS, decisive_task
from models.interface.model import NO_ITEM
from models.interface.ranked_lists import list_batches, read_list_rows, top_places
from models.slates.event_log import EventLog
from models.slates.exposures import Exposures
from models.slates.item_traits import ItemTraits
from models.slates.organic_similarity import OrganicSimilarity
from models.slates.slate_features import candidate_sets
from models.slates.slates import CandidateSets

_EVENT_COLUMNS = ["user_id", "item_id", "event_time", "event_type", "price", "quantity"]
USERS_AT_ONCE = 4_096
"""Users whose candidates are read together: bounds memory."""


class SlateCandidates:
    """What the users of a night could have been shown; see the module's docstring."""

    def __init__(self, lake: Lake, ds: str, of_crowd: EventLog, shop: Shop) -> None:
        """Keeps what the candidates are made from.

        Args:
            of_crowd: the log of many users, from which item-item similarities are learnt; for lists as of a day only
                what happened up to that day.
        """
        self.lake, self.ds, self.num_candidates = lake, ds, shop.num_candidates
        self.exclude_seen = decisive_task(shop) == NEW_ITEMS
        self._traits, self._of_crowd = ItemTraits.of(lake, ds), of_crowd
        self._crowd: tuple[str, OrganicSimilarity] | None = None

    def of(self, lists: Version, as_of: str, user: np.ndarray, day: np.ndarray, event_log: EventLog) -> CandidateSets:
        """Returns the best candidates of lists as of `as_of`, on the days on which they stand.

        Args:
            user: one for each list; a user may come more than once. Shape (num_lists,), int64.
            day: when it stands, in days since 1970; of `event_log` the policy knows what happened before it. Shape
                (num_lists,), float64.

        Returns:
            A row a list, best candidates first; none of a candidate where the lists do not know the user.
        """
        asked, row = np.unique(user, return_inverse=True)
        items, scores = self._candidates(lists, as_of, asked)
        return self.described(as_of, user, day, items[row], scores[row], event_log)

    def described(
        self, as_of: str, user: np.ndarray, day: np.ndarray, item: np.ndarray, score: np.ndarray, event_log: EventLog
    ) -> CandidateSets:
        """Returns candidates from lists as of `as_of`; see `models.slates.slate_features.candidate_sets`.

        Args:
            user, day: of the lists. Shape (num_lists,), int64 and float64.
            item, score: shape (num_lists, num_candidates), int64 and float32.
        """
        return candidate_sets(user, day, item, score, event_log, self._traits, self._crowd_as_of(as_of))

    def _crowd_as_of(self, as_of: str) -> OrganicSimilarity:
        """What the crowd found up to that day; the latest that was asked for is kept, since many blocks may ask."""
        if self._crowd is None or self._crowd[0] != as_of:
            past = self._of_crowd.where(self._of_crowd.day < day_number(as_of) + 1)
            self._crowd = as_of, OrganicSimilarity.of(past, len(self._traits.kind))
        return self._crowd[1]

    def _candidates(self, lists: Version, as_of: str, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Items and scores of users, who ascend; NO_ITEM where there are no more. Shape (num_users, num_candidates)."""
        lake, ds, depth = self.lake, self.ds, self.num_candidates
        items, scores = np.full((len(users), depth), NO_ITEM), np.zeros((len(users), depth), np.float32)
        known_as, item_now = indices_on(lake, ds, as_of, "user_id")[users], indices_on(lake, as_of, ds, "item_id")
        places = np.flatnonzero(known_as != NOT_KNOWN)
        places = places[np.argsort(known_as[places])]
        for part in np.array_split(places, max(1, -(-len(places) // USERS_AT_ONCE))) if len(places) else []:
            rows = read_list_rows(lists, known_as[part])
            found = top_places(rows, known_as[part], depth, self.exclude_seen)
            items[part] = np.where(found >= 0, np.append(item_now[rows.item_indices], NO_ITEM)[found], NO_ITEM)
            scores[part] = np.where(found >= 0, np.append(rows.scores, 0)[found], 0)
        return items, scores


def history_events(lake: Lake, ds: str, users: np.ndarray, exposures: Exposures) -> EventLog:
    """Reads what `histories` as of ds hold of users: without prices, at most `max_history` events each.

    Args:
        users: user indices, ascending. Shape (num_users,), int64.
    """
    names = ["item_indices", "event_type_indices", "event_times"]
    asked = (pc.field("user_index") >= int(users[0])) & (pc.field("user_index") <= int(users[-1]))
    kept = [np.empty((4, 0))]
    for batch in list_batches(lake.require(HISTORIES, ds), ["user_index", *names], asked).to_batches():
        rows = batch.filter(pa.array(np.isin(batch["user_index"].to_numpy(), users)))
        item, place, seconds = (rows[name].flatten().to_numpy() for name in names)
        user = np.repeat(rows["user_index"].to_numpy(), pc.list_value_length(rows["item_indices"]).to_numpy())
        kept.append(np.stack([user, item, seconds / SECONDS_PER_DAY, place - FIRST_VALUE_INDEX]))
    user, item, day, place = np.concatenate(kept, axis=1)
    is_known = (place >= 0) & (place < len(EVENT_TYPES)) & (item >= FIRST_VALUE_INDEX)
    indices = (column[is_known].astype(np.int64) for column in (user, item, place))
    user, item, place = indices
    return EventLog.of(user, item, day[is_known], place, is_exposed=exposures.marks(user, item, day[is_known]))


def active_users(lake: Lake, shop: Shop, ds: str, since: str) -> np.ndarray:
    """Returns who did anything after the day `since`, up to ds; ascending. Shape (num_users,), int64."""
    words = read_vocabulary(lake, ds, "user_id")
    found = [np.empty(0, np.int64)]
    for day in lake.days(EVENTS, until=ds, since=since):
        users = pc.unique(lake.read(EVENTS, day, columns=["user_id"], filter=_after(shop, since, ds))["user_id"])
        found.append(indices_of(pa.chunked_array([users]), words).drop_null().to_numpy())
    return np.unique(np.concatenate(found)).astype(np.int64)


def logged_events(lake: Lake, shop: Shop, ds: str, since: str, users: np.ndarray, exposures: Exposures) -> EventLog:
    """Reads the events of users after the day `since`, up to ds, with prices; a day at a time, and only theirs stay.

    Args:
        users: user indices. Shape (num_users,), int64.
    """
    words = [read_vocabulary(lake, ds, field) for field in ("user_id", "item_id")]
    kept = [np.empty((6, 0))]
    for day in lake.days(EVENTS, until=ds, since=since):
        rows = lake.read(EVENTS, day, columns=_EVENT_COLUMNS, filter=_after(shop, since, ds))
        user, item = (
            indices_of(rows[name], column) for name, column in zip(("user_id", "item_id"), words, strict=True)
        )
        place = pc.index_in(rows["event_type"], value_set=pa.array(EVENT_TYPES))
        days = pc.divide(rows["event_time"].cast(pa.int64()).cast(pa.float64()), SECONDS_PER_DAY * 1e6)
        price = pc.fill_null(rows["price"], 0.0)
        known = pa.table([user, item, days, place, price, rows["quantity"]], names=_EVENT_COLUMNS).drop_null()
        known = known.filter(pa.array(np.isin(known["user_id"].to_numpy(), users)))
        kept.append(np.stack([column.to_numpy() for column in known.columns]))
    user, item, days, place, price, quantity = np.concatenate(kept, axis=1)
    indices = (column.astype(np.int64) for column in (user, item, place))
    user, item, place = indices
    return EventLog.of(user, item, days, place, price, quantity, exposures.marks(user, item, days))


def _after(shop: Shop, since: str, ds: str) -> pc.Expression:
    """Events of the days after `since`; lines that give something back count for none."""
    time = pc.field("event_time")
    is_within = (time >= pa.scalar(end_of(since, shop.drops.day_timezone))) & (
        time < pa.scalar(end_of(ds, shop.drops.day_timezone))
    )
    return is_within & ~takes_back()
