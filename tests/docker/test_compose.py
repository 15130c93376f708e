"""docker/ holds together: no engine runs here, so what can be checked without one is."""

from __future__ import annotations

import re
import tomllib
from configparser import ConfigParser
from typing import Any

import pytest
import yaml

from expectations.runtime.code_version import REPOSITORY

COMPOSE = REPOSITORY / "docker" / "compose.yaml"
IMAGES = ("airflow", "spark", "train")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return loaded


def pinned(lock: str) -> dict[str, str]:
    """Package -> version of a lock."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (REPOSITORY / lock).read_text("utf-8"), re.MULTILINE))


def test_every_build_refers_to_files_that_exist(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        build = service.get("build")
        if build:
            assert (COMPOSE.parent / build["context"] / build["dockerfile"]).is_file(), name
            lock = build.get("args", {}).get("LOCK", "requirements.lock")
            assert ((REPOSITORY / build["dockerfile"]).parent / lock).is_file(), name


def test_every_image_is_built_by_a_service(compose: dict[str, Any]) -> None:
    built = {service["image"] for service in compose["services"].values() if "build" in service}
    ours = {service["image"] for service in compose["services"].values() if service["image"].startswith("nightjar")}
    assert ours == built


@pytest.mark.parametrize("image", IMAGES)
def test_what_a_dockerfile_copies_exists_and_is_sent(image: str) -> None:
    text = (REPOSITORY / "docker" / image / "Dockerfile").read_text("utf-8").replace("${LOCK}", "requirements.lock")
    sources = [source for source in re.findall(r"^COPY (\S+) \S+$", text, re.MULTILINE) if source != "."]
    assert sources
    sent = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    for source in sources:
        assert (REPOSITORY / source).is_file()
        assert source.split("/")[0] in sent


@pytest.mark.parametrize("image", IMAGES)
def test_images_check_hashes_and_do_not_run_as_root(image: str) -> None:
    text = (REPOSITORY / "docker" / image / "Dockerfile").read_text("utf-8")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert installs and all("--require-hashes" in line for line in installs)
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] == "nightjar"


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_secret_has_a_value_in_the_repository(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|FERNET|SQL_ALCHEMY_CONN|RESULT_BACKEND", key):
                assert re.search(r"\$\{\w+:\?", value), f"{name}: {key} must come from docker/.env, without a default"
    example = (COMPOSE.parent / ".env.example").read_text("utf-8")
    assert re.findall(r"^(\w*(?:PASSWORD|SECRET|KEY)\w*)=(.*)$", example, re.MULTILINE) == [
        ("POSTGRES_PASSWORD", ""),
        ("AIRFLOW_JWT_SECRET", ""),
        ("AIRFLOW_SECRET_KEY", ""),
        ("AIRFLOW_FERNET_KEY", ""),
    ]
    assert "/docker/.env" in (REPOSITORY / ".gitignore").read_text("utf-8").splitlines()


def test_every_variable_that_compose_asks_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text("utf-8")))
    offered = set(re.findall(r"^(\w+)=", (COMPOSE.parent / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert asked == offered


def test_volumes_are_declared(compose: dict[str, Any]) -> None:
    mounted = {v.split(":")[0] for service in compose["services"].values() for v in service.get("volumes", [])}
    assert {name for name in mounted if re.fullmatch(r"\w+", name)} == set(compose["volumes"])


def test_airflow_knows_the_commands_that_services_run(compose: dict[str, Any]) -> None:
    # `celery` is a command of its provider, which this environment does without.
    known = {"api-server", "scheduler", "dag-processor", "triggerer", "celery"}
    commands = {s["command"][0] for s in compose["services"].values() if "command" in s and "entrypoint" not in s}
    assert commands == known


@pytest.mark.parametrize(
    "lock", [*(f"docker/{i}/requirements.lock" for i in IMAGES), "docker/train/requirements-gpu.lock"]
)
def test_images_run_the_versions_that_the_tests_ran(lock: str) -> None:
    tested = pinned("requirements.lock")
    other = {name: version for name, version in pinned(lock).items() if tested.get(name, version) != version}
    assert other == {}, "run `make lock`"


def test_locks_hold_what_setup_cfg_asks_for() -> None:
    setup = ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    extras = setup["options.extras_require"]
    for lock, names in {
        "requirements.lock": ("airflow", "spark", "train", "test"),
        "docker/airflow/requirements.lock": ("airflow", "cluster"),
        "docker/spark/requirements.lock": ("spark",),
        "docker/train/requirements.lock": ("train",),
        "docker/train/requirements-gpu.lock": ("train", "cuda"),
    }.items():
        asked = re.findall(r"^([A-Za-z0-9_.-]+)", "\n".join(extras[name] for name in names), re.MULTILINE)
        missing = {name.lower() for name in asked} - {name.lower() for name in pinned(lock)}
        assert not missing, f"{lock}: run `make lock`"


def test_no_lock_names_an_index() -> None:
    for lock in ("requirements.lock", "docker/local/uv.txt", *(f"docker/{i}/requirements.lock" for i in IMAGES)):
        assert "://" not in (REPOSITORY / lock).read_text("utf-8"), lock


def test_docker_is_no_package() -> None:
    # The folder that docker/local's scripts import is one of its own; neither docker nor docker/local may be.
    packages = [path.parent for path in (REPOSITORY / "docker").rglob("__init__.py")]
    assert packages == [REPOSITORY / "docker/local/speedups"], "it would shadow the docker package"
    with open(REPOSITORY / "pyproject.toml", "rb") as file:
        assert "build-system" in tomllib.load(file)


def test_no_service_sends_usage_statistics(compose: dict[str, Any]) -> None:
    environments = {name: service.get("environment", {}) for name, service in compose["services"].items()}
    using_mlflow = {name for name, service in compose["services"].items() if "train" in str(service.get("image"))}
    assert using_mlflow
    assert {environments[name].get("MLFLOW_DISABLE_TELEMETRY") for name in using_mlflow} == {"true"}
