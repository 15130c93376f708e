"""What speaks for the role of a column, what is odd about it, and what ingestion makes of that, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobs.raw.drafting.looked_at import LookedAtColumn
from jobs.raw.drafting.roles import Role

_WHOLE_FLOAT = re.compile(r"-?\d+\.0")
_EXPONENT = re.compile(r"-?\d+(\.\d+)?[eE]\+?\d+")
_COMMA_DECIMAL = re.compile(r"[^\d]*-?(\d{1,3}(\.\d{3})+|\d+),(\d{1,2}|\d{4,})\D*")
_POINT_DECIMAL = re.compile(r"[^\d]*-?(\d{1,3}(,\d{3})+|\d+)\.(\d{1,2}|\d{4,})\D*")
_THOUSANDS_OR_NOT = re.compile(r"[^\d]*-?\d{1,3}[.,]\d{3}\D*")
_NOBODY = ("0", "-1", "-", "guest", "anonymous", "unknown", "none", "gast", "invitado", "anonyme", "anonimo")
"""What some exports write for a customer who is none, beside the words that are known for nothing."""


def note_of(role: Role) -> str:
    """What speaks for a role and what stands in its column, for a comment."""
    column = role.column
    said = [role.why, f"{column.share_filled:.0%} filled"]
    # Shop files are shown around; who the customers are is nobody's business.
    if role.name != "user_id":
        said.append(f"e.g. {' | '.join(column.examples)}")
    return "; ".join([*said, *oddities(column, role.name)])


def oddities(column: LookedAtColumn, role: str) -> list[str]:
    """Returns what somebody should know of a column that plays a role."""
    return [
        *_of_any(column),
        *(_of_id(column) if role in ("user_id", "item_id", "session_id") else ()),
        *_of_role(column, role),
    ]


def _of_any(column: LookedAtColumn) -> Iterator[str]:
    if column.nulls:
        words = ", ".join(f"{word} {count:,}" for word, count in list(column.nulls.items())[:4])
        yield f"words for nothing: {words}"
    if column.num_nested:
        yield f"{column.num_nested:,} rows hold a list or an object there"


def _of_id(column: LookedAtColumn) -> Iterator[str]:
    whole = column.share_like(_WHOLE_FLOAT)
    if whole == 1.0:
        yield "every id ends in .0, as tables of floats have it; ingestion takes it off"
    elif whole > 0.05:
        yield f"{whole:.0%} of the ids end in .0: 12.0 and 12 stay two; export the column as text if they are one"
    exponents = column.share_like(_EXPONENT)
    if exponents:
        yield f"{exponents:.0%} of the ids are numbers with an exponent, whose digits may be lost; export them as text"


def _of_role(column: LookedAtColumn, role: str) -> Iterator[str]:
    if role == "user_id" and (words := nobody(column)):
        yield f"taken for nobody: {', '.join(words)}"
    if role == "event_time" and column.form is not None and column.form.odd:
        odd = ", ".join(column.form.odd)
        yield f"{1 - column.form.share:.1%} of its values are written otherwise, such as {odd}"
    if role == "price" and decimals(column) == "both":
        yield "decimal points and decimal commas; each number tells by itself"


def nobody(column: LookedAtColumn) -> list[str]:
    """Returns the values of a column of users that are no user: such a word, or such a number in most of the rows."""
    most = max((count for text, count in column.values.items() if text.casefold() not in _NOBODY), default=0)
    return [
        text
        for text, count in column.values.items()
        if text.casefold() in _NOBODY and (text != "0" or count > 2 * most)
    ]


def decimals(column: LookedAtColumn) -> str:
    """Tells what stands before the rest of a number: `point`, `comma`, `both`, `unclear` (1.299 alone), or `none`."""
    comma, point = column.share_like(_COMMA_DECIMAL), column.share_like(_POINT_DECIMAL)
    if comma and point:
        return "both"
    if comma or point:
        return "comma" if comma else "point"
    return "unclear" if column.share_like(_THOUSANDS_OR_NOT) > 0.2 else "none"


def has_thousands(column: LookedAtColumn) -> bool:
    """Whether some number may be in thousands or hold three decimals, such as 1.299."""
    return column.share_like(_THOUSANDS_OR_NOT) > 0.0
