"""Every command and every block of code in the documents is one that the programs accept."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY
from expectations.shop.shop import SHIPPED_SHOPS, Shop, load_shop, with_several_events
from expectations.shop.toml_settings import settings_from_mapping
from tests.docs.pages import Block, blocks, commands

HARNESS = REPOSITORY / "tests" / "benchmarks" / "harness"


def accepted_by_make(words: tuple[str, ...]) -> None:
    # What `make test` sets for its own recipe must not reach this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", *words[1:]]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr


def accepted_by_program(words: tuple[str, ...]) -> None:
    name, arguments = words[2], words[3:]
    flags = [word for word in arguments if word.startswith("--")]
    found = find_spec(name)
    assert found is not None and found.origin is not None, f"There is no program {name}"
    if name.startswith("tests."):
        # Benchmarks import the libraries that they compare with; what they take stands in their source.
        source = Path(found.origin).read_text("utf-8")
        source += "".join(path.read_text("utf-8") for path in HARNESS.glob("*.py"))
        assert 'if __name__ == "__main__":' in source
        assert [flag for flag in flags if f'"{flag}"' not in source] == []
        return
    printed, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(errors), pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main([*arguments, "--help"])
    assert not ended.value.code, errors.getvalue()
    assert [flag for flag in flags if flag not in printed.getvalue()] == []


def accepted_by_airflow(words: tuple[str, ...]) -> None:
    from airflow.cli.cli_parser import get_parser

    get_parser().parse_args(list(words[1:]))


def accepted_by_curl(words: tuple[str, ...]) -> None:
    assert isinstance(json.loads(words[words.index("-d") + 1]), dict)


def accepted_by_shell(words: tuple[str, ...]) -> None:
    files = [word for word in words[1:] if word.startswith("docker/") and word != "docker/.env"]
    assert files and all((REPOSITORY / file).is_file() for file in files)


def clone(words: tuple[str, ...]) -> None:
    assert words[1:] == ("clone", "URL", "nightjar", "&&", "cd", "nightjar")


def export(words: tuple[str, ...]) -> None:
    assert all("=" in word for word in words[1:])


JUDGES = {
    "make": accepted_by_make,
    "python": accepted_by_program,
    "airflow": accepted_by_airflow,
    "curl": accepted_by_curl,
    "export": export,
    "git": clone,
    ".": accepted_by_shell,
    "cp": accepted_by_shell,
    "docker": accepted_by_shell,
}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_documents_is_accepted(words: tuple[str, ...]) -> None:
    JUDGES[words[0]](words)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: f"{block.page}: {block.text.splitlines()[0]}")
def test_settings_of_the_documents_are_a_shop_file_or_tables_of_one(block: Block, tmp_path: Path) -> None:
    values = tomllib.loads(block.text)
    if "name" in values:
        path = tmp_path / f"{values['name']}.toml"
        path.write_text(block.text, "utf-8")
        assert load_shop(str(path)).name == values["name"]
    else:
        demo = tomllib.loads((SHIPPED_SHOPS / "demo.toml").read_text("utf-8"))
        settings_from_mapping(Shop, with_several_events({**demo, **values}, block.page), block.page)


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_json_of_the_documents_is_json(block: Block) -> None:
    json.loads(block.text)
