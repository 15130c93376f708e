"""The arrays behind the named inputs of deep models: what these read of users and items as of a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras
import numpy as np

from models.data.dataset import Dataset
from models.data.snapshot import Snapshot

ITEM_STATE_DIM = 4
"""Columns of `Snapshot.item_state`."""
NUM_PRICE_BUCKETS = 11
"""Ten, and 0 for an item without a price."""
USER_STATE_DIM = 2
"""Columns of `Snapshot.user_state`."""
CONTENT_COLUMNS = {
    "categories": "category_indices",
    "brand": "brand_index",
    "domain": "domain_index",
    "price_bucket": "price_bucket",
    "tokens": "token_indices",
    "description_tokens": "description_token_indices",
}
"""Input of an item tower -> column of item_features."""
_ONE_OF = ("brand", "domain", "price_bucket")
ITEM_CONTENT = ("categories", "brand", "domain", "price_bucket", "tokens")
"""What every item tower reads but that of `models.families.content`, which chooses."""
PICTURE = "picture"
"""What an item tower reads of the table item_images: each picture once; `picture_row` says which is an item's."""
USER_CONTENT_COLUMNS = {
    "age_bucket": "age_bucket_index",
    "gender": "gender_index",
    "country": "country_index",
    "interests": "interest_indices",
}
"""Input of a user tower -> column of user_features."""
HISTORY_HALF_LIVES = (1e9, 60.0, 15.0)
"""Half-lives in days of the weights under which a history is pooled: all of it alike, and mostly the latest."""


def user_arrays(
    snapshot: Snapshot,
    user_indices: np.ndarray,
    max_length: int,
    visible: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Inputs of a user tower. A user without past events has the unknown index and an empty history.

    `history_weights` sum to 1 for each half-life, or to 0 without a history. float32, shape (num_users, max_length, 3).

    Args:
        user_indices: integers. Shape (num_users,).
        visible: from the items of the histories, of shape (num_users, max_length), to whether the tower may read them;
            default: all of them.

    Returns:
        Name of the input -> array whose first axis is the users; indices are int32, figures float32.
    """
    items, age_days, taste = snapshot.histories(user_indices, max_length)
    if visible is not None:
        taste = taste * visible(items)
    decays = [taste * 0.5 ** (age_days / half_life) for half_life in HISTORY_HALF_LIVES]
    weights = np.stack(decays, axis=-1)  # (num_users, max_length, num_half_lives)
    return {
        "user_index": snapshot.known_user_index[user_indices],
        **user_content(snapshot.dataset, user_indices),
        "user_state": snapshot.user_state[user_indices],
        "history": items,
        "history_weights": (weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-6)).astype(np.float32),
    }


def mask_item(items: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a `visible` for `user_arrays` that hides one item of each user. `items`: integers, shape (num_users,)."""
    return lambda histories: histories != items[:, None]


def item_arrays(
    snapshot: Snapshot, item_indices: np.ndarray, reads: Iterable[str] = ITEM_CONTENT
) -> dict[str, np.ndarray]:
    """Inputs of an item tower. An item that nobody met yet has the unknown index.

    Args:
        item_indices: integers of any shape.
        reads: what of the item's content; see `item_content`.

    Returns:
        Name of the input -> array whose first axes are those of `item_indices`; indices are int32, figures float32.
    """
    return {
        "item_index": snapshot.known_item_index[item_indices],
        **item_content(snapshot.dataset, item_indices, reads),
        "item_state": snapshot.item_state[item_indices],
    }


def item_content(dataset: Dataset, item_indices: np.ndarray, names: Iterable[str]) -> dict[str, np.ndarray]:
    """What the catalogue says of items, under the names of CONTENT_COLUMNS, and their pictures.

    Args:
        item_indices: integers of any shape.

    Returns:
        Name -> int32 array whose first axes are those of `item_indices`; for pictures see `pictures_of`.
    """
    content: dict[str, np.ndarray] = {}
    for name in names:
        if name == PICTURE:
            content |= pictures_of(dataset, item_indices)
        else:
            content[name] = dataset.item_features[CONTENT_COLUMNS[name]][item_indices]
    return content


def pictures_of(dataset: Dataset, item_indices: np.ndarray) -> dict[str, np.ndarray]:
    """The pictures of items, each once, and where an item's stands among them: at 0, a black one, where it has none.

    Most shops have pictures of a few items or of none, and to read a picture costs more than all else.

    Returns:
        `picture`: uint8 RGB from 0 to 255, shape (num_pictures, size, size, 3); `picture_row`: int32, shape of
        `item_indices`.
    """
    rows = dataset.pictures.row[item_indices]
    distinct = np.union1d(rows, [0])
    # Few sizes, so that few shapes have to be compiled.
    padded = np.pad(distinct, (0, (1 << (len(distinct) - 1).bit_length()) - len(distinct)))
    return {
        PICTURE: dataset.pictures.pixels[padded],
        "picture_row": np.searchsorted(distinct, rows).astype(np.int32),
    }


def user_content(dataset: Dataset, user_indices: np.ndarray) -> dict[str, np.ndarray]:
    """What the shop knows of persons, under the names of USER_CONTENT_COLUMNS.

    Args:
        user_indices: integers. Shape (num_users,).

    Returns:
        Name -> int32 array of shape (num_users,), or (num_users, longest list) for `interests`.
    """
    return {name: dataset.user_features[column][user_indices] for name, column in USER_CONTENT_COLUMNS.items()}


def user_inputs(max_length: int) -> dict[str, keras.KerasTensor]:
    """Keras inputs with the names, shapes and dtypes of `user_arrays`."""
    pools = len(HISTORY_HALF_LIVES)
    return {
        **user_content_inputs(),
        "user_state": keras.Input((USER_STATE_DIM,), name="user_state"),
        "history": keras.Input((max_length,), dtype="int32", name="history"),
        "history_weights": keras.Input((max_length, pools), name="history_weights"),
    }


def user_content_inputs() -> dict[str, keras.KerasTensor]:
    """Keras inputs with the names, shapes and dtypes of `user_content`, and the user's index."""
    one_of = ("user_index", "age_bucket", "gender", "country")
    return {
        **{name: keras.Input((), dtype="int32", name=name) for name in one_of},
        "interests": keras.Input((None,), dtype="int32", name="interests"),
    }


def item_inputs(leading_shape: tuple[int | None, ...] = ()) -> dict[str, keras.KerasTensor]:
    """Keras inputs with the names, shapes and dtypes of `item_arrays`, for indices of shape (batch, *leading_shape)."""
    return {
        "item_index": keras.Input(leading_shape, dtype="int32", name="item_index"),
        **item_content_inputs(ITEM_CONTENT, leading_shape),
        "item_state": keras.Input((*leading_shape, ITEM_STATE_DIM), name="item_state"),
    }


def item_content_inputs(
    names: Iterable[str], leading_shape: tuple[int | None, ...] = ()
) -> dict[str, keras.KerasTensor]:
    """Keras inputs with the names, shapes and dtypes of `item_content`."""
    inputs = {}
    for name in names:
        if name == PICTURE:
            inputs[PICTURE] = keras.Input((None, None, 3), dtype="uint8", name=PICTURE)
            inputs["picture_row"] = keras.Input(leading_shape, dtype="int32", name="picture_row")
        else:
            shape = leading_shape if name in _ONE_OF else (*leading_shape, None)
            inputs[name] = keras.Input(shape, dtype="int32", name=name)
    return inputs
