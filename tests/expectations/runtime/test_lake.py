"""A partition is seen whole or not at all, and a pointer says which version is the current one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake, fingerprint_of
from expectations.tables import ITEM_VECTORS, QUARANTINE, USER_RECOMMENDATIONS, USERS, NightError, TableContractError

DS = "2024-03-10"


def quarantine(*reasons: str) -> pa.Table:
    return pa.table(
        {
            "raw": [f"row {r}" for r in reasons],
            "reason": list(reasons),
            "source": ["events"] * len(reasons),
            "file": ["e.csv"] * len(reasons),
            "line": list(range(2, 2 + len(reasons))),
            "ds": [DS] * len(reasons),
        }
    )


def test_what_is_written_is_read_in_the_order_of_the_contract(lake: Lake) -> None:
    version = lake.write(QUARANTINE, DS, quarantine("no_price"), "f1", note="x")
    assert lake.read(QUARANTINE, DS).to_pylist() == [
        {"ds": DS, "source": "events", "reason": "no_price", "file": "e.csv", "line": 2, "raw": "row no_price"}
    ]
    assert lake.current(QUARANTINE, DS) == version
    assert (version.rows, version.fingerprint, version.metadata) == (1, "f1", {"note": "x"})


def test_a_pointer_that_an_older_release_wrote_is_read(lake: Lake) -> None:
    version = lake.write(QUARANTINE, DS, quarantine("no_price"), "f1", note="x")
    pointer = Path(lake.partition_path(QUARANTINE, DS)) / "current.json"
    pointer.write_text(pointer.read_text("utf-8").replace('"metadata"', '"facts"'), "utf-8")
    assert '"metadata"' not in pointer.read_text("utf-8")
    assert lake.current(QUARANTINE, DS) == version


def test_columns_and_rows_may_be_chosen(lake: Lake) -> None:
    lake.write(QUARANTINE, DS, quarantine("a", "b"), "f1")
    read = lake.read(QUARANTINE, DS, columns=["raw"], filter=pads.field("reason") == "b")
    assert read.to_pylist() == [{"raw": "row b"}]


def test_a_new_version_takes_over_and_the_old_files_stay_for_those_who_read_them(lake: Lake) -> None:
    old = lake.write(QUARANTINE, DS, quarantine("a"), "f1")
    new = lake.write(QUARANTINE, DS, quarantine("b", "c"), "f2")
    assert lake.read(QUARANTINE, DS)["reason"].to_pylist() == ["b", "c"]
    assert pq.read_table(old.path)["reason"].to_pylist() == ["a"]
    assert old.path != new.path


def test_two_attempts_at_one_version_share_no_folder(lake: Lake) -> None:
    assert lake.new_version_path(QUARANTINE, DS, "f1") != lake.new_version_path(QUARANTINE, DS, "f1")
    assert lake.new_version_path(QUARANTINE, DS, "f1", attempt="7").endswith("/ds=2024-03-10/f1-7")


def test_files_that_were_not_committed_are_not_seen(lake: Lake) -> None:
    path = Path(lake.new_version_path(QUARANTINE, DS, "f1"))
    path.mkdir(parents=True)
    pq.write_table(quarantine("a"), path / "part-0.parquet")
    assert lake.current(QUARANTINE, DS) is None
    with pytest.raises(TableContractError, match=r"quarantine ds=2024-03-10: no such partition .* Was jobs\.\w+ run"):
        lake.read(QUARANTINE, DS)


def test_a_writer_killed_before_its_commit_leaves_the_previous_version(lake: Lake) -> None:
    lake.write(QUARANTINE, DS, quarantine("a"), "f1")
    dying = (
        "import os, signal, sys, pyarrow as pa, expectations.runtime.lake as l\n"
        "from expectations.tables import QUARANTINE\n"
        "l.Lake.commit = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"rows = pa.table({{n: ['{DS}'] for n in QUARANTINE.column_names}})\n"
        f"l.Lake(sys.argv[1]).write(QUARANTINE, '{DS}', rows, 'f2')\n"
    )
    done = subprocess.run([sys.executable, "-c", dying, lake.root], cwd=REPOSITORY, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(Path(lake.partition_path(QUARANTINE, DS)).glob("f2-*"))) == 1
    assert lake.read(QUARANTINE, DS)["reason"].to_pylist() == ["a"]
    lake.write(QUARANTINE, DS, quarantine("b"), "f2")
    assert lake.read(QUARANTINE, DS)["reason"].to_pylist() == ["b"]


def test_a_pointer_that_is_half_written_is_never_in_place(lake: Lake) -> None:
    lake.write(QUARANTINE, DS, quarantine("a"), "f1")
    folder = Path(lake.partition_path(QUARANTINE, DS))
    (folder / "current.json.123.tmp").write_text('{"path": "ha', encoding="utf-8")
    assert lake.read(QUARANTINE, DS)["reason"].to_pylist() == ["a"]
    pointer = json.loads((folder / "current.json").read_text(encoding="utf-8"))
    assert not pointer["path"].startswith("/"), "a lake may be moved"


def test_a_moved_lake_is_still_read(lake: Lake, tmp_path: Path) -> None:
    lake.write(QUARANTINE, DS, quarantine("a"), "f1")
    Path(lake.root).rename(tmp_path / "moved")
    assert Lake(str(tmp_path / "moved")).read(QUARANTINE, DS)["reason"].to_pylist() == ["a"]


def test_rows_without_a_column_of_the_contract_are_refused(lake: Lake) -> None:
    with pytest.raises(TableContractError, match=r"quarantine ds=2024-03-10: missing columns \['raw'\]"):
        lake.write(QUARANTINE, DS, quarantine("a").drop_columns("raw"), "f1")
    assert lake.current(QUARANTINE, DS) is None


def test_days_are_listed_in_order_and_within_bounds(lake: Lake) -> None:
    for ds in ("2024-03-10", "2024-02-29", "2024-03-01"):
        lake.write(QUARANTINE, ds, quarantine("a"), "f")
    assert lake.days(QUARANTINE) == ["2024-02-29", "2024-03-01", "2024-03-10"]
    assert lake.days(QUARANTINE, until="2024-03-01") == ["2024-02-29", "2024-03-01"]
    assert lake.days(QUARANTINE, until="2024-03-09", since="2024-03-01") == ["2024-03-01"]
    assert lake.days(USERS) == []


def test_versions_are_those_in_force_day_by_day(lake: Lake) -> None:
    for ds in ("2024-03-10", "2024-02-29"):
        lake.write(QUARANTINE, ds, quarantine("a"), "f")
    latest = lake.write(QUARANTINE, "2024-03-10", quarantine("b"), "g")
    assert list(lake.versions(QUARANTINE)) == lake.days(QUARANTINE)
    assert lake.versions(QUARANTINE, since="2024-03-01") == {"2024-03-10": latest}


def test_a_day_without_a_version_in_force_is_not_listed(lake: Lake) -> None:
    Path(lake.new_version_path(QUARANTINE, DS, "f1")).mkdir(parents=True)
    assert lake.days(QUARANTINE) == []
    assert lake.versions(QUARANTINE) == {}


def test_models_have_partitions_of_their_own(lake: Lake) -> None:
    def vector(model: str) -> pa.Table:
        return pa.table({"ds": [DS], "model": [model], "item_index": [2], "vector": [[1.0]]})

    lake.write(ITEM_VECTORS, DS, vector("two_tower"), "f", model="two_tower")
    lake.write(ITEM_VECTORS, DS, vector("recent_demand"), "f", model="recent_demand")
    Path(lake.new_version_path(ITEM_VECTORS, DS, "f", model="died")).mkdir(parents=True)
    assert lake.models(ITEM_VECTORS, DS) == ["recent_demand", "two_tower"]
    assert lake.read(ITEM_VECTORS, DS, "two_tower")["model"].to_pylist() == ["two_tower"]
    with pytest.raises(TableContractError, match="item_vectors ds=2024-03-10 model=died: no such partition"):
        lake.require(ITEM_VECTORS, DS, "died")


def test_validated_is_the_version_and_not_the_partition(lake: Lake) -> None:
    first = lake.write(QUARANTINE, DS, quarantine("a"), "f1")
    assert not lake.is_validated(QUARANTINE, DS)
    lake.note_validated(QUARANTINE, DS, first)
    assert lake.is_validated(QUARANTINE, DS)
    lake.write(QUARANTINE, DS, quarantine("b"), "f1")
    assert not lake.is_validated(QUARANTINE, DS)


def test_a_root_that_was_moved_keeps_its_marks(tmp_path: Path) -> None:
    before = Lake(str(tmp_path / "before"))
    before.note_validated(QUARANTINE, DS, before.write(QUARANTINE, DS, quarantine("a"), "one"))
    shutil.move(before.root, tmp_path / "after")
    after = Lake(str(tmp_path / "after"))
    assert after.is_validated(QUARANTINE, DS)
    # Version 0.1.0 noted the whole path of the folder.
    path = f"/gone/root/lake/quarantine/{after.require(QUARANTINE, DS).path.partition('/quarantine/')[2]}"
    note = Path(after.root) / "validated" / "quarantine" / f"ds={DS}.json"
    note.write_text(json.dumps({"path": path}))
    assert after.is_validated(QUARANTINE, DS)
    note.write_text(json.dumps({"path": f"{path}-of-another-attempt"}))
    assert not after.is_validated(QUARANTINE, DS)


def test_what_is_withdrawn_is_absent_until_it_is_written_again(lake: Lake) -> None:
    lake.write(QUARANTINE, DS, quarantine("a"), "one")
    lake.withdraw(QUARANTINE, DS)
    lake.withdraw(QUARANTINE, DS)
    assert lake.current(QUARANTINE, DS) is None
    assert lake.days(QUARANTINE) == []
    lake.write(QUARANTINE, DS, quarantine("b"), "two")
    assert lake.require(QUARANTINE, DS).fingerprint == "two"


def test_a_staged_published_table_keeps_its_pointer_out_of_the_delta_folder(lake: Lake) -> None:
    path = lake.new_version_path(USER_RECOMMENDATIONS, DS, "f1")
    Path(path).mkdir(parents=True)
    lake.commit(USER_RECOMMENDATIONS, DS, path, "f1", 0)
    assert path.startswith(f"{lake.root}/tables/user_recommendations/ds={DS}/f1-")
    assert lake.require(USER_RECOMMENDATIONS, DS).path == path
    assert list(Path(lake.root, "tables").rglob("*.json")) == []
    assert lake.days(USER_RECOMMENDATIONS) == [DS]


def test_a_root_holds_one_shop(lake: Lake) -> None:
    lake.bind_shop("corner")
    lake.bind_shop("corner")
    with pytest.raises(NightError, match=r"belongs to the shop 'corner'.*NIGHTJAR_ROOT"):
        lake.bind_shop("other")


def test_fingerprints_depend_on_every_part_and_on_nothing_else() -> None:
    assert fingerprint_of("items", {"b": 1, "a": [2.5, None]}) == "b7b87a051d091ae3013a"
    assert fingerprint_of("items", {"a": [2.5, None], "b": 1}) == "b7b87a051d091ae3013a"
    assert fingerprint_of("items", {"b": 1, "a": [2.5, 0]}) != "b7b87a051d091ae3013a"
    assert fingerprint_of("ab", "c") != fingerprint_of("a", "bc")
