"""A night with a session model, its bundle, and a server that answers from it; once for all files of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from expectations.runtime.program import Night
from expectations.tables import FITTED_MODELS
from models import register_session_model
from models.data.dataset import Dataset, load_dataset
from models.families.sequence import SequenceModel
from models.interface.weights_store import fetched_folder
from models.serving.session_model import SessionModel
from tests.worlds.communities import DAY
from tests.worlds.session_night import session_night
from tests.worlds.session_requests import (
    Server,
    built,
    shop_file,
)
from tests.worlds.session_server import session_server


@pytest.fixture(scope="package")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return session_night(str(tmp_path_factory.mktemp("sessions")))


@pytest.fixture(scope="package")
def world(night: Night) -> Dataset:
    return load_dataset(night.lake, night.shop, DAY)


@pytest.fixture(scope="package")
def nightly(night: Night) -> SequenceModel:
    with fetched_folder(
        night.lake, night.lake.read(FITTED_MODELS, DAY, "sequence")["weights_path"][0].as_py()
    ) as folder:
        return SequenceModel.load(folder)


@pytest.fixture(scope="package")
def model(night: Night, tmp_path_factory: pytest.TempPathFactory) -> SessionModel:
    return built(night, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="package")
def server(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    register_session_model.register_session_model(night)
    folder = tmp_path_factory.mktemp("server")
    with session_server(night.lake.root, str(shop_file(folder)), folder / "log") as started:
        yield Server(started)
