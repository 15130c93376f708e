"""What a drafted shop file says of its events: columns, times, words and money, asked where the file does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from expectations.shop.raw_files import NULL_WORDS, RawFile
from expectations.tables import EVENT_TYPES
from jobs.raw.drafting.looked_at import LookedAtColumn, LookedAtFile
from jobs.raw.drafting.name_hints import name_score, squashed
from jobs.raw.drafting.oddities import decimals, has_thousands, nobody, note_of
from jobs.raw.drafting.questions import Answer, Asker
from jobs.raw.drafting.roles import Role, candidates_of, event_type_of
from jobs.raw.drafting.shop_text import ShopText
from jobs.raw.drafting.time_forms import TimeForm

_IGNORE = "ignore"
_MOST_ASKED_WORDS = 12
_YES, _NO = {"true", "yes", "1", "1.0", "t", "y"}, {"false", "no", "0", "0.0", "f", "n"}
_OF_LINE = ("total", "line", "sum", "betrag", "importe", "montant", "revenue", "subtotal", "zeilen")
_MINOR = ("cents", "cent", "minor", "centamount", "pence", "centimes", "centavos")
_OF_ORDERS = (
    "order",
    "purchase",
    "sale",
    "transaction",
    "invoice",
    "bestell",
    "auftrag",
    "pedido",
    "compra",
    "commande",
    "dingdan",
)
_OF_VIEWS = ("view", "visit", "click", "stream", "session", "pageview", "log", "track")
_ITEM_WORDS, _USER_WORDS = ("title", "category", "brand", "price"), ("country", "age", "gender")
_TRUSTED = 0.7
_VISITORS = ("visit", "pseudo", "anonym", "device", "cookie", "clientid", "besucher")


def say_events(
    text: ShopText,
    file: LookedAtFile,
    roles: Mapping[str, Role],
    asker: Asker,
    *,
    has_items: bool,
    days: Sequence[str] = (),
) -> TimeForm | None:
    """Says what the columns of an events file are. Returns how its times are written.

    Args:
        has_items: whether a file of items says what the events would otherwise have to.
        days: in the names of the files, the one of `file` last.
    """
    roles = _settled(file, roles, asker)
    time = _say_time(text, file, roles, asker, days)
    _say_users(text, file, roles)
    for name, role in roles.items():
        if name not in ("event_time", "user_id", "event_type"):
            text.say("events.columns", name, role.column.path, note_of(role), role.is_guess)
    event_types = _say_event_type(text, file, roles, asker)
    if "price" in roles:
        _say_price(text, roles["price"].column, has_quantity="quantity" in roles, asker=asker)
    _say_fill_down(text, roles)
    if not has_items:
        _say_attributes(text, "items_from_events", file, roles, _ITEM_WORDS)
    _say_attributes(text, "users_from_events", file, roles, _USER_WORDS)
    if "purchase" not in event_types:
        target = next((event for event in ("cart", "click", "view") if event in event_types), "view")
        text.say("", "target_events", [target], "the file holds no purchases")
    return time


def _settled(file: LookedAtFile, roles: Mapping[str, Role], asker: Asker) -> dict[str, Role]:
    """Asks for the columns that an event cannot do without where these are guesses."""
    settled = dict(roles)
    words = {"event_time": "the time of an event", "user_id": "the user", "item_id": "the item"}
    for name, what in words.items():
        role = settled[name]
        if not role.is_guess:
            continue
        taken = {other.column.path for other in settled.values() if other.name != name}
        options = [column.path for column in file.columns if column.values and column.path not in taken]
        shown = "; ".join(f"{column.path}: {' | '.join(column.examples)}" for column in file.columns if column.values)
        answer = asker.ask(f"Which column is {what}? {shown}", role.column.path, options)
        column = file.column(answer.text) or role.column
        settled[name] = Role(
            name, column, role.score if answer.is_guess else 1.0, role.why if answer.is_guess else "as you said"
        )
    return settled


def _say_time(
    text: ShopText, file: LookedAtFile, roles: Mapping[str, Role], asker: Asker, days: Sequence[str]
) -> TimeForm | None:
    role = roles["event_time"]
    form = role.column.form
    text.say("events.columns", "event_time", role.column.path, note_of(role), role.is_guess)
    if form is None:
        return None
    form, order = _with_order(form, role.column, asker, days)
    pattern, note = form.pattern, ""
    clock = _clock_column(file, roles) if not form.has_clock else None
    if clock is not None and clock.form is not None:
        text.say("events", "time_of_day", clock.path, f"the time of the day; e.g. {' | '.join(clock.examples)}")
        pattern = f"{pattern or 'yyyy-MM-dd'} {clock.form.pattern}"
    elif not form.has_clock:
        note = "days without a time: of one day, the order of a user's events is not known"
    is_guess = order is not None and order.is_guess
    if is_guess:
        note = f"or {form.other_pattern}: each day is one of the first twelve, so that both may be meant"
    if pattern:
        text.say("events", "time_format", pattern, note, is_guess)
    if not form.zone:
        answer = asker.ask(
            f"Which zone are the times of {role.column.path} in, such as Europe/Berlin? They do not say.",
            "UTC",
            problem=_problem_of_zone,
        )
        text.say("events", "timezone", answer.text, "the times name no zone", answer.is_guess)
    return form


def _problem_of_zone(text: str) -> str:
    try:
        RawFile("{ds}", timezone=text)
    except ValueError as err:
        return str(err)
    return ""


def _with_order(
    form: TimeForm, column: LookedAtColumn, asker: Asker, days: Sequence[str]
) -> tuple[TimeForm, Answer | None]:
    """Tells day and month apart by the day in the file's name, or asks."""
    if not form.other_pattern:
        return form, None
    other = form.swapped()
    named = set(days[-1:])
    if bool(named & set(form.days)) != bool(named & set(other.days)):
        return (form if named & set(form.days) else other), None
    question = f"Is {column.examples[0]} the day first, or the month? Each of the times can be read in both ways."
    answer = asker.ask(question, form.pattern, [form.pattern, form.other_pattern])
    return (form if answer.text == form.pattern else other), answer


