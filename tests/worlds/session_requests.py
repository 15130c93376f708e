"""Builds session models and their requests, asks a server, and reads the answers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from expectations.runtime.program import Night
from models import register_session_model
from models.data.dataset import Dataset
from models.serving.bundle import SessionBundle
from models.serving.session_model import SessionModel
from tests.worlds.session_server import SessionServer

NOON = datetime(2024, 3, 11, 12, tzinfo=timezone.utc)
MODEL_NAME = "nightjar-communities-sessions"


def build_bundle(night: Night, folder: Path) -> None:
    inputs = register_session_model.bundle_inputs(night)
    assert inputs is not None
    register_session_model.build_bundle(night, inputs, folder)


def built(night: Night, folder: Path) -> SessionModel:
    build_bundle(night, folder)
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


def shop_file(folder: Path) -> Path:
    path = folder / "communities.toml"
    columns = 'event_time = "time"\nuser_id = "customer"\nitem_id = "article"\n'
    path.write_text(
        f'name = "communities"\n[events]\npath = "{{data}}/{{ds}}.csv"\n[events.columns]\n{columns}'
        f'[events.constants]\nevent_type = "purchase"\n'
    )
    return path
