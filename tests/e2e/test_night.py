"""One whole night of a tiny demo shop through Airflow: killed while it writes, run again, read as the shop reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
from deltalake import DeltaTable

from expectations.runtime.lake import Lake
from expectations.runtime.tracking_config import TrackingConfig
from expectations.shop.shop import SHIPPED_SHOPS, load_shop
from expectations.tables import HISTORIES, ITEMS, OUTPUT_TABLES
from jobs.demo_shop.config import WorldConfig
from jobs.write_demo_drops import write_drops
from models.serving.model_registry import serving_uri

REPOSITORY = Path(__file__).resolve().parents[2]
DS = "2025-04-05"
HORIZON_DAYS = 10
TOP_K = 5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@dataclass(frozen=True)
class Ran:
    """A night: its root, what was published when it was killed, what its last run printed."""

    root: Path
    tables_when_killed: list[str]
    printed: str

    def table(self, name: str) -> pd.DataFrame:
        return DeltaTable(str(self.root / "tables" / name)).to_pandas(filters=[("ds", "=", DS)])


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("night")
    root = folder / "root"
    shop = folder / "tiny.toml"
    text = (SHIPPED_SHOPS / "demo.toml").read_text("utf-8")
    for old, new in (
        ('name = "demo"', 'name = "tiny"'),
        ("horizon_days = 14", f"horizon_days = {HORIZON_DAYS}"),
        ("top_k = 10", f"top_k = {TOP_K}"),
        ("num_candidates = 100", "num_candidates = 20"),
    ):
        assert old in text
        text = text.replace(old, new)
    shop.write_text(text, "utf-8")
    write_drops(
        str(root), WorldConfig(num_users=150, num_items=60, mean_visit_rate=0.3, weekly_new_items_share=0.05), DS
    )
    command = [sys.executable, "docker/local/run_night.py", "--shop", str(shop), "--ds", DS]
    environment = {
        **os.environ,
        "NIGHTJAR_ROOT": str(root),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "PYTHONPATH": str(REPOSITORY),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    started = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL)
    # The program that writes these has four more to write.
    _kill_when(started, lambda: bool(Lake(str(root)).days(HISTORIES)))
    tables_when_killed = [name for name in OUTPUT_TABLES if DeltaTable.is_deltatable(str(root / "tables" / name))]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return Ran(root, tables_when_killed, ended.stdout)


def _kill_when(started: subprocess.Popen[bytes], is_time: Callable[[], bool]) -> None:
    """Ends a night with all of its programs at once, as a machine that loses its power does."""
    while not is_time():
        assert started.poll() is None, "the night ended before it could be killed"
        time.sleep(0.5)
    process = psutil.Process(started.pid)
    for victim in [process, *process.children(recursive=True)]:
        # Tasks end by themselves when the night's process does.
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    started.wait()


def test_a_killed_night_has_published_nothing(night: Ran) -> None:
    assert night.tables_when_killed == []


def test_every_user_has_k_distinct_available_items(night: Ran) -> None:
    rows = night.table("user_recommendations")
    items = Lake(str(night.root)).read(ITEMS, DS).to_pandas()
    available = set(items[items.is_available].item_id)
    by_user = rows.groupby("user_id")
    assert len(by_user) > 100
    assert (by_user["item_id"].nunique() == TOP_K).all()
    assert (by_user.size() == TOP_K).all()
    assert by_user["rank"].agg(set).map(lambda ranks: ranks == set(range(1, TOP_K + 1))).all()
    assert set(rows.item_id) <= available


def test_every_item_has_k_similar_ones_of_both_kinds(night: Ran) -> None:
    rows = night.table("similar_items")
    items = Lake(str(night.root)).read(ITEMS, DS).to_pandas()
    assert set(rows.item_id) == set(items.item_id)
    assert (rows.groupby("item_id")["similar_item_id"].nunique() == TOP_K).all()
    assert not (rows.item_id == rows.similar_item_id).any()
    assert {"bought_together", "alike"} <= set(rows.reason_code)
    assert {"item_item", "item_features"} <= set(rows.source)


def test_new_users_have_a_list_by_what_is_known_of_them(night: Ran) -> None:
    rows = night.table("new_user_recommendations")
    assert (rows.groupby("segment").size() == TOP_K).all()
    depths = {0 if segment == "all" else segment.count("=") for segment in set(rows.segment)}
    assert {0, 1, 2} <= depths
    # Where a segment says no more than its parent, its list is the parent's; some must say more.
    lists = rows.sort_values("rank").groupby("segment")["item_id"].agg(tuple)
    assert lists.nunique() > 1


def test_new_items_have_an_audience(night: Ran) -> None:
    rows = night.table("new_item_audiences")
    items = Lake(str(night.root)).read(ITEMS, DS).to_pandas().set_index("item_id")
    assert len(rows) > 0
    assert (items.loc[rows.item_id.unique(), "first_seen"] > items.first_seen.min()).all()
    assert (rows.groupby("item_id")["user_id"].nunique() == rows.groupby("item_id").size()).all()


def test_who_knows_one_department_gets_lists_of_the_others(night: Ran) -> None:
    rows = night.table("cross_domain_recommendations")
    items = Lake(str(night.root)).read(ITEMS, DS).to_pandas()
    assert set(rows.domain) == set(items[items.is_available].domain) and rows.domain.nunique() > 1
    domain_of = items.set_index("item_id").domain
    assert (rows.item_id.map(domain_of) == rows.domain).all()
    cited = rows.explode("because_item_ids").dropna(subset=["because_item_ids"])
    assert len(cited) > 0
    assert (cited.because_item_ids.map(domain_of) != cited.domain).all()


def test_the_manifest_shows_every_model_over_the_full_catalogue(night: Ran) -> None:
    manifest = night.table("run_manifest").set_index("table_name")
    assert sorted(manifest.index) == sorted(OUTPUT_TABLES)
    metrics = json.loads(str(manifest.loc["user_recommendations", "metrics"]))
    judged = {(row["model"], row["task"]) for row in metrics["backtest"]}
    models = load_shop("demo").models
    assert {"two_tower", "sequence", "content", "graph", "deep_cf"} < set(models)
    assert judged == {(model, task) for model in models for task in ("new_items", "with_repeats")}
    assert all(row["num_users"] > 0 and row["num_items"] >= 60 for row in metrics["backtest"])
    assert metrics["gate"]["published_model"] in models


def test_every_row_says_how_likely_it_was_and_the_manifest_whether_lists_were_reranked(night: Ran) -> None:
    rows = night.table("user_recommendations")
    assert ((rows.propensity > 0) & (rows.propensity <= 1)).all()
    assert (rows.propensity < 1).any(), "the demo shop leaves a little to chance"
    manifest = night.table("run_manifest").set_index("table_name")
    policy = json.loads(str(manifest.loc["user_recommendations", "metrics"]))["policy"]
    assert policy["agent"] == load_shop("demo").policy.agent != ""
    assert policy["movement"]["num_users"] > 0 and policy["by_backtest"]["num_lists"] > 0
    assert ("policy" in set(rows.source)) == policy["is_allowed"]


def test_the_night_registers_its_sequence_model_for_sessions(night: Ran) -> None:
    assert serving_uri(TrackingConfig(str(night.root)), "tiny") == "models:/nightjar-tiny-sessions@serving"


def test_the_night_is_shown_to_whoever_ran_it(night: Ran) -> None:
    needs = ("Long term", "What goes with a few items", "What new users get", "Who may want what is new", "in a domain")
    for said in ("publish_tables", "user_recommendations", "Backtest", "Gate", "recommended", *needs):
        assert said in night.printed