def _clock_column(file: LookedAtFile, roles: Mapping[str, Role]) -> LookedAtColumn | None:
    """A column that holds times of the day, beside one of days."""
    taken = {role.column.path for role in roles.values()}
    for column in file.columns:
        if column.path not in taken and column.form is not None and not column.form.has_date and not column.of_list:
            return column if column.form.share > 0.9 else None
    return None


def _say_users(text: ShopText, file: LookedAtFile, roles: Mapping[str, Role]) -> None:
    """Says who a user is: somebody who has logged in, else a visitor, else nobody."""
    role = roles["user_id"]
    taken = {other.column.path for name, other in roles.items() if name != "user_id"}
    others = [
        of
        for of in candidates_of(file, "user_id", "events")
        if name_score(of.column.path, "user_id") == 1.0 and of.column.path not in {*taken, role.column.path}
    ]
    known = [of for of in others if not _is_visitor(of) and of.column.share_filled >= 0.5]
    if _is_visitor(role) and known:
        role, others = known[0], [role, *others]
    fuller = [of for of in others if of.column.share_filled > role.column.share_filled + 0.05]
    if role.column.share_filled < 0.5 and fuller:
        role, fuller = fuller[0], []
    text.say("events.columns", "user_id", role.column.path, note_of(role), role.is_guess)
    if fuller:
        note = "where the user is not known; then one person may be two users"
        text.say("events.fallback_columns", "user_id", [fuller[0].column.path], note)
    elif role.column.share_filled < 1.0:
        text.say(
            "events", "missing_user", "ignore", f"{1 - role.column.share_filled:.0%} of the rows name none: guests"
        )
    words = nobody(role.column)
    if words:
        text.say(
            "events", "null_words", [*NULL_WORDS, *words], f"users called {', '.join(words)} are nobody", is_guess=True
        )


def _is_visitor(role: Role) -> bool:
    """Whether a column names a browser, which somebody has before logging in, and not a person."""
    return any(word in squashed(role.column.path) for word in _VISITORS)


def _say_event_type(text: ShopText, file: LookedAtFile, roles: Mapping[str, Role], asker: Asker) -> set[str]:
    """Says what the words of the events mean, or what all of them are. Returns the event types that there are."""
    role = roles.get("event_type")
    if role is None:
        answer = _event_of_all(file, roles, asker)
        note = (
            "every row is one" if not answer.is_guess else "no column says what happened: view, click, cart or purchase"
        )
        text.say("events.constants", "event_type", answer.text, note, answer.is_guess)
        return {answer.text}
    column = role.column
    text.say("events.columns", "event_type", column.path, note_of(role), role.is_guess)
    meant = _meanings(column, asker)
    if all(word == answer.text for word, answer in meant.items()):
        return set(meant)
    left = {
        word: column.values[word] for word in column.values if meant.get(word, Answer(_IGNORE, True)).text == _IGNORE
    }
    for word, answer in meant.items():
        if answer.text != _IGNORE:
            note = f"{column.values[word]:,} of the rows that were looked at"
            text.say("events.event_types", word, answer.text, note, answer.is_guess)
    if left:
        shown = ", ".join(f"{word} {count:,}" for word, count in list(left.items())[:8])
        text.say("events", "other_event_types", "ignore", f"what these mean is not told: {shown}")
    return {answer.text for answer in meant.values()} - {_IGNORE}


