"""Sessions in real time: a bundle's rules and parts, and `mlflow models serve` asked over HTTP as a shop asks it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from mlflow import MlflowClient
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.runtime.tracking_config import TrackingConfig
from expectations.semantics.repeat_purchases import excluded_pairs
from expectations.shop.reasons import readable
from expectations.tables import FITTED_MODELS, HISTORIES, NEW_USER_RECOMMENDATIONS, Table
from jobs.features.histories import gap_buckets
from jobs.lists.reason_text import readable_title
from models import register_session_model
from models.data.dataset import Dataset, load_dataset
from models.families.sequence import SequenceModel
from models.interface.model import recommend
from models.interface.published_lists import PublishedNights
from models.interface.weights_store import fetched_folder
from models.serving import model_registry as session_registry
from models.serving.bundle import BundleError, SessionBundle
from models.serving.capped_top_k import capped_top_k, top_k
from models.serving.new_user_lists import NewcomerLists
from models.serving.repurchase_days import ReturnDays
from models.serving.session_model import SessionModel, gap_bucket
from tests.models.conftest import NO_SERVER
from tests.worlds.communities import DAY, USERS
from tests.worlds.session_night import SETTINGS, SOLD_OUT, session_night
from tests.worlds.session_server import SessionServer, session_server

NOON = datetime(2024, 3, 11, 12, tzinfo=timezone.utc)
MODEL_NAME = "nightjar-communities-sessions"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return session_night(str(tmp_path_factory.mktemp("sessions")))


@pytest.fixture(scope="module")
def world(night: Night) -> Dataset:
    return load_dataset(night.lake, night.shop, DAY)


@pytest.fixture(scope="module")
def nightly(night: Night) -> SequenceModel:
    with fetched_folder(night.lake.read(FITTED_MODELS, DAY, "sequence")["weights_path"][0].as_py()) as folder:
        return SequenceModel.load(folder)


@pytest.fixture(scope="module")
def model(night: Night, tmp_path_factory: pytest.TempPathFactory) -> SessionModel:
    return built(night, tmp_path_factory.mktemp("bundle"))


def built(night: Night, folder: Path) -> SessionModel:
    register_session_model.build_bundle(night, folder)
    return SessionModel(SessionBundle.load(folder))


def event(item: str, kind: str = "view", minute: int = 0) -> dict[str, str]:
    return {"item_id": item, "event_type": kind, "event_time": (NOON + timedelta(minutes=minute)).isoformat()}


def events_of(dataset: Dataset, user: int) -> list[dict[str, str]]:
    """A user's history as a request would tell it."""
    log, places = dataset.events, slice(*dataset.events.offsets[user : user + 2])
    times = [datetime.fromtimestamp(second, timezone.utc).isoformat() for second in log.time[places].tolist()]
    return [
        {"item_id": f"item {item}", "event_type": "purchase", "event_time": at}
        for item, at in zip(log.item_index[places].tolist(), times, strict=True)
    ]


def items_of(answer: dict[str, Any]) -> list[str]:
    return [row["item_id"] for row in answer["items"]]


def scores_of(answer: dict[str, Any]) -> list[float]:
    return [row["score"] for row in answer["items"]]


# --- Over HTTP --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    started: SessionServer

    def post(self, body: bytes) -> tuple[int, str]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.started.address}/invocations", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as err:
            return err.code, err.read().decode()

    def ask(self, **request: Any) -> dict[str, Any]:
        status, text = self.post(json.dumps({"inputs": [request]}).encode())
        assert status == 200, text
        answer: dict[str, Any] = json.loads(text)["predictions"][0]
        return answer


