"""Names of columns say what they hold, in the languages that shops write in."""

from __future__ import annotations

import pytest

from jobs.raw.drafting.name_hints import name_score
from jobs.raw.drafting.roles import event_type_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Kundennummer", "user_id"),
        ("id_cliente", "user_id"),
        ("utilisateur", "user_id"),
        ("yonghu_id", "user_id"),
        ("customer.id", "user_id"),
        ("user_id:token", "user_id"),
        ("Artikel-Nr.", "item_id"),
        ("productDetails[].product.id", "item_id"),
        ("items[].id", "item_id"),
        ("código_producto", "item_id"),
        ("Bestelldatum", "event_time"),
        ("Fecha Pedido", "event_time"),
        ("dataHora", "event_time"),
        ("Stück", "quantity"),
        ("Preço", "price"),
        ("event_params[key=ga_session_id].value", "session_id"),
    ],
)
def test_a_name_is_known(name: str, role: str) -> None:
    assert name_score(name, role) == 1.0


@pytest.mark.parametrize(
    ("name", "role"),
    [("seller_id", "user_id"), ("birthday", "event_time"), ("category_id", "item_id"), ("line_items[].id", "item_id")],
)
def test_a_name_of_something_else_is_not(name: str, role: str) -> None:
    assert name_score(name, role) < 0.5


def test_words_of_events_are_known_without_case_and_signs() -> None:
    words = ("View", "add_to_cart", "Order Completed", "detail-page-view", "Warenkorb", "goumai", "scroll")
    assert [event_type_of(word) for word in words] == ["view", "cart", "purchase", "view", "cart", "purchase", None]
