"""The three files of a day's drop, as the demo shop's till writes them: its own column names, words and dirt."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import numpy as np

from jobs.demo_shop.catalogue import Catalogue
from jobs.demo_shop.population import COUNTRIES, GENDERS, Population
from jobs.demo_shop.shelves import BRANDS, GROUP_DOMAIN, GROUPS, SHELVES, category_path
from jobs.demo_shop.visits import DayOfEvents

Row = tuple[str, ...]

EVENT_COLUMNS: Row = ("time", "customer", "article", "action", "units", "unit_price", "visit", "department")
ITEM_COLUMNS: Row = ("article", "name", "text", "category", "brand", "price", "picture", "department", "in_stock")
USER_COLUMNS: Row = ("customer", "age", "gender", "country", "interests")
ACTIONS = ("seen", "opened", "basket", "ordered")
"""The till's words for view, click, cart and purchase."""

DIRTY_SHARE = 0.005
"""Of the events file's rows, how many are dirty on purpose."""


def event_rows(events: DayOfEvents, day: date, goods: Catalogue, people: Population) -> list[Row]:
    """Returns the day's events, one row each, in the order of time."""
    domains = [GROUP_DOMAIN[shelf.group] for shelf in SHELVES]
    columns = (events.second, events.user, events.item, events.event_type, events.quantity, events.price, events.visit)
    return [
        (
            f"{day}T{str(timedelta(seconds=second)).zfill(8)}Z",
            people.user_id(user),
            goods.item_id(item),
            ACTIONS[event_type],
            str(quantity),
            f"{price:.2f}",
            f"{day:%y%m%d}-{visit:05d}",
            domains[goods.shelf[item]],
        )
        for second, user, item, event_type, quantity, price, visit in zip(*(c.tolist() for c in columns), strict=True)
    ]


def item_rows(goods: Catalogue) -> list[Row]:
    """Returns the whole catalogue as it stands; goods that were given up are no longer in it."""
    return [
        (
            goods.item_id(item),
            goods.title(item),
            goods.description(item),
            " > ".join(category_path(SHELVES[goods.shelf[item]])),
            BRANDS[goods.brand[item]],
            f"{goods.price[item]:.2f}",
            f"raw/pictures/{goods.item_id(item)}.png",
            GROUP_DOMAIN[SHELVES[goods.shelf[item]].group],
            "yes" if goods.is_available[item] else "no",
        )
        for item in np.flatnonzero(~goods.is_retired).tolist()
    ]


def user_rows(people: Population) -> list[Row]:
    """Everybody who ever joined, as the shop knows them; an empty text where it was not told."""
    interests: list[list[str]] = [[] for _ in range(len(people))]
    for user, group in zip(*np.nonzero(people.interests), strict=True):
        interests[user].append(GROUPS[group])
    return [
        (
            people.user_id(user),
            str(age) if age else "",
            GENDERS[gender] if gender >= 0 else "",
            COUNTRIES[country] if country >= 0 else "",
            "|".join(interests[user]),
        )
        for user, (age, gender, country) in enumerate(
            zip(people.age.tolist(), people.gender.tolist(), people.country.tolist(), strict=True)
        )
    ]


def with_dirty_events(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """Puts dirty copies of some rows among them: what real tills send. No good row is lost."""
    dirty = list(rows)
    for row in rng.choice(len(rows), round(DIRTY_SHARE * len(rows)), replace=False).tolist():
        time, customer, article, action, units, price, visit, department = rows[row]
        kinds = (
            (time, customer, article, "hovered", units, price, visit, department),
            (time, "", article, action, units, price, visit, department),
            (f"{time[:8]}31T25:61:00Z", customer, article, action, units, price, visit, department),
            (time, customer, article, action, units, f"-{price}", visit, department),
            (time, "till-test", article, action, units, price, visit, department),
            (time, customer, article, action, "two", price, visit, department),
            rows[row],
        )
        dirty.insert(int(rng.integers(0, len(dirty) + 1)), kinds[rng.integers(0, len(kinds))])
    return dirty


def with_dirty_items(rows: list[Row]) -> list[Row]:
    """Adds a row without a number, and one without a sensible price."""
    nameless = ("", "Gift card, do not sell", 'For the "window" only', "", "", "10.00", "", "home", "no")
    return [*rows, nameless, ("A-TEST", "Test article", "", "Test > Test > Test", "", "-1.00", "", "home", "no")]


def with_dirty_users(rows: list[Row]) -> list[Row]:
    """Adds a second row for the first customer, with an age that nobody has."""
    customer, _, gender, country, interests = rows[0]
    return [*rows, (customer, "999", gender, country, interests)]


def csv_gz(columns: Row, rows: Iterable[Sequence[str]]) -> bytes:
    """Returns a zipped CSV file; the same rows give the same bytes: the archive holds no time and no name."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode("utf-8"), compresslevel=6, mtime=0)
