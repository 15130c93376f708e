"""Writes the tables of docs/configuration.md from `settings_rows`, so that no setting is typed by hand.

python -m tests.docs.configuration_page
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from expectations.runtime.code_version import REPOSITORY
from tests.docs.settings_table import settings_rows

PAGE = REPOSITORY / "docs" / "configuration.md"
GENERATED = re.compile(r"(<!-- settings -->\n).*(<!-- end -->)", re.DOTALL)
HEADINGS = {
    "shop file": "Shop file",
    "model config": "Model and policy files",
    "flag": "Flags of every program of a night",
    "environment variable": "Environment variables",
    "DAG form": "The DAG's form",
    "make variable": "Variables of make",
    "compose": "docker/.env, for several machines",
    "Airflow pool": "Airflow's pools",
}
"""Kind of setting -> heading, in the order of the page."""
MEANINGS = {
    "embedding_dim": "width of the vectors of users and items",
    "feature_dim": "width of the embedding of a category, brand, country or price bucket",
    "hidden_dim": "width of the hidden layer",
    "hidden_units": "widths of the hidden layers",
    "num_blocks": "blocks of the sequence encoder",
    "num_heads": "heads of attention",
    "num_layers": "layers that vectors travel through",
    "max_length": "latest events of a history that are read",
    "max_windows": "past windows that training examples are made of",
    "dropout": "share of activations that a step goes without",
    "attention_dropout": "share of attention weights that a step goes without",
    "learning_rate": "of the optimizer",
    "weight_decay": "of the optimizer",
    "batch_size": "examples of a step",
    "epochs": "of a fit from nothing",
    "patience": "epochs without a gain on held-out users, after which a fit ends",
    "loss": "what training minimizes",
    "temperature": "what cosines are divided by",
    "window_days": "days of the log that are counted",
    "half_life_days": "age at which an event counts half",
    "num_neighbours": "most similar items that are kept of each item",
    "shrinkage": "how much co-occurrence an item needs to be trusted",
    "self_weight": "weight of an item as its own neighbour: how much repeats are proposed",
    "num_positives": "positives of a user in a batch",
    "num_from_catalogue": "negatives drawn from the whole catalogue, by popularity",
    "num_from_history": "negatives drawn from what the user met before",
    "popularity_exponent": "power of popularity by which negatives are drawn",
    "uniform_share": "share of these negatives that is drawn uniformly",
    "max_dense": "items, or else users, up to which the dense inverse is computed",
    "reads": "which parts of an item the tower reads",
}
"""What a setting means where neither a docstring nor a comment beside it says so."""


def page_text(text: str) -> str:
    """Returns the page with its tables as the code has them."""
    rows = settings_rows()
    lines = [""]
    for kind, heading in HEADINGS.items():
        lines += [f"## {heading}", ""]
        tables = dict.fromkeys(row["table"] for row in rows if row["kind"] == kind)
        for table in tables:
            lines += [f"### {table}", ""] if table else []
            lines += ["| name | type | default | bounds | meaning |", "|---|---|---|---|---|"]
            lines += [_line(row) for row in rows if (row["kind"], row["table"]) == (kind, table)]
            lines += [""]
    return GENERATED.sub(lambda found: found[1] + "\n".join([*lines, ""]) + found[2], text)


def _line(row: Mapping[str, str]) -> str:
    about = (row["about"] or MEANINGS.get(row["name"], "")).strip().rstrip(".")
    default = f"`{row['default']}`" if row["default"] else "–"
    cells = [f"`{row['name']}`", row["type"], default, row["bounds"] or "–", about[:1].upper() + about[1:]]
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Rewrites the page in place."""
    PAGE.write_text(page_text(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
