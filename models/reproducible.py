"""One seed, one result: on one kind of hardware a fit gives the same weights every time."""

from __future__ import annotations

import keras


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and the backend, and asks TensorFlow for ops that do not depend on the order of threads.

    TensorFlow offers no such promise for steps compiled by XLA, so models compile with `jit_compile=False`. Nothing
    is lost: on two cores a compiled epoch of deep_cf took five times as long, and one of two_tower half as long again.
    """
    keras.utils.set_random_seed(seed % 2**32)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
