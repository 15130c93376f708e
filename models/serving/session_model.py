"""What a shopper may want next, from what they did a moment ago: the night's sequence model, asked during the day.

The encoder reads the latest events of a session, after those that the night knows of the user, exactly as the night
reads histories; every item of the catalogue is scored, and the shop's rules choose among them. Somebody who did nothing
yet, and whom nobody knows, gets the night's list for new people like them, or what sells; their first click is read by
the model.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.semantics.gap_buckets import gap_bucket
from expectations.semantics.reasons import reasons_of
from expectations.shop.reason_texts import worded
from expectations.shop.reasons import Reason
from expectations.tables import PADDING_INDEX, UNKNOWN_INDEX
from models.nn.network_fitting import as_numpy
from models.nn.sequence_encoder import NUM_GAP_BUCKETS
from models.serving.bundle import SessionBundle
from models.serving.capped_top_k import capped_top_k
from models.serving.known_users import KnownUser
from models.serving.request import RequestError, SessionRequest, read_requests

MODEL = "sequence"
MAX_IGNORED_SHOWN = 20
"""Unknown items that an answer names: enough to find a mistake of the caller."""


@dataclass(frozen=True)
class Session:
    """What is known of a shopper at the moment of the request.

    Attributes:
        items, event_types, gaps: what the encoder reads, in time order.
        bought: item_index of what was bought, in the session or before it -> whether it may be recommended today.
        ignored: ids that the night does not know.
    """

    items: list[int]
    event_types: list[int]
    gaps: list[int]
    bought: dict[int, bool]
    ignored: list[str] = field(default_factory=list)


class SessionModel:
    """Answers requests from a bundle."""

    def __init__(self, bundle: SessionBundle) -> None:
        self.bundle, self.facts = bundle, bundle.facts
        self.caps = bundle.caps()
        self.index_of = {item_id: index for index, item_id in enumerate(bundle.items.item_ids) if item_id}
        self.words = {code: worded(self.facts.texts, code, self.facts.demand_source) for code in Reason}
        # Two threads at once in one network gain nothing on the cores that both take, and the slower one is late.
        self._alone = threading.Lock()
        self._encode(Session([], [], [], {}))

    def predict(self, inputs: Any) -> list[dict[str, Any]]:
        """One answer for each request, in their order.

        Raises:
            RequestError: a request cannot be answered; then none is.
        """
        requests = read_requests(inputs, self.facts.top_k)
        return [self._answer(request) for request in requests]

    def _answer(self, request: SessionRequest) -> dict[str, Any]:
        user = self.bundle.users.find(request.user_id) if request.user_id is not None else None
        session = self._session(request, user)
        by_demand = not session.items
        scores = self.bundle.items.demand if by_demand else self.bundle.vectors @ self._encode(session)
        listed = self._listed(scores, session, request.k)
        rows = self._rows(listed, scores, session, by_demand)
        if by_demand:
            rows = self._newcomer_rows(request, session, rows)
        return {
            "ds": self.facts.ds,
            "model_version": self.facts.model_version,
            "is_known_user": user is not None,
            "num_events": len(session.items),
            "num_ignored": len(session.ignored),
            "ignored_item_ids": list(dict.fromkeys(session.ignored))[:MAX_IGNORED_SHOWN],
            "items": rows,
        }

    def _session(self, request: SessionRequest, user: KnownUser | None) -> Session:
        """The user's latest events and then the session's, no more than the encoder reads."""
        most = self.facts.max_length - 1
        kept, ignored = self._latest(request, user, most)
        seconds = [event[2] for event in kept]
        gaps = [_gap(after - before) for before, after in pairwise(seconds)]
        if len(kept) > most:
            kept = kept[1:]  # it was there to tell the gap of the one after it
        elif kept:
            gaps = [_gap(seconds[0] - user.last_seconds) if user else 0, *gaps]
        items, event_types = [event[0] for event in kept], [event[1] for event in kept]
        if user:
            room = most - len(kept)
            earlier = slice(max(0, len(user.items) - room), None)
            items = [*user.items[earlier].tolist(), *items]
            event_types = [*user.event_types[earlier].tolist(), *event_types]
            gaps = [*user.gaps[earlier].tolist(), *gaps]
        today = max(self.facts.today, seconds[-1] // SECONDS_PER_DAY if seconds else 0)
        return Session(items, event_types, gaps, self._bought(items, event_types, kept, user, today), ignored)

    def _latest(
        self, request: SessionRequest, user: KnownUser | None, most: int
    ) -> tuple[list[tuple[int, int, int]], list[str]]:
        """Item, type and time of the session's latest events of known items, in time order: `most` and one before.

        What is not after the user's last event of the night is in their history already.
        """
        latest: list[tuple[int, int, int]] = []
        ignored: list[str] = []
        later = None
        for place in range(len(request.events) - 1, -1, -1):
            event = request.event(place)
            if later is not None and event.seconds > later:
                raise RequestError(
                    f"`{request.where}.events` must be in time order, the latest last. Received: events[{place}] "
                    f"{event.seconds - later} seconds after the one that follows it. Sort them by event_time."
                )
            later = event.seconds
            if user is not None and event.seconds <= user.last_seconds:
                break
            index = self.index_of.get(event.item_id)
            if index is None:
                ignored.append(event.item_id)
                continue
            latest.append((index, self.facts.event_types.get(event.event_type, UNKNOWN_INDEX), event.seconds))
            if len(latest) > most:
                break
        return latest[::-1], ignored

    def _bought(
        self,
        items: Sequence[int],
        event_types: Sequence[int],
        session: Sequence[tuple[int, int, int]],
        user: KnownUser | None,
        today: int,
    ) -> dict[int, bool]:
        purchase = self.facts.event_types.get("purchase")
        bought = {i: True for i, kind in zip(items, event_types, strict=True) if kind == purchase}
        if user:
            bought |= {index: day <= today for index, day in user.return_day.items()}
        gap_days = self.bundle.items.usual_gap_days
        for index, kind, seconds in session:
            if kind == purchase:
                bought[index] = today - seconds // SECONDS_PER_DAY >= gap_days[index]
        return bought

    def _encode(self, session: Session) -> np.ndarray:
        """Returns the encoder's output after the last event: float32, shape (dim,).

        Its input has one width, so that it is compiled once.
        """
        length, width = len(session.items), self.facts.max_length
        padding = [PADDING_INDEX] * (width - 1 - length)
        items = np.array([UNKNOWN_INDEX, *session.items, *padding])
        inputs = {
            "history": self.bundle.vectors[items][None],
            "event_types": np.array([[0, *session.event_types, *padding]], dtype=np.int32),
            "gaps": np.array([[0, *session.gaps, *padding]], dtype=np.int32),
        }
        with self._alone:
            hidden = self.bundle.encoder.predict_on_batch(inputs)
        return as_numpy(hidden)[0, length]

    def _listed(self, scores: np.ndarray, session: Session, k: int) -> np.ndarray:
        """The best `k` that may be recommended, with no more of a group, or of what was bought, than the shop says."""
        chosen = np.where(self.bundle.items.is_available, scores, -np.inf).astype(np.float32)
        bought = np.array(sorted(session.bought), dtype=np.int64)
        may_return = np.array([session.bought[index] for index in bought.tolist()], dtype=bool)
        chosen[bought[~may_return]] = -np.inf
        repeats = bought[may_return]
        best_first = repeats[np.lexsort((repeats, -chosen[repeats]))]
        chosen[best_first[int(self.facts.max_repeat_share * k + 1e-9) :]] = -np.inf
        return capped_top_k(chosen, k, self.caps)

    def _rows(self, listed: np.ndarray, scores: np.ndarray, session: Session, by_demand: bool) -> list[dict[str, Any]]:
        codes, cited_items = self._reasons(listed, session, by_demand)
        items, source = self.bundle.items, self.facts.demand_source if by_demand else MODEL
        return [
            {
                "rank": rank,
                "item_id": items.item_ids[item],
                "score": round(float(scores[item]), 6),
                "source": source,
                "reason_code": code.value,
                "reason": self._text(code, cited),
                "because_item_ids": [items.item_ids[cited]] if cited else [],
            }
            for rank, (item, code, cited) in enumerate(zip(listed.tolist(), codes, cited_items, strict=True), 1)
        ]

    def _newcomer_rows(
        self, request: SessionRequest, session: Session, in_demand: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The night's list for new people of the request's segments; beyond its end, what sells follows."""
        barred = {self.bundle.items.item_ids[index] for index, may_return in session.bought.items() if not may_return}
        listed = [row for row in self.bundle.newcomers.find(request.segments) if row["item_id"] not in barred]
        there = {row["item_id"] for row in listed}
        rows = [*listed, *(row for row in in_demand if row["item_id"] not in there)][: request.k]
        return [{**row, "rank": rank, "because_item_ids": []} for rank, row in enumerate(rows, start=1)]

    def _text(self, code: Reason, cited: int) -> str:
        before, after = self.words[code]
        return before if after is None else f"{before}{self.bundle.items.titles[cited]}{after}"

    def _reasons(self, listed: np.ndarray, session: Session, by_demand: bool) -> tuple[list[Reason], list[int]]:
        """The best reason that is true of each item, in the order that the night's tables keep, and what it cites."""
        items = self.bundle.items
        met = np.unique(np.array([*session.items, *session.bought], dtype=np.int64))
        weights = np.asarray(self.bundle.neighbours[met][:, listed].todense()) * (met[:, None] != listed)
        causes = weights.argmax(axis=0) if len(met) and not by_demand else None
        is_spoken_for = np.zeros(len(listed), bool)
        cited = np.zeros(len(listed), np.int64)
        if causes is not None:
            is_spoken_for = weights[causes, np.arange(len(listed))] > 0
            cited[is_spoken_for] = met[causes[is_spoken_for]]
        bought = np.array(sorted(session.bought), dtype=np.int64)
        codes, cited_items = reasons_of(
            listed,
            by_demand=np.full(len(listed), by_demand),
            is_popular=items.is_popular[listed] | (by_demand & (items.demand[listed] > 0)),
            is_met=np.isin(listed, session.items),
            cited=cited,
            is_cited_bought=np.isin(cited, bought),
            is_bought=np.isin(listed, bought),
        )
        return [Reason(code) for code in codes], cited_items.tolist()


def _gap(seconds: int) -> int:
    """The bucket of a pause, of those that the encoder knows."""
    return min(gap_bucket(seconds), NUM_GAP_BUCKETS - 1)