def _meanings(column: LookedAtColumn, asker: Asker) -> dict[str, Answer]:
    """What each word means; of words that nobody knows, the commonest is taken for a view where no other is known."""
    words = list(column.values)
    if {word.casefold() for word in words} <= _YES | _NO:
        return {word: Answer("purchase" if word.casefold() in _YES else "view", False) for word in words}
    known = {word: event for word in words if (event := event_type_of(word)) is not None}
    meant = {word: Answer(event, False) for word, event in known.items()}
    for place, word in enumerate(word for word in words if word not in known):
        likeliest = "view" if not known and place == 0 else _IGNORE
        if place >= _MOST_ASKED_WORDS:
            break
        question = f"What does {word!r} in {column.path} mean? {column.values[word]:,} of the rows have it."
        meant[word] = asker.ask(question, likeliest, (*EVENT_TYPES, _IGNORE))
    return meant


def _event_of_all(file: LookedAtFile, roles: Mapping[str, Role], asker: Asker) -> Answer:
    name = squashed(Path(file.path).stem)
    paths = " ".join(squashed(column.path) for column in file.columns)
    if any(word in name for word in _OF_ORDERS) or any(
        word in paths for word in ("order", "invoice", "lineitem", "quantity")
    ):
        likeliest, is_told = "purchase", True
    elif any(word in name for word in _OF_VIEWS):
        likeliest, is_told = ("click" if "click" in name else "view"), True
    else:
        likeliest, is_told = "purchase", "quantity" in roles and "price" in roles
    if is_told:
        return Answer(likeliest, is_guess=False)
    return asker.ask("No column says what happened. What is each row?", likeliest, EVENT_TYPES)


def _say_price(text: ShopText, column: LookedAtColumn, has_quantity: bool, asker: Asker) -> None:
    told = decimals(column)
    if told == "comma" and has_thousands(column):
        text.say("events", "decimal", "comma", f"e.g. {' | '.join(column.examples)}")
    elif told == "unclear":
        example = next(text for text in column.examples)
        answer = asker.ask(f"Is {example} more than a thousand?", "no", ("yes", "no"))
        is_point = "." in example
        value = ("comma" if is_point else "point") if answer.text == "yes" else ("point" if is_point else "comma")
        text.say("events", "decimal", value, f"{example} may be one and a bit, or a thousand", answer.is_guess)
    name = squashed(column.path.rpartition(".")[2])
    if has_quantity and any(word in name for word in _OF_LINE) and not name.startswith("lineitemprice"):
        answer = asker.ask(f"Is {column.path} the price of one unit, or of the whole line?", "line", ("line", "unit"))
        if answer.text == "line":
            text.say("events", "price_is", "line", "the quantity divides it", answer.is_guess)
    if any(name.endswith(word) for word in _MINOR) and column.share_whole > 0.99:
        text.say("events", "money_scale", 100, "so it is called")


def _say_fill_down(text: ShopText, roles: Mapping[str, Role]) -> None:
    """Fills the time of later lines of an order, where only the first one holds it."""
    order = roles.get("session_id")
    if order is None or order.column.share_filled < 0.99 or order.column.of_list:
        return
    columns = [
        roles[name].column.path
        for name in ("event_time", "user_id")
        if roles["event_time"].column.share_filled < 0.95 and roles[name].column.share_filled < 0.95
    ]
    if columns:
        text.say("events.fill_down", "key", order.column.path, "only an order's first line holds these", is_guess=True)
        text.say("events.fill_down", "columns", columns)


def _say_attributes(
    text: ShopText, table: str, file: LookedAtFile, roles: Mapping[str, Role], names: tuple[str, ...]
) -> None:
    """Says which columns of the events tell of their items, or of their users."""
    taken = {role.column.path for name, role in roles.items() if name != "price"}
    of_list = roles["item_id"].column.of_list
    for name in names:
        kind = "items" if table == "items_from_events" else "users"
        found = [
            role
            for role in candidates_of(file, name, "items" if kind == "items" else "users")
            if role.column.path not in taken
            and role.column.of_list in ("", of_list)
            and name_score(role.column.path, name) >= _TRUSTED
        ]
        if found:
            taken.add(found[0].column.path)
            text.say(table, name, found[0].column.path, f"e.g. {' | '.join(found[0].column.examples)}")
