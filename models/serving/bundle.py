"""What a session model answers from: the parts of one night, in a folder that MLflow keeps.

    bundle.json      the facts: shop, ds, versions, the hash of the vocabulary
    config.json, encoder.keras      the fitted sequence model, without what makes item vectors
    items.parquet    every item of the vocabulary: id, words, availability, demand
    newcomers.parquet    lists for whoever is not known, by segment
    vectors.npz, neighbours.npz     arrays by item_index
    users.sqlite     what each user did last

Every part carries the hash of the vocabulary that its indices are of; a part of another one is refused, here and when
the bundle is loaded, since an index would mean another item. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from expectations.semantics.list_caps import Cap
from expectations.tables import NightError
from models.nn.network_fitting import load_network
from models.serving.known_users import SessionUsers
from models.serving.new_user_lists import NewcomerLists

FACTS, ITEMS_FILE, NEWCOMERS, VECTORS, NEIGHBOURS, USERS_FILE = (
    "bundle.json",
    "items.parquet",
    "newcomers.parquet",
    "vectors.npz",
    "neighbours.npz",
    "users.sqlite",
)
_HASH = "vocabulary_hash"


class BundleError(NightError):
    """The parts of a bundle do not belong together."""


@dataclass(frozen=True)
class Facts:
    """What is true of a whole bundle.

    Attributes:
        model_version: of the sequence model's fit.
        demand_source: the model that says what sells, or CATALOGUE_ORDER.
        max_length: places that the encoder reads, the start among them.
        top_k: items of an answer, unless the request says otherwise.
        max_per_category, max_per_brand, max_per_group: of an answer; 0 sets no cap.
        today: the day after `ds`, in days since 1970 UTC.
        event_types: event type -> index.
        texts: the words of reasons; see `expectations.shop.reason_texts`.
    """

    shop: str
    ds: str
    code_version: str
    vocabulary_hash: str
    model_version: str
    demand_source: str
    max_length: int
    top_k: int
    max_repeat_share: float
    max_per_category: int
    max_per_brand: int
    max_per_group: int
    today: int
    event_types: dict[str, int]
    texts: dict[str, str]


@dataclass(frozen=True)
class SessionItems:
    """Every item of the vocabulary, addressed by its index; rows 0 and 1 are padding and the unknown item.

    Attributes:
        item_ids, titles: as a shopper reads them.
        category, brand, item_group: a number for each that a cap counts; 0 where an item has none.
        is_available: may be recommended.
        demand: what the night's popularity model says; 0 without demand.
        is_popular: among the best in demand, so that a reason may say so.
        usual_gap_days: how long after a purchase the item may come back.
    """

    item_ids: list[str]
    titles: list[str]
    category: np.ndarray
    brand: np.ndarray
    item_group: np.ndarray
    is_available: np.ndarray
    demand: np.ndarray
    is_popular: np.ndarray
    usual_gap_days: np.ndarray


@dataclass(frozen=True)
class SessionBundle:
    """The parts, read.

    Attributes:
        vectors: of items, as the encoder reads and predicts them. Shape (num_items, dim).
        neighbours: how much an item speaks for another. Shape (num_items, num_items).
    """

    facts: Facts
    encoder: keras.Model
    items: SessionItems
    newcomers: NewcomerLists
    vectors: np.ndarray
    neighbours: sparse.csr_matrix
    users: SessionUsers

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a folder that `save_parts` wrote.

        Raises:
            BundleError: a part is of another vocabulary.
        """
        facts = Facts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
        arrays = _load_arrays(folder / VECTORS, facts)
        users = SessionUsers(folder / USERS_FILE)
        require_same_vocabulary(USERS_FILE, users.vocabulary_hash, facts)
        bundle = cls(
            facts=facts,
            encoder=load_network(folder, "encoder"),
            items=_load_items(folder / ITEMS_FILE, facts),
            newcomers=_load_newcomers(folder / NEWCOMERS, facts),
            vectors=arrays["vectors"],
            neighbours=_load_neighbours(folder / NEIGHBOURS, facts),
            users=users,
        )
        bundle._require_one_size()
        return bundle

    def caps(self) -> list[Cap]:
        """Those that the shop sets."""
        caps = [
            Cap(self.facts.max_per_category, self.items.category),
            Cap(self.facts.max_per_brand, self.items.brand),
            Cap(self.facts.max_per_group, self.items.item_group),
        ]
        return [cap for cap in caps if cap.most and cap.group.any()]

    def _require_one_size(self) -> None:
        sizes = {
            ITEMS_FILE: len(self.items.item_ids),
            VECTORS: len(self.vectors),
            NEIGHBOURS: self.neighbours.shape[0],
        }
        dim = next(x.shape[-1] for x in self.encoder.inputs if x.name == "history")
        if len(set(sizes.values())) > 1 or dim != self.vectors.shape[1]:
            raise BundleError(
                f"the parts of a bundle must speak of the same items, in vectors that its encoder reads. Received: "
                f"items {sizes}, vectors of {self.vectors.shape[1]} for an encoder of {dim}. Build it again."
            )