@pytest.fixture(scope="module")
def server(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    register_session_model.register_session_model(night)
    folder = tmp_path_factory.mktemp("server")
    with session_server(night.lake.root, str(shop_file(folder)), folder / "log") as started:
        yield Server(started)


def shop_file(folder: Path) -> Path:
    path = folder / "communities.toml"
    columns = 'event_time = "time"\nuser_id = "customer"\nitem_id = "article"\n'
    path.write_text(
        f'name = "communities"\n[events]\npath = "{{data}}/{{ds}}.csv"\n[events.columns]\n{columns}'
        f'[events.constants]\nevent_type = "purchase"\n'
    )
    return path


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


# --- What a session is -------------------------------------------------------------------------------------


def test_a_known_users_session_goes_on_from_their_history(model: SessionModel, world: Dataset) -> None:
    clicks = [event("item 5", "view", 0), event("item 7", "view", 40)]
    for user in (2, 3, 10):
        known, told = model.predict(
            [{"user_id": f"user {user}", "events": clicks}, {"events": [*events_of(world, user), *clicks]}]
        )
        assert known["num_events"] == told["num_events"] == SETTINGS["max_length"] - 1
        assert items_of(known) == items_of(told)
        np.testing.assert_allclose(scores_of(known), scores_of(told), rtol=1e-5)


def test_what_the_night_knows_already_is_not_read_twice(model: SessionModel, world: Dataset) -> None:
    click = event("item 5")
    once, again = model.predict(
        [{"user_id": "user 4", "events": [click]}, {"user_id": "user 4", "events": [*events_of(world, 4), click]}]
    )
    assert again == once


def test_answers_stand_in_the_order_of_the_requests(model: SessionModel) -> None:
    asked = [{"user_id": "user 2"}, {}, {"user_id": "user 3", "k": 1}]
    together = model.predict(asked)
    assert together == [model.predict([request])[0] for request in asked]
    assert [len(answer["items"]) for answer in together] == [3, 3, 1]


def test_somebody_new_gets_the_nights_list_for_people_like_them(model: SessionModel) -> None:
    def listed(place: str, *items: str) -> list[dict[str, Any]]:
        why = {"source": "segment_demand", "reason_code": "popular", "reason": f"Popular in {place} this week"}
        return [{"rank": rank, "item_id": item, "score": 1 / rank, **why} for rank, item in enumerate(items, start=1)]

    lists = {"all": listed("the world", "item 4", "item 5"), "country=Norway": listed("Norway", "item 7", "item 8")}
    asked = SessionModel(replace(model.bundle, newcomers=NewcomerLists(lists)))
    finest_first = ["country=Norway&gender=f", "country=Norway", "all"]
    norway, anybody, clicked = asked.predict(
        [
            {"segments": finest_first, "k": 4},
            {"k": 2},
            {"segments": finest_first, "events": [event("item 6")], "k": 4},
        ]
    )
    assert items_of(norway)[:2] == ["item 7", "item 8"]
    assert norway["items"][0]["reason"] == "Popular in Norway this week"
    assert len(set(items_of(norway))) == 4
    assert [row["rank"] for row in norway["items"]] == [1, 2, 3, 4]
    assert {row["source"] for row in norway["items"][2:]} == {"recent_demand"}
    assert {tuple(row) for row in norway["items"]} == {tuple(clicked["items"][0])}, "each row has the same keys"
    assert items_of(anybody) == ["item 4", "item 5"]
    assert {row["source"] for row in clicked["items"]} == {"sequence"}


def test_lists_for_new_people_are_those_that_the_night_published(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert NewcomerLists.published(lake, DAY).find(["country=Norway"]) == ()
    why = {"score": 0.5, "source": "segment_demand", "reason_code": "popular", "reason": "Popular"}
    rows = [
        {"ds": ds, "segment": segment, "rank": rank, "item_id": f"{segment} {ds} {rank}", **why}
        for ds in (DAY, "2024-03-11")
        for segment in ("all", "country=Norway")
        for rank in (2, 1)
    ]
    write_deltalake(lake.table_path(NEW_USER_RECOMMENDATIONS), pa.Table.from_pylist(rows))
    found = NewcomerLists.published(lake, DAY)
    assert [row["item_id"] for row in found.find(["country=Norway"])] == [f"country=Norway {DAY} {n}" for n in (1, 2)]
    assert found.find(["country=Sweden"]) == found.find([])
    found.save(tmp_path / "lists", {})
    assert NewcomerLists.load(tmp_path / "lists") == found


def test_reasons_follow_what_was_done(model: SessionModel) -> None:
    (answer,) = model.predict([{"events": [event("item 3", "view"), event("item 5", "purchase", 1)], "k": 20}])
    reason = {row["item_id"]: (row["reason_code"], row["because_item_ids"]) for row in answer["items"]}
    assert reason["item 5"] == ("buy_again", ["item 5"])
    assert {code for code, cited in reason.values() if cited == ["item 5"]} <= {"buy_again", "because_you_bought"}
    assert [row["rank"] for row in answer["items"]] == list(range(1, len(reason) + 1))
    assert scores_of(answer) == sorted(scores_of(answer), reverse=True)


# --- The shop's rules --------------------------------------------------------------------------------------


def test_a_shop_that_never_repeats_bars_what_was_bought_before_and_in_the_session(night: Night, tmp_path: Path) -> None:
    model = built(replace(night, shop=replace(night.shop, repeats="never")), tmp_path)
    dataset = load_dataset(night.lake, night.shop, DAY)
    known, session = model.predict([{"user_id": "user 2", "k": 1000}, {"events": [event("item 3", "purchase")]}])
    bought = {f"item {item}" for item in dataset.seen_by(np.array([2])).indices}
    assert len(bought) > 3 and not bought & set(items_of(known))
    assert "item 3" not in items_of(session)


def test_a_list_holds_no_more_repeats_than_the_shop_says(night: Night, tmp_path: Path) -> None:
    model = built(replace(night, shop=replace(night.shop, max_repeat_share=0.4)), tmp_path)
    dataset = load_dataset(night.lake, night.shop, DAY)
    (answer,) = model.predict([{"user_id": "user 2", "k": 5}])
    bought = {f"item {item}" for item in dataset.seen_by(np.array([2])).indices}
    assert len(set(items_of(answer)) & bought) == 2
    assert len(answer["items"]) == 5


def test_a_list_holds_no_more_of_a_category_than_the_shop_says(night: Night, tmp_path: Path) -> None:
    rules = replace(night.shop.rules, version="1", max_per_category=3)
    model = built(replace(night, shop=replace(night.shop, rules=rules)), tmp_path)
    names = dict(zip(model.bundle.items.item_ids, model.bundle.items.category.tolist(), strict=True))
    assert len(set(names.values()) - {0}) == 2
    free = [event("item 3"), event("item 5", minute=1)]
    short, long = model.predict([{"events": free, "k": 6}, {"events": free, "k": 8}])
    assert sorted(Counter(names[item] for item in items_of(short)).values()) == [3, 3]
    # Two categories hold six items; what follows is better than a list that falls short.
    assert items_of(long)[:6] == items_of(short)
    assert len(items_of(long)) == 8


@pytest.mark.parametrize("repeats", ["never", "after_gap", "allowed"])
def test_return_days_bar_what_the_nights_policy_bars(spark: SparkSession, night: Night, repeats: str) -> None:
    dataset, shop = load_dataset(night.lake, night.shop, DAY), replace(night.shop, repeats=repeats)

    def read(table: Table) -> Any:
        rows = spark.read.parquet(night.lake.require(table, DAY).path)
        # This world's vocabulary gives "purchase" another index than the night's.
        of_type = F.transform("event_type_indices", lambda _: F.lit(5))
        return rows.withColumn("event_type_indices", of_type) if table is HISTORIES else rows

    expected = excluded_pairs(read, shop, DAY)
    pairs = {(row[0], row[1]) for row in expected.collect()} if expected is not None else set()
    found, days = set(), ReturnDays.of(night.lake, dataset, repeats, purchase_index=2)
    today = dataset.end // 86_400
    for user in range(2, dataset.num_users):
        found |= {
            (user, item) for item, day in zip(*(a.tolist() for a in days.of_user(user)), strict=True) if day > today
        }
    assert found == pairs
    assert bool(pairs) == (repeats != "allowed")


# --- A bundle's parts --------------------------------------------------------------------------------------


def test_a_part_of_another_vocabulary_is_refused(night: Night, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    register_session_model.build_bundle(night, folder)
    with np.load(folder / "vectors.npz") as arrays:
        np.savez(folder / "vectors.npz", vectors=arrays["vectors"], vocabulary_hash=np.array("other"))
    with pytest.raises(
        BundleError, match=r"vectors.npz was built with vocabulary other, and the bundle .* speaks world"
    ):
        SessionBundle.load(folder)


def test_parts_that_speak_of_different_numbers_of_items_are_refused(night: Night, tmp_path: Path) -> None:
    register_session_model.build_bundle(night, tmp_path)
    with np.load(tmp_path / "vectors.npz") as arrays:
        np.savez(tmp_path / "vectors.npz", vectors=arrays["vectors"][:-1], vocabulary_hash=arrays["vocabulary_hash"])
    with pytest.raises(BundleError, match=r"the same items.*items.parquet': 23, 'vectors.npz': 22"):
        SessionBundle.load(tmp_path)


def test_a_fit_of_another_vocabulary_is_not_bundled(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = night.lake.read(FITTED_MODELS, DAY, "sequence").to_pylist()[0]
    monkeypatch.setattr(register_session_model, "fitted_model", lambda *_: {**row, "vocabulary_hash": "older"})
    with pytest.raises(BundleError, match="sequence as of 2024-03-10 was built with vocabulary older"):
        register_session_model.build_bundle(night, tmp_path)


def test_a_bundle_beside_tables_of_another_vocabulary_is_refused(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PublishedNights({DAY: "sequence"}, {DAY: "older"})
    monkeypatch.setattr(register_session_model, "published_nights", lambda _: published)
    with pytest.raises(BundleError, match="user_recommendations as published for 2024-03-10 was built with vocabulary"):
        register_session_model.build_bundle(night, tmp_path)


def test_a_night_registers_once_and_an_earlier_one_leaves_the_alias(
    night: Night, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(night.tracking.uri)
    before = client.get_model_version_by_alias(MODEL_NAME, "serving").version
    register_session_model.register_session_model(night)
    assert len(client.search_model_versions(f"name = '{MODEL_NAME}'")) == 1
    monkeypatch.setattr(register_session_model, "published_nights", lambda _: PublishedNights({"2024-03-12": "x"}))
    earlier = replace(night, shop=replace(night.shop, top_k=2))
    register_session_model.register_session_model(earlier)
    assert len(client.search_model_versions(f"name = '{MODEL_NAME}'")) == 2
    assert client.get_model_version_by_alias(MODEL_NAME, "serving").version == before


def test_nothing_in_the_registered_model_is_pickled(night: Night, server: Server) -> None:
    version = MlflowClient(night.tracking.uri).get_model_version_by_alias(MODEL_NAME, "serving")
    assert version.source
    files = [file.name for file in Path(version.source.removeprefix("file://")).rglob("*") if file.is_file()]
    assert {"session_code.py", "encoder.keras", "users.sqlite", "MLmodel"} <= set(files)
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]


def test_a_server_that_is_away_costs_a_warning(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        register_session_model.register_session_model(replace(night, tracking_server=NO_SERVER))
    assert "MLflow did not look for the session model, the night goes on without" in caplog.text


def test_a_shop_without_a_sequence_model_has_nothing_to_serve(
    night: Night, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = shop_file(tmp_path)
    flags = ["--shop", str(path), "--ds", DAY, "--root", str(tmp_path / "root"), "--models"]
    with caplog.at_level(logging.INFO):
        register_session_model.main([*flags, "recent_demand"])
        register_session_model.main([*flags, "recent_demand,sequence"])
    assert "nothing to serve: the shop does not run sequence" in caplog.text
    assert f"nothing to serve: sequence was not fitted as of ds={DAY}" in caplog.text
    assert session_registry.serving_uri(TrackingConfig(str(tmp_path / "root")), "communities") is None


def test_to_serve_before_any_night_says_what_to_run(tmp_path: Path) -> None:
    command = [sys.executable, "docker/local/serve.py", "--shop", str(shop_file(tmp_path))]
    environment = {**os.environ, "NIGHTJAR_ROOT": str(tmp_path / "root"), "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "No session model of the shop 'communities' is registered" in ended.stderr.splitlines()[-1]
    assert "Run `make nightly` with `sequence` among `models`" in ended.stderr


# --- The same in two places ----------------------------------------------------------------------------------


def test_gaps_and_titles_are_told_as_the_night_tells_them(spark: SparkSession) -> None:
    seconds = [0, 59, 60, 119, 120, 7_000, 90_000, 90_000_000]
    rows = spark.createDataFrame([(seconds,)], "seconds array<bigint>")
    (row,) = rows.select(gap_buckets(F.col("seconds"))).collect()
    assert row[0] == [0, *(gap_bucket(b - a) for a, b in pairwise(seconds))]
    titles = [None, "", " \t\n", "Lamp", "A\nlamp \x07", "x" * 80, "long " * 40, " wide\u00a0space "]
    rows = spark.createDataFrame([(n, title) for n, title in enumerate(titles)], "n int, title string")
    found = rows.select(readable_title(F.col("title"), F.lit("id"))).collect()
    assert [row[0] for row in found] == [readable(title, "id") for title in titles]


def test_equal_scores_stand_in_the_order_of_the_index() -> None:
    scores = np.array([-np.inf, 2, 1, 3, 2, 2, -np.inf], dtype=np.float32)
    assert top_k(scores, 3).tolist() == [3, 1, 4]
    assert top_k(scores, 100).tolist() == [3, 1, 4, 5, 2]


def test_caps_pass_over_what_is_too_much_however_far_the_next_one_stands() -> None:
    scores = np.arange(100, 0, -1).astype(np.float32)
    group = np.where(np.arange(100) < 60, 1, np.arange(100))
    group[99] = 0
    assert capped_top_k(scores, 4, [(2, group)]).tolist() == [0, 1, 60, 61]
    assert capped_top_k(scores, 4, [(2, group), (1, np.ones(100, int))]).tolist() == [0, 1, 2, 3]
    assert capped_top_k(scores, 4, []).tolist() == [0, 1, 2, 3]
    assert len(capped_top_k(np.full(3, -np.inf), 4, [(2, group)])) == 0
