"""What the candidates of a model are computed from, for who builds them and for who asks whether they still count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version, fingerprint_of
from expectations.tables import CANDIDATES, INTERACTIONS, ITEM_FEATURES, USER_FEATURES

FEATURES_OF_CANDIDATES = (INTERACTIONS, USER_FEATURES, ITEM_FEATURES)
"""What candidates are computed from beside the vectors of a fit."""
FITTED_FROM = "fitted_from"
"""Where a version of `fitted_models` notes the fingerprints, by table, of the features that it was fitted from."""


def candidates_fingerprint(
    as_of: str, model: str, fit: Version, features: Mapping[str, Version | None], num_candidates: int
) -> str:
    """A hash of all that the candidates of a fit depend on.

    Args:
        fit: the version of `fitted_models`, whose fingerprint its vectors carry.
        features: by the table's name; those of FEATURES_OF_CANDIDATES are looked at.
    """
    read = [_fingerprint(features, table.name) for table in FEATURES_OF_CANDIDATES]
    code = code_version("jobs.build_candidates")
    return fingerprint_of(CANDIDATES.name, as_of, model, code, fit.fingerprint, read, num_candidates)


def is_fitted_from(fit: Version, features: Mapping[str, Version | None]) -> bool:
    """Returns whether a fit was made from these features, as far as candidates are computed from them."""
    noted: Mapping[str, Any] = fit.metadata.get(FITTED_FROM, {})
    return all(noted.get(table.name) == _fingerprint(features, table.name) for table in FEATURES_OF_CANDIDATES)


def _fingerprint(features: Mapping[str, Version | None], name: str) -> str | None:
    version = features.get(name)
    return version.fingerprint if version else None
