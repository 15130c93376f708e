"""What the columns of a file may be in the contract: told by their names, and by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.raw.drafting.looked_at import LookedAtColumn, LookedAtFile
from jobs.raw.drafting.name_hints import EVENT_WORDS, is_other_time, name_score, squashed

Kind = Literal["events", "items", "users"]
ROLES: Mapping[Kind, tuple[str, ...]] = {
    "events": ("event_time", "user_id", "item_id", "event_type", "quantity", "price", "session_id"),
    "items": ("item_id", "title", "description", "category", "brand", "price", "is_available"),
    "users": ("user_id", "age", "gender", "country", "interests"),
}
"""Kind of file -> columns of the contract that it may hold."""
SURE = 0.55
"""A column with a lower score is a guess."""
_LOWEST = 0.25
_MOST_EVENT_WORDS = 60
_OWN_ID = {"id", "handle", "code", "number", "nr", "nummer", "no", "key", "codigo"}
"""What a catalogue or a list of customers calls the id of its rows."""
_FRACTION = re.compile(r"[+-]?\d*\.\d*[1-9]\d*")
_AGE = re.compile(r"\d{1,2}|1[01]\d|\d{1,2}\s?[-–]\s?\d{1,2}|\d{2}\+")
_ON_SALE = re.compile(
    r"\d+(\.0)?|-\d+|true|false|yes|no|in[ _]?stock|out[ _]?of[ _]?stock|(un)?available|(in)?active|draft|archived",
    re.IGNORECASE,
)
_NO_NAME = re.compile(r".{65,}|.*[|;{}\n].*", re.DOTALL)
"""A text that is too long, or holds too much, to name something."""
_LETTERS = re.compile(r".*[^\W\d_]{2}.*", re.DOTALL)


@dataclass(frozen=True)
class Role:
    """A column of the contract, and the column of the file that it may be.

    Attributes:
        why: in words.
        is_guess: whether somebody should look at it.
    """

    name: str
    column: LookedAtColumn
    score: float
    why: str

    @property
    def is_guess(self) -> bool:
        return self.score < SURE


def kind_of(file: LookedAtFile) -> Kind | None:
    """Tells what a file is of; None for one that is neither of events, items nor users."""
    guessed = roles_of(file, "events")
    events = {role.name for role in guessed if not role.is_guess}
    items = {role.name for role in roles_of(file, "items") if role.name != "item_id" or not role.is_guess}
    users = {role.name for role in roles_of(file, "users") if role.name != "user_id" or not role.is_guess}
    if {"event_time", "user_id", "item_id"} <= events:
        return "events"
    if "item_id" in items and items & {"title", "category", "brand", "description"}:
        return "items"
    if "user_id" in users and users & {"age", "gender", "country", "interests"}:
        return "users"
    if {"event_time", "user_id", "item_id"} <= {role.name for role in guessed}:
        return "events"
    return "items" if "item_id" in items and items & {"price", "is_available"} else None


def roles_of(file: LookedAtFile, kind: Kind) -> list[Role]:
    """Gives each role of the kind the column that fits it best, no column two roles, in the order of the roles."""
    taken: dict[str, Role] = {}
    candidates = sorted(
        (role for name in ROLES[kind] for role in candidates_of(file, name, kind)),
        key=lambda role: (-role.score, ROLES[kind].index(role.name), file.columns.index(role.column)),
    )
    of_list = _list_of_items(candidates)
    for role in candidates:
        is_free = role.name not in taken and role.column.path not in {other.column.path for other in taken.values()}
        if is_free and role.column.of_list in ("", of_list):
            taken[role.name] = role
    if kind == "events" and {"user_id", "item_id"} - set(taken):
        _guess_ids(file, taken)
    return [taken[name] for name in ROLES[kind] if name in taken]


def candidates_of(file: LookedAtFile, name: str, kind: Kind) -> list[Role]:
    """Every column that may play a role, the best first."""
    roles = []
    for column in file.columns:
        score = _score(column, name, kind)
        if score >= _LOWEST:
            roles.append(Role(name, column, round(score, 3), _why(column, name)))
    return sorted(roles, key=lambda role: -role.score)


def _why(column: LookedAtColumn, name: str) -> str:
    """What speaks for a role, in words."""
    by_name = name_score(column.path, name)
    if by_name == 1.0 or (name in ("user_id", "item_id") and squashed(column.path) in _OWN_ID):
        return "so it is called"
    if by_name:
        return "its name is like that"
    return "what stands in it is like that"


def event_type_of(word: str) -> str | None:
    """What a word of an export means, of the event types of the contract; None where it is not known."""
    return EVENT_WORDS.get(squashed(word))


def _score(column: LookedAtColumn, name: str, kind: Kind) -> float:
    if not column.values:
        return 0.0
    by_name = name_score(column.path, name)
    if kind != "events" and name in ("item_id", "user_id") and squashed(column.path) in _OWN_ID:
        by_name = max(by_name, 0.9 if squashed(column.path) == "id" else SURE)
    by_values = _fits(column, name, by_name)
    base = by_name if name != "event_time" else max(by_name, 0.35)
    if name == "event_type" and _known_words(column) > 0.2:
        base = max(base, 0.5) + 0.3
    return base * by_values * (0.6 + 0.4 * column.share_filled)


def _fits(column: LookedAtColumn, name: str, by_name: float) -> float:
    """How well what stands in a column goes with a role: 0 rules it out."""
    if name == "event_time":
        if column.form is None or not column.form.has_date or is_other_time(column.path):
            return 0.0
        return column.form.share * (1.0 if column.form.has_clock else 0.85)
    if name in ("user_id", "item_id", "session_id"):
        return _fits_id(column, by_name)
    if name == "event_type":
        return _fits_event_type(column)
    if name in ("quantity", "price"):
        return 1.0 if column.share_amounts > 0.6 and column.form is None else 0.0
    if name in ("title", "description"):
        return 1.0 if column.share_like(_LETTERS) > 0.5 and column.form is None else 0.0
    if name in ("category", "brand", "interests"):
        return 1.0 if column.form is None and column.share_like(_FRACTION) < 0.5 else 0.0
    if name == "is_available":
        return 1.0 if column.share_like(_ON_SALE) == 1.0 else 0.0
    if name == "age":
        return 1.0 if column.share_like(_AGE) > 0.8 else 0.0
    return 1.0 if len(column.values) <= 300 and column.form is None else 0.0


def _fits_id(column: LookedAtColumn, by_name: float) -> float:
    is_nested = column.num_nested > 0.5 * column.num_filled
    is_time = column.form is not None and (column.times is not None or not column.form.pattern.startswith("unix"))
    # Google's visitors are called 1000000001.1709000001.
    is_number = by_name < 1.0 and column.share_like(_FRACTION) > 0.5
    if is_nested or is_time or is_number:
        return 0.0
    if by_name < SURE and column.share_like(_NO_NAME) > 0.5:
        return 0.0
    return 1.0 if by_name >= SURE or column.form is None else 0.5


def _fits_event_type(column: LookedAtColumn) -> float:
    is_nested = column.num_nested > 0.5 * column.num_filled
    is_word = len(column.values) <= _MOST_EVENT_WORDS and column.form is None and not is_nested
    # A word comes again and again, but for a handful of rows.
    return 1.0 if is_word and (column.share_distinct < 0.5 or _known_words(column) > 0.5) else 0.0


def _known_words(column: LookedAtColumn) -> float:
    """The share of a column's different values that are words for an event."""
    if len(column.values) > _MOST_EVENT_WORDS:
        return 0.0
    return sum(event_type_of(word) is not None for word in column.values) / len(column.values)


def _list_of_items(candidates: Sequence[Role]) -> str:
    """The list whose elements are the items; one list a row can be unrolled."""
    return next((role.column.of_list for role in candidates if role.name == "item_id"), "")


def _guess_ids(file: LookedAtFile, taken: dict[str, Role]) -> None:
    """Takes the first columns that may be ids, a user before an item, as public logs have them."""
    if "event_time" not in taken:
        return
    used = {role.column.path for role in taken.values()}
    for column in file.columns:
        wanted = next((name for name in ("user_id", "item_id") if name not in taken), None)
        is_id = (
            column.num_filled > 0 and _fits_id(column, 0.0) == 1.0 and not column.of_list and column.kind != "yes or no"
        )
        named = any(name_score(column.path, role) >= SURE for role in ROLES["events"] if role != "item_id")
        # A rating, a country or a flag has few values, and one that is always the same names nobody.
        is_rating = len(column.values) == 1 or (len(column.values) <= 10 and column.num_filled > 200)
        if wanted and is_id and not named and not is_rating and column.path not in used and column.share_filled > 0.5:
            taken[wanted] = Role(wanted, column, _LOWEST, "the first column left that may be an id")
            used.add(column.path)
