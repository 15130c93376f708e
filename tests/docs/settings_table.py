"""Every setting of every kind, as rows that docs/configuration.md is generated from.

The rows are read from where each setting is declared: the dataclasses of the shop file and of the models' configs, the
parsers' flags, the DAG's form, the Makefile, `docker/.env.example` and `docker/pools.json`.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from unittest.mock import patch

from expectations.runtime.program import add_as_of, night_parser
from expectations.shop import bounds
from expectations.shop.bounds import plain_type, words_of
from expectations.shop.shop import Shop
from models.interface.registry import CONFIGS, MODELS

REPOSITORY = Path(__file__).resolve().parents[2]
AGENT_CONFIGS = {
    "policy_gradient": "PolicyGradientConfig",
    "q_learning": "QLearningConfig",
}
OTHER_VARIABLES = {
    "SPARK_MASTER": ("local[*]", "where Spark runs its tasks"),
    "NIGHTJAR_JVM": ("", "the socket where a Spark program may borrow a warm JVM; set by `make nightly` and `make up`"),
    "SPARK_DRIVER_MEMORY": ("", "memory of Spark's driver, which with `local[*]` is all of Spark's"),
    "MLFLOW_TRACKING_URI": ("", "where fits are logged; a night goes on without a server that does not answer"),
    "SERVE_PORT": ("5001", "the port that answers sessions"),
    "AIRFLOW_PORT": ("8080", "the port of Airflow's web page on this machine"),
    "MLFLOW_PORT": ("5000", "the port of MLflow's web page on this machine"),
    "FILE": ("", "the files of your own export, for `make shop`"),
    "FROM": ("", "the first day of a backfill"),
    "TO": ("", "the last day of a backfill"),
    "AT_ONCE": ("2", "how many nights of a backfill run at once"),
}
"""Environment variables that no parser declares: name -> default and what each is for."""


def settings_rows() -> list[dict[str, str]]:
    """A row for each setting: kind, table, name, type, default, bounds, about; all of them text."""
    rows = [*_shop_rows(), *_model_rows(), *_flag_rows(), *_variable_rows(), *_form_rows(), *_make_rows()]
    return [*rows, *_compose_rows(), *_pool_rows()]


def _row(kind: str, table: str, name: str, **columns: str) -> dict[str, str]:
    return {
        "kind": kind,
        "table": table,
        "name": name,
        "type": "text",
        "default": "",
        "bounds": "",
        "about": "",
    } | columns


def _shop_rows() -> Iterator[dict[str, str]]:
    yield from _fields(Shop, "shop file", "")


def _model_rows() -> Iterator[dict[str, str]]:
    """Configs are read as text, so that a table of settings does not load Keras."""
    code = _model_code()
    classes = {node.name: node for node in code if isinstance(node, ast.ClassDef)}
    aliases = {ast.unparse(node.targets[0]): node.value for node in code if isinstance(node, ast.Assign)}
    for path in sorted(CONFIGS.rglob("*.toml")):
        name = f"{MODELS[path.stem].class_name}Config" if path.stem in MODELS else AGENT_CONFIGS[path.stem]
        text = path.read_text(encoding="utf-8")
        said = dict(re.findall(r"^(\w+) = .*?\s# (.*)$", text, re.MULTILINE))
        for row in _config_rows(classes, aliases, name, path.stem, tomllib.loads(text)):
            yield {**row, "about": row["about"] or said.get(row["name"], "")}


def _model_code() -> list[ast.stmt]:
    """The top level of every module of the models."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(CONFIGS.parent.rglob("*.py"))]
    return [node for tree in trees for node in tree.body]


def _config_rows(
    classes: dict[str, ast.ClassDef], aliases: dict[str, ast.expr], name: str, table: str, values: dict[str, Any]
) -> Iterator[dict[str, str]]:
    chain = [name]
    while (parents := classes[chain[0]].bases) and ast.unparse(parents[0]) in classes:
        chain.insert(0, ast.unparse(parents[0]))
    about: dict[str, str] = {}
    annotations: dict[str, ast.expr] = {}
    for node in (classes[link] for link in chain):
        about |= _attribute_texts(ast.get_docstring(node) or "")
        annotations |= {ast.unparse(n.target): n.annotation for n in node.body if isinstance(n, ast.AnnAssign)}
    for key, value in values.items():
        annotation = ast.unparse(annotations[key])
        if isinstance(value, dict) and annotation in classes:
            yield from _config_rows(classes, aliases, annotation, f"{table}.{key}", value)
        else:
            words = _bound_words(annotations[key], aliases).removeprefix("must ")
            kind = {
                str: "text",
                bool: "true or false",
                int: "whole number",
                float: "number",
                list: "list",
                dict: "table",
            }
            columns = {"type": kind[type(value)], "default": json.dumps(value), "bounds": words}
            yield _row("model config", table, key, about=about.get(key, ""), **columns)


def _bound_words(annotation: ast.expr, aliases: dict[str, ast.expr]) -> str:
    """How the bound or the choices of an annotation that is read as text are worded; see `words_of`."""
    if isinstance(annotation, ast.Name):
        if hasattr(bounds, annotation.id):
            return words_of(getattr(bounds, annotation.id))
        return _bound_words(aliases[annotation.id], aliases) if annotation.id in aliases else ""
    if not isinstance(annotation, ast.Subscript):
        return ""
    parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    texts = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
    kind = ast.unparse(annotation.value)
    return {"Annotated": texts[-1] if texts else "", "Literal": f"must be one of {', '.join(texts)}"}.get(kind, "")


