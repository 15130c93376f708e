"""Puts the night's sequence model where a server can answer from it: a bundle, registered in MLflow.

Reads the fit of `sequence` as of ds, the features that it was fitted from, the catalogue, the lists that were
published for new users, demand and item neighbours; of models only what the gate named. Writes a version of the
registered model `nightjar-<shop>-sessions`, which holds all that a server needs, and moves its alias `serving` there,
unless a later night is published. `make serve` serves what the alias names. A night whose bundle is registered already
is left alone. A shop without `sequence`, or a server that is away, costs a line in the log.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from scipy import sparse

from expectations.runtime.code_version import code_version
from expectations.runtime.days import SECONDS_PER_DAY, end_of
from expectations.runtime.lake import Version, fingerprint_of, parquet_dataset
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.semantics.item_eligibility.in_python import capped_category, is_refused, item_group
from expectations.semantics.models_in_force import models_in_force
from expectations.semantics.titles import readable_title
from expectations.shop.reasons import CATALOGUE_ORDER, POPULARITY_MODELS
from expectations.tables import (
    FITTED_MODELS,
    HISTORIES,
    INTERACTIONS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    ITEMS,
    USER_RECOMMENDATIONS,
    VOCABULARIES,
)
from models.data.dataset import Dataset, load_dataset
from models.data.vocabulary import read_vocabulary
from models.families.sequence import SequenceModel
from models.interface.fitted_models import fitted_model
from models.interface.published_lists import published_nights
from models.interface.vector_rows import neighbour_matrix
from models.interface.weights_store import fetched_folder
from models.nn.network_fitting import save_networks
from models.serving import model_registry
from models.serving.bundle import USERS_FILE, Facts, SessionBundle, SessionItems, require_same_vocabulary, save_parts
from models.serving.known_users import write_session_users
from models.serving.new_user_lists import NewcomerLists
from models.serving.repurchase_days import ReturnDays

MODEL, NEIGHBOURS_MODEL = "sequence", "item_item"

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the bundle of the night, registers it and moves the alias."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    if MODEL not in night.shop.models:
        logger.info("nothing to serve: the shop does not run %s", MODEL)
    else:
        register_session_model(night)


@dataclass(frozen=True)
class BundleInputs:
    """What the gate named of models as of ds, as far as a bundle is made from it.

    Attributes:
        fit: of MODEL.
        demand_source: the model that says what sells, or CATALOGUE_ORDER.
        demand: its item vectors; None for CATALOGUE_ORDER.
        neighbours: of NEIGHBOURS_MODEL; None where it has none.
    """

    fit: Version
    demand_source: str
    demand: Version | None
    neighbours: Version | None


def bundle_inputs(night: Night) -> BundleInputs | None:
    """Looks up what counts; None where MODEL has no fit that does."""
    lake, in_force = night.lake, models_in_force(night.lake, night.ds)
    fit = in_force.version(lake, FITTED_MODELS, MODEL)
    if fit is None:
        return None
    vectors = {name: in_force.version(lake, ITEM_VECTORS, name) for name in POPULARITY_MODELS}
    source = next((name for name, version in vectors.items() if version), CATALOGUE_ORDER)
    return BundleInputs(fit, source, vectors.get(source), in_force.version(lake, ITEM_NEIGHBOURS, NEIGHBOURS_MODEL))


def register_session_model(night: Night) -> None:
    """See the module's docstring.

    Raises:
        BundleError: the fit, or something that it is served with, is of another vocabulary.
    """
    inputs = bundle_inputs(night)
    if inputs is None:
        logger.warning("nothing to serve: %s was not fitted as of ds=%s; an earlier bundle stays", MODEL, night.ds)
        return
    version = bundle_version(night, inputs)
    number = model_registry.find_session_model(night.tracking, night.shop.name, version)
    if number == "":
        number = _build_and_log(night, inputs, version)
    elif number:
        logger.info("already registered: version=%s", version)
    if number and published_nights(night.lake).is_latest(night.ds):
        model_registry.serve_from_now(night.tracking, night.shop.name, number)
    elif number:
        logger.info("alias serving stays: a later night than ds=%s is published", night.ds)


def _build_and_log(night: Night, inputs: BundleInputs, version: str) -> str | None:
    with tempfile.TemporaryDirectory(prefix="nightjar-bundle-") as temporary:
        bundle, model = Path(temporary) / "bundle", Path(temporary) / "model"
        bundle.mkdir()
        num_users = build_bundle(night, inputs, bundle)
        size = sum(file.stat().st_size for file in bundle.iterdir()) / 2**20
        logger.info("built bundle: version=%s users=%d mib=%.1f", version, num_users, size)
        return model_registry.log_session_model(night.tracking, night.run_tags, version, bundle, model)


def bundle_version(night: Night, inputs: BundleInputs) -> str:
    """Names what the bundle is made from: the same inputs, the same text."""
    lake, ds = night.lake, night.ds
    tables = [lake.require(table, ds).fingerprint for table in (VOCABULARIES, ITEMS, INTERACTIONS, HISTORIES)]
    fit = fitted_model(inputs.fit)["version"]
    rules = [night.shop.top_k, night.shop.repeats, night.shop.max_repeat_share, night.shop.num_candidates]
    rules += [night.shop.num_prior_gaps, night.shop.active_days, night.shop.texts, asdict(night.shop.rules)]
    found = [version.fingerprint if version else None for version in (inputs.demand, inputs.neighbours)]
    newcomers = NewcomerLists.published(lake, ds).by_segment
    code = code_version("models.register_session_model")
    return f"sessions-{ds}-{fingerprint_of(fit, code, tables, inputs.demand_source, found, newcomers, rules)[:8]}"


def build_bundle(night: Night, inputs: BundleInputs, folder: Path) -> int:
    """Writes the bundle's parts into an empty folder, and reads them once. Returns how many users are known.

    Raises:
        BundleError: a part is of another vocabulary.
    """
    row = fitted_model(inputs.fit)
    dataset = load_dataset(night.lake, night.shop, night.ds)
    with fetched_folder(night.lake, str(row["weights_path"])) as weights:
        model = SequenceModel.load(weights)
    facts = _facts(night, dataset, model, str(row["version"]), inputs.demand_source)
    require_same_vocabulary(f"{MODEL} as of {night.ds}", str(row["vocabulary_hash"]), facts)
    published = published_nights(night.lake).vocabulary_hashes.get(night.ds, facts.vocabulary_hash)
    require_same_vocabulary(f"{USER_RECOMMENDATIONS.name} as published for {night.ds}", published, facts)
    save_networks(folder, MODEL, model.config, {"encoder": model.network("encoder")})
    purchase_index = facts.event_types.get("purchase", -1)
    return_days = ReturnDays.of(night.lake, dataset, night.shop.repeats, night.shop.num_prior_gaps, purchase_index)
    items = _items(night, dataset, return_days, inputs.demand)
    newcomers = NewcomerLists.published(night.lake, night.ds)
    neighbours = _neighbours(inputs.neighbours, dataset.num_items)
    save_parts(folder, facts, items, newcomers, model.item_vectors(dataset), neighbours)
    num_events = model.config.max_length - 1
    users = folder / USERS_FILE
    num_users = write_session_users(users, night.lake, dataset, return_days, num_events, night.shop.active_days)
    SessionBundle.load(folder)
    return num_users


def _facts(night: Night, dataset: Dataset, model: SequenceModel, model_version: str, demand_source: str) -> Facts:
    event_types = read_vocabulary(night.lake, night.ds, "event_type").to_pydict()
    return Facts(
        shop=night.shop.name,
        ds=night.ds,
        code_version=code_version(),
        vocabulary_hash=dataset.vocabulary_hash,
        model_version=model_version,
        demand_source=demand_source,
        max_length=model.config.max_length,
        top_k=night.shop.top_k,
        max_repeat_share=night.shop.max_repeat_share,
        max_per_category=night.shop.rules.max_per_category,
        max_per_brand=night.shop.rules.max_per_brand,
        max_per_group=night.shop.rules.max_per_group,
        today=int(end_of(night.ds, night.shop.drops.day_timezone).timestamp()) // SECONDS_PER_DAY,
        event_types=dict(zip(event_types["value"], event_types["index"], strict=True)),
        texts=night.shop.texts,
    )


def _items(night: Night, dataset: Dataset, return_days: ReturnDays, demand_vectors: Version | None) -> SessionItems:
    vocabulary = read_vocabulary(night.lake, night.ds, "item_id").to_pydict()
    index_of = dict(zip(vocabulary["value"], vocabulary["index"], strict=True))
    item_ids, is_available, demand = [""] * dataset.num_items, *np.zeros((2, dataset.num_items), np.float32)
    for item_id, index in index_of.items():
        item_ids[index] = item_id
    titles = list(item_ids)
    names = ("category", "brand", "item_group")
    groups: dict[str, list[str | None]] = {name: [None] * dataset.num_items for name in names}
    columns = ["item_id", "title", "is_available", "category", "brand", "item_group_id", "price"]
    for row in night.lake.read(ITEMS, night.ds, columns=columns).to_pylist():
        index = index_of.get(row["item_id"])
        if index is not None:
            titles[index] = readable_title(row["title"], row["item_id"])
            groups["category"][index] = capped_category(row["category"], night.shop.rules)
            groups["brand"][index] = row["brand"]
            groups["item_group"][index] = item_group(row, night.shop.rules)
            is_available[index] = row["is_available"] and not is_refused(row, night.shop.rules)
    if demand_vectors is not None:
        vectors = parquet_dataset(demand_vectors.path).to_table(columns=["item_index", "vector"])
        demand[vectors["item_index"].to_numpy()] = pc.list_flatten(vectors["vector"]).to_numpy()
    sought = np.flatnonzero((demand > 0) & (is_available > 0))
    is_popular = np.zeros(dataset.num_items, dtype=bool)
    is_popular[sought[np.argsort(-demand[sought], kind="stable")][: night.shop.num_candidates]] = True
    return SessionItems(
        item_ids=item_ids,
        titles=titles,
        **{name: _numbered(values) for name, values in groups.items()},
        is_available=is_available > 0,
        demand=demand,
        is_popular=is_popular,
        usual_gap_days=return_days.usual_gap_days,
    )


def _numbered(names: Sequence[str | None]) -> np.ndarray:
    """A number from 1 on for each name; 0 for none."""
    number = {name: n for n, name in enumerate(sorted({name for name in names if name}), start=1)}
    return np.array([number.get(name or "", 0) for name in names], dtype=np.int32)


def _neighbours(neighbours: Version | None, num_items: int) -> sparse.csr_matrix:
    """Item neighbours, float32, shape (num_items, num_items); empty where there are none."""
    if neighbours is None:
        return sparse.csr_matrix((num_items, num_items), dtype=np.float32)
    return neighbour_matrix(parquet_dataset(neighbours.path).to_table(), num_items)


if __name__ == "__main__":
    run_program(main)
