"""What functions with arrays must tell in their docstrings."""

from __future__ import annotations

from pathlib import Path

from expectations.runtime.code_version import REPOSITORY
from tests.architecture.docstrings import functions_with_arrays

LEAST_SHARE = 0.95
WELL_TOLD = '''
import numpy as np

def ranked(scores: np.ndarray) -> np.ndarray:
    """Returns item indices, best first.

    Args:
        scores: shape (num_items,), float32.

    Returns:
        Shape (num_items,), int64.

    Raises:
        ValueError: there are no scores.
    """
    if not len(scores):
        raise ValueError("no scores")
    return np.argsort(-scores)

def count(scores: list[float]) -> int:
    return len(scores)
'''


def lacking(root: Path, source: str) -> list[tuple[str, ...]]:
    (root / "models").mkdir(exist_ok=True)
    (root / "models" / "ranks.py").write_text(source)
    return [function.lacks for function in functions_with_arrays(root)]


def test_functions_with_arrays_tell_shape_dtype_and_errors() -> None:
    functions = functions_with_arrays(REPOSITORY)
    told = [function for function in functions if not function.lacks]
    assert len(told) >= LEAST_SHARE * len(functions), [f for f in functions if f.lacks]


def test_what_is_not_told_is_named(tmp_path: Path) -> None:
    assert lacking(tmp_path, WELL_TOLD) == [()]
    assert lacking(tmp_path, WELL_TOLD.replace("float32", "numbers").replace("int64", "numbers")) == [("dtype",)]
    assert lacking(tmp_path, WELL_TOLD.replace("hape (num_items,)", "o many")) == [("shape",)]
    assert lacking(tmp_path, WELL_TOLD.replace("Raises:", "Else:")) == [("raises",)]
