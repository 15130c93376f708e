"""What a request to the session model says, checked at the door.

A request is a JSON object with `events`, oldest first, each with `item_id`, `event_type` and `event_time`; `user_id`
where the shop knows who it is; `segments` for what else it knows of somebody new; `k` for another number of items
than the shop's. An event may carry more, which is not looked at. Ids are data: one that the night does not know is no
error, since items and people appear during the day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from expectations.tables import EVENT_TYPES

MAX_K = 1000
"""Items that one request may ask for: bounds an answer's length."""
MAX_REQUESTS = 100
"""In one call."""
MAX_SEGMENTS = 20
"""Segments of one visitor; `new_user_recommendations` has at most eight for any."""
_KEYS = ("user_id", "events", "segments", "k")


class RequestError(ValueError):
    """A request says something that it cannot mean; the message gives the rule, what came and what to do."""


@dataclass(frozen=True)
class SessionEvent:
    """One event of a session. `seconds` since 1970 UTC."""

    item_id: str
    event_type: str
    seconds: int


@dataclass(frozen=True)
class SessionRequest:
    """A request whose keys are good; `events` are looked at when they are read, from the latest on.

    Attributes:
        user_id: None where the shop does not know who it is.
        segments: of `new_user_recommendations`, the finest first.
        k: how many items to answer with.
    """

    user_id: str | None
    events: Sequence[Any]
    segments: Sequence[str]
    k: int
    where: str

    def event(self, place: int) -> SessionEvent:
        """The event at a place.

        Raises:
            RequestError: it lacks something, or something in it is of another kind.
        """
        event, where = self.events[place], f"{self.where}.events[{place}]"
        if not isinstance(event, Mapping):
            raise _refusal(where, "an object with item_id, event_type and event_time", event)
        item_id, event_type = event.get("item_id"), event.get("event_type")
        if not isinstance(item_id, str) or not item_id:
            raise _refusal(f"{where}.item_id", "text", item_id)
        if not isinstance(event_type, str) or event_type not in EVENT_TYPES:
            raise _refusal(f"{where}.event_type", f"one of {', '.join(EVENT_TYPES)}", event_type)
        return SessionEvent(item_id, event_type, _seconds(event.get("event_time"), f"{where}.event_time"))


def read_requests(inputs: Any, default_k: int) -> list[SessionRequest]:
    """All requests of one call.

    Args:
        default_k: the number of items where a request names none.

    Raises:
        RequestError: one of them cannot be answered; then none is.
    """
    if not isinstance(inputs, list):
        raise _refusal("inputs", f"a list of 1 to {MAX_REQUESTS} requests", inputs)
    if not 1 <= len(inputs) <= MAX_REQUESTS:
        raise RequestError(
            f"`inputs` must hold 1 to {MAX_REQUESTS} requests. Received: {len(inputs)}. Send fewer a call."
        )
    return [_request(value, f"inputs[{place}]", default_k) for place, value in enumerate(inputs)]


def _request(value: Any, where: str, default_k: int) -> SessionRequest:
    if not isinstance(value, Mapping):
        raise _refusal(where, f"an object with {', '.join(_KEYS)}", value)
    for key in value:
        if key not in _KEYS:
            close = get_close_matches(str(key), _KEYS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise RequestError(f"{where} may hold {', '.join(_KEYS)}. Received the key {_shown(key)}.{hint}")
    user_id, k = value.get("user_id"), value.get("k")
    if user_id is not None and not isinstance(user_id, str):
        raise _refusal(f"{where}.user_id", "text, or left out for somebody whom the shop does not know", user_id)
    if k is not None and (not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MAX_K):
        raise _refusal(f"{where}.k", f"a whole number from 1 to {MAX_K}", k)
    events = value.get("events", [])
    if not isinstance(events, list):
        raise _refusal(f"{where}.events", "a list, oldest event first; empty for a session that begins", events)
    segments = value.get("segments", [])
    if not isinstance(segments, list) or not all(isinstance(name, str) for name in segments):
        raise _refusal(f"{where}.segments", "a list of texts, such as country=Germany, the finest first", segments)
    if len(segments) > MAX_SEGMENTS:
        raise RequestError(f"`{where}.segments` may hold {MAX_SEGMENTS}. Received: {len(segments)}. Send fewer.")
    return SessionRequest(user_id, events, segments, default_k if k is None else k, where)


def _seconds(value: Any, where: str) -> int:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise _refusal(where, "a time with its zone, such as 2025-06-01T12:00:00Z", value)
    return int(time.timestamp() // 1)


def _refusal(where: str, rule: str, came: Any) -> RequestError:
    return RequestError(f"`{where}` must be {rule}. Received: {_shown(came)}")


def _shown(value: Any) -> str:
    """`repr` keeps control characters of an id out of the message; a long one is cut."""
    text = repr(value[:80] if isinstance(value, str | list) else value)
    return text if len(text) <= 120 else f"{text[:120]}…"
