"""`mlflow models serve`, asked over HTTP as a shop asks it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import psutil
import pytest

from models.data.dataset import Dataset
from models.families.sequence import SequenceModel
from tests.worlds.best_items import recommend
from tests.worlds.communities import USERS
from tests.worlds.session_night import SETTINGS, SOLD_OUT
from tests.worlds.session_requests import (
    Server,
    event,
    events_of,
    items_of,
    scores_of,
)


def test_known_users_get_the_lists_of_the_nightly_model(server: Server, world: Dataset, nightly: SequenceModel) -> None:
    items, scores = recommend(nightly, world, np.array(USERS), k=10, exclude_seen=False)
    for user, row, row_scores in zip(USERS, items, scores, strict=True):
        answer = server.ask(user_id=f"user {user}", k=9)
        kept = [(f"item {item}", score) for item, score in zip(row, row_scores, strict=True) if item != SOLD_OUT][:9]
        assert answer["is_known_user"]
        assert items_of(answer) == [item for item, _ in kept]
        np.testing.assert_allclose(scores_of(answer), [score for _, score in kept], rtol=1e-4)


def test_the_same_events_of_an_unknown_user_get_the_same_list(server: Server, world: Dataset) -> None:
    for user in USERS:
        answer, known = (
            server.ask(user_id="nobody", events=events_of(world, user), k=9),
            server.ask(user_id=f"user {user}", k=9),
        )
        assert (answer["is_known_user"], known["is_known_user"]) == (False, True)
        assert items_of(answer) == items_of(known)
        np.testing.assert_allclose(scores_of(answer), scores_of(known), rtol=1e-5)


def test_an_empty_session_gets_what_sells_and_the_first_click_changes_it(server: Server) -> None:
    popular = server.ask(k=9)
    assert {row["source"] for row in popular["items"]} == {"recent_demand"}
    assert {row["reason"] for row in popular["items"]} == {"Popular right now"}
    for clicked in (6, 9):
        answer = server.ask(events=[event(f"item {clicked}", "view")], k=9)
        assert {row["source"] for row in answer["items"]} == {"sequence"}
        of_community = [int(item.removeprefix("item ")) % 2 == clicked % 2 for item in items_of(answer)]
        assert sum(of_community) >= 8
        cited = [row for row in answer["items"] if row["reason_code"] == "because_you_viewed"]
        assert cited and all(row["because_item_ids"] == [f"item {clicked}"] for row in cited)
        assert all(row["reason"] == f"Because you viewed Thing {clicked}" for row in cited)


def test_what_is_sold_out_is_never_answered(server: Server) -> None:
    assert f"item {SOLD_OUT}" not in items_of(server.ask(user_id="user 2", k=1000))


def test_unknown_items_are_ignored_and_told(server: Server) -> None:
    known = [event("item 3"), event("item 5", minute=3)]
    answer = server.ask(events=[known[0], event("'; DROP TABLE users; --", minute=1), known[1]])
    assert (answer["num_events"], answer["num_ignored"]) == (2, 1)
    assert answer["ignored_item_ids"] == ["'; DROP TABLE users; --"]
    assert items_of(answer) == items_of(server.ask(events=known))
    assert items_of(server.ask(events=[event("new today")])) == items_of(server.ask())


def test_a_session_of_ten_thousand_events_is_read_from_its_end(server: Server) -> None:
    long = [event(f"item {2 + n % 20}", "view", n) for n in range(10_000)]
    answer = server.ask(events=long)
    assert answer["num_events"] == SETTINGS["max_length"] - 1
    assert items_of(answer) == items_of(server.ask(events=long[-20:]))
    assert server.ask(events=[event("unknown", "view", n) for n in range(10_000)])["num_ignored"] == 10_000


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "valid JSON"),
        (b"\xff\xfe", "valid JSON"),
        (b"[]", "Received a list"),
        (b"{}", "'inputs' key"),
        (b'{"inputs": 3}', "Expected list"),
        (b'{"inputs": [3]}', "Expected dict"),
        (b'{"inputs": []}', "must hold 1 to 100 requests. Received: 0"),
        (b'{"inputs": [{"k": -1}]}', "`inputs[0].k` must be a whole number from 1 to 1000. Received: -1"),
        (b'{"inputs": [{"k": 1001}]}', "Received: 1001"),
        (b'{"inputs": [{"k": true}]}', "Received: True"),
        (b'{"inputs": [{"k": 2.5}]}', "Received: 2.5"),
        (b'{"inputs": [{"segments": "all"}]}', "`inputs[0].segments` must be a list of texts"),
        (b'{"inputs": [{"segments": [7]}]}', "Received: [7]"),
        (b'{"inputs": [{"user_id": 7}]}', "`inputs[0].user_id` must be text"),
        (b'{"inputs": [{}, {"event": []}]}', "Received the key 'event'. Did you mean 'events'?"),
        (b'{"inputs": [{"events": "item 3"}]}', "`inputs[0].events` must be a list"),
        (b'{"inputs": [{"events": [4]}]}', "`inputs[0].events[0]` must be an object"),
        (b'{"inputs": [{"events": [{"item_id": 4}]}]}', "`inputs[0].events[0].item_id` must be text. Received: 4"),
        (b'{"inputs": [{"events": [{"item_id": "a", "event_type": "look"}]}]}', "one of view, click, cart, purchase"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_rule(server: Server, body: bytes, says: str) -> None:
    status, text = server.post(body)
    assert status == 400
    assert says in json.loads(text)["message"]


@pytest.mark.parametrize("time", [None, 5, "yesterday", "2024-03-11T12:00:00", "2024-03-11", {"a": 1}])
def test_a_time_without_its_zone_is_refused(server: Server, time: Any) -> None:
    body = {"inputs": [{"events": [{"item_id": "item 3", "event_type": "view", "event_time": time}]}]}
    status, text = server.post(json.dumps(body).encode())
    assert status == 400
    assert "`inputs[0].events[0].event_time` must be a time with its zone" in json.loads(text)["message"]


def test_events_out_of_order_are_refused(server: Server) -> None:
    body = {"inputs": [{"events": [event("item 3", minute=1), event("item 5")]}]}
    status, text = server.post(json.dumps(body).encode())
    assert status == 400
    assert "in time order, the latest last. Received: events[0] 60 seconds after" in json.loads(text)["message"]


def test_the_server_listens_on_loopback_alone(server: Server) -> None:
    parts = server.started.processes
    heard = [c.laddr.ip for part in parts for c in part.net_connections() if c.status == psutil.CONN_LISTEN]
    assert heard and set(heard) == {"127.0.0.1"}