def save_parts(
    folder: Path,
    facts: Facts,
    items: SessionItems,
    newcomers: NewcomerLists,
    vectors: np.ndarray,
    neighbours: sparse.csr_matrix,
) -> None:
    """Writes all parts but the network and the users.

    Args:
        vectors: of items, float32. Shape (num_items, dim).
        neighbours: how much an item speaks for another, float32. Shape (num_items, num_items).
    """
    (folder / FACTS).write_text(json.dumps(asdict(facts), sort_keys=True, indent=1), encoding="utf-8")
    _save_arrays(folder / VECTORS, facts, {"vectors": vectors})
    parts = {"data": neighbours.data, "indices": neighbours.indices, "indptr": neighbours.indptr}
    _save_arrays(folder / NEIGHBOURS, facts, parts)
    mark = {_HASH.encode(): facts.vocabulary_hash.encode()}
    newcomers.save(folder / NEWCOMERS, mark)
    pq.write_table(pa.table(vars(items)).replace_schema_metadata(mark), folder / ITEMS_FILE)


def require_same_vocabulary(part: str, found: str, facts: Facts) -> None:
    """Raises BundleError for a part of another vocabulary."""
    if found != facts.vocabulary_hash:
        raise BundleError(
            f"{part} was built with vocabulary {found}, and the bundle of {facts.shop} ds={facts.ds} speaks "
            f"{facts.vocabulary_hash}: its indices would mean other items. Run the night's programs again from "
            f"models.train on, then models.register_session_model."
        )


def _save_arrays(path: Path, facts: Facts, arrays: Mapping[str, np.ndarray]) -> None:
    marked: dict[str, Any] = {**arrays, _HASH: np.array(facts.vocabulary_hash)}
    np.savez(path, **marked)


def _load_arrays(path: Path, facts: Facts) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    require_same_vocabulary(path.name, str(arrays.pop(_HASH)), facts)
    return arrays


def _load_neighbours(path: Path, facts: Facts) -> sparse.csr_matrix:
    arrays = _load_arrays(path, facts)
    num_items = len(arrays["indptr"]) - 1
    return sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(num_items, num_items))


def _load_newcomers(path: Path, facts: Facts) -> NewcomerLists:
    _require_mark(path, pq.read_schema(path), facts)
    return NewcomerLists.load(path)


def _require_mark(path: Path, schema: pa.Schema, facts: Facts) -> None:
    require_same_vocabulary(path.name, (schema.metadata or {}).get(_HASH.encode(), b"none").decode(), facts)


def _load_items(path: Path, facts: Facts) -> SessionItems:
    rows = pq.read_table(path)
    _require_mark(path, rows.schema, facts)
    texts = {name: rows[name].to_pylist() for name in ("item_ids", "titles")}
    names = ("category", "brand", "item_group", "is_available", "demand", "is_popular", "usual_gap_days")
    return SessionItems(**texts, **{name: rows[name].to_numpy() for name in names})