def _fields(cls: type[Any], kind: str, table: str) -> Iterator[dict[str, str]]:
    """A row for each field of a dataclass, and of the tables within it."""
    hints, about = get_type_hints(cls, include_extras=True), _attribute_texts(inspect.getdoc(cls) or "")
    for field in dataclasses.fields(cls):
        hint = plain_type(hints[field.name])
        inner = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            yield from _fields(inner, kind, f"{table}.{field.name}" if table else field.name)
        elif not field.metadata.get("not_in_file"):
            words = words_of(hints[field.name]).removeprefix("must ")
            columns = {"type": _type_words(hint), "default": _default(field), "bounds": words}
            yield _row(kind, table, field.name, about=about.get(field.name, ""), **columns)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return json.dumps(field.default_factory())
    if field.default is dataclasses.MISSING:
        return "required"
    return "none" if field.default is None else json.dumps(field.default)


def _type_words(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"list of {_type_words(plain_type(get_args(hint)[0]))}"
    if get_origin(hint) is dict:
        return f"table of {_type_words(plain_type(get_args(hint)[1]))}"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(hint, "text")


def _attribute_texts(docstring: str) -> dict[str, str]:
    """Field -> its first sentence in the section `Attributes:` of a cleaned docstring."""
    texts: dict[str, str] = {}
    _, _, section = docstring.partition("Attributes:\n")
    for names, text in re.findall(
        r"^ *([a-z]\w*(?:, \w+)*): (.*(?:\n(?! *[a-z]\w*(?:, \w+)*: ).+)*)", section, re.MULTILINE
    ):
        sentence = re.split(r"(?<=\.)\s(?=[A-Z])", " ".join(text.split()))[0]
        texts |= dict.fromkeys(names.split(", "), sentence)
    return texts


def _parsers() -> argparse.ArgumentParser:
    with patch.dict(os.environ, clear=True):
        parser = night_parser(None)
        add_as_of(parser)
    return parser


def _flag_rows() -> Iterator[dict[str, str]]:
    for action in _parsers()._actions:
        if action.dest != "help":
            default = "required" if action.dest == "ds" else str(action.default or "")
            yield _row("flag", "every program", action.option_strings[0], default=default, about=action.help or "")


def _variable_rows() -> Iterator[dict[str, str]]:
    for action in _parsers()._actions:
        match = re.fullmatch(r"(.*) \(([A-Z_]+)\)", action.help or "", re.DOTALL)
        if match:
            about = f"default of {action.option_strings[0]}: {match[1]}"
            yield _row("environment variable", "", match[2], default=str(action.default or ""), about=about)
    for name, (default, about) in OTHER_VARIABLES.items():
        yield _row("environment variable", "", name, default=default, about=about)


def _form_rows() -> Iterator[dict[str, str]]:
    for path in sorted((REPOSITORY / "dags").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Dict) and node.keys):
                continue
            for key, value in zip(node.keys, node.values, strict=True):
                is_param = isinstance(value, ast.Call) and ast.unparse(value.func) == "Param"
                if is_param and isinstance(key, ast.Constant) and isinstance(value, ast.Call):
                    said = {k.arg: k.value for k in value.keywords}
                    limits = [f"{n} {ast.unparse(said[n])}" for n in ("minimum", "maximum") if n in said]
                    yield _row(
                        "DAG form",
                        path.stem,
                        str(key.value),
                        type=str(ast.unparse(said["type"])),
                        default=ast.unparse(value.args[0]) if value.args else "required",
                        bounds=", ".join(limits),
                        about=str(ast.literal_eval(said["description"])) if "description" in said else "",
                    )


def _make_rows() -> Iterator[dict[str, str]]:
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    said = " ".join(re.findall(r'@echo "(?:Variables:)?\s*(.*?)"', text)).split(" For example")[0]
    for name, about in re.findall(r"\b([A-Z][A-Z_]+)(?: \(([^)]*)\))?", re.sub(r"(?<=\()([^)]*)", _lowered, said)):
        yield _row("make variable", "", name, about=about)
    for name, about in re.findall(r"\$\$\{(\w+):\?([^}]*)\}", text):
        yield _row("make variable", "make backfill", name, default="required", about=about)


def _lowered(match: re.Match[str]) -> str:
    """What stands in brackets names no variable, though it may be in capitals."""
    return match[1].replace("YYYY-MM-DD", "a day such as 2011-11-09")


def _compose_rows() -> Iterator[dict[str, str]]:
    comment: list[str] = []
    for line in (REPOSITORY / "docker" / ".env.example").read_text(encoding="utf-8").splitlines():
        name, is_set, value = line.partition("=")
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif not line:
            comment = []
        elif is_set:
            yield _row("compose", "docker/.env", name, default=value or "required", about=" ".join(comment))


def _pool_rows() -> Iterator[dict[str, str]]:
    for name, pool in json.loads((REPOSITORY / "docker" / "pools.json").read_text(encoding="utf-8")).items():
        about = str(pool.get("description", ""))
        yield _row(
            "Airflow pool", "docker/pools.json", name, type="whole number", default=str(pool["slots"]), about=about
        )
