"""The aliases of MLflow go back to what another night published, and the tables stay."""

from __future__ import annotations

import json

import pytest
from deltalake import DeltaTable, write_deltalake
from mlflow import MlflowClient

from expectations.runtime.lake import Lake
from expectations.runtime.tracking_config import TrackingConfig
from expectations.tables import RUN_MANIFEST, USER_RECOMMENDATIONS, NightError
from models.data.arrow_rows import arrow_rows
from models.interface import tracking
from models.interface.tracking import RegisteredVersion
from models.rollback_aliases import day_before, main
from tests.models.conftest import NO_SERVER
from tests.worlds.judged_night import manifest_contract, manifest_row

FITS, SESSIONS = "nightjar-demo", "nightjar-demo-sessions"
DAYS = ("2025-05-29", "2025-05-30", "2025-05-31")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three nights: graph, two_tower and deep_cf were published; all fit every model, and register sessions' models."""
    lake = Lake(str(tmp_path_factory.mktemp("root")))
    lake.bind_shop("demo")
    config = TrackingConfig(lake.root)
    config.local_folder.mkdir()
    client = MlflowClient(config.uri)
    for name in (FITS, SESSIONS):
        client.create_registered_model(name)
    for ds, published in zip(DAYS, ("graph", "two_tower", "deep_cf"), strict=True):
        for model in ("graph", "two_tower", "deep_cf"):
            tags = {"model": model, "as_of": ds, "version": f"{model}-{ds}-0a"}
            client.create_model_version(FITS, lake.root, tags=tags)
        client.create_model_version(SESSIONS, lake.root, tags={"as_of": ds, "version": f"sessions-{ds}-0a"})
        versions = {model: f"{model}-{ds}-0a" for model in ("graph", "two_tower", "deep_cf")}
        row = manifest_row(USER_RECOMMENDATIONS.name, published) | {"model_versions": json.dumps(versions)}
        rows = arrow_rows(manifest_contract(), ds, [row])
        write_deltalake(lake.table_path(RUN_MANIFEST), rows, mode="append", partition_by=["ds"])
    return lake


@pytest.fixture
def client(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """With both aliases at the last night."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = MlflowClient(TrackingConfig(lake.root).uri)
    client.set_registered_model_alias(FITS, "champion", "9")
    client.set_registered_model_alias(SESSIONS, "serving", "3")
    return client


def aliases(client: MlflowClient) -> tuple[str, str]:
    champion = client.get_model_version_by_alias(FITS, "champion")
    serving = client.get_model_version_by_alias(SESSIONS, "serving")
    return champion.tags["version"], serving.tags["version"]


def test_nothing_moves_before_it_is_applied(
    lake: Lake, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--root", lake.root])
    assert aliases(client) == ("deep_cf-2025-05-31-0a", "sessions-2025-05-31-0a")
    assert capsys.readouterr().out.splitlines() == [
        "champion  deep_cf-2025-05-31-0a (version 9) → two_tower-2025-05-30-0a (version 5)",
        "serving   sessions-2025-05-31-0a (version 3) → sessions-2025-05-30-0a (version 2)",
        "This was a dry run: add --apply to do it.",
    ]


def test_both_go_to_the_night_before_and_then_to_the_one_before_that(lake: Lake, client: MlflowClient) -> None:
    versions = DeltaTable(lake.table_path(RUN_MANIFEST)).version()
    main(["--root", lake.root, "--apply"])
    assert aliases(client) == ("two_tower-2025-05-30-0a", "sessions-2025-05-30-0a")
    main(["--root", lake.root, "--apply"])
    assert aliases(client) == ("graph-2025-05-29-0a", "sessions-2025-05-29-0a")
    assert DeltaTable(lake.table_path(RUN_MANIFEST)).version() == versions
    with pytest.raises(NightError, match="no version of nightjar-demo before graph-2025-05-29-0a"):
        main(["--root", lake.root, "--apply"])


def test_one_alias_goes_to_what_a_day_published(lake: Lake, client: MlflowClient) -> None:
    main(["--root", lake.root, "--alias", "champion", "--to", "2025-05-29", "--apply"])
    assert aliases(client) == ("graph-2025-05-29-0a", "sessions-2025-05-31-0a")


def test_neither_moves_where_one_cannot(lake: Lake, client: MlflowClient) -> None:
    before = aliases(client)
    client.delete_registered_model_alias(SESSIONS, "serving")
    client.set_registered_model_alias(SESSIONS, "serving", "1")
    with pytest.raises(NightError, match="no version of nightjar-demo-sessions before sessions-2025-05-29-0a"):
        main(["--root", lake.root, "--apply"])
    assert aliases(client) == (before[0], "sessions-2025-05-29-0a")


def test_a_day_that_published_nothing_is_refused(lake: Lake, client: MlflowClient) -> None:
    with pytest.raises(NightError, match="no version of nightjar-demo of 2025-06-01 to go back to"):
        main(["--root", lake.root, "--to", "2025-06-01", "--apply"])


def test_an_alias_of_a_version_that_no_night_published_goes_to_the_last_night_before() -> None:
    published = {ds: RegisteredVersion(n, f"m-{ds}", ds) for n, ds in enumerate(DAYS)}
    assert day_before(published, RegisteredVersion(7, "never published", DAYS[1])) == DAYS[1]
    assert day_before(published, None) == DAYS[2]
    assert day_before(published, RegisteredVersion(8, f"m-{DAYS[1]}", DAYS[1])) == DAYS[0]
    assert day_before({}, None) == ""


def test_a_server_that_is_away_is_an_error_here(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NO_SERVER)
    with pytest.raises(NightError, match="MLflow does not answer"):
        main(["--root", lake.root, "--apply"])


def test_versions_are_listed_the_latest_first(lake: Lake) -> None:
    found = tracking.registered_versions(TrackingConfig(lake.root), SESSIONS)
    assert [(version.number, version.as_of) for version in found] == [(3, DAYS[2]), (2, DAYS[1]), (1, DAYS[0])]
