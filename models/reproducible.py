"""One seed, one result: on one kind of hardware a fit gives the same weights every time."""

from __future__ import annotations

import keras


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and the backend.

    On an accelerator TensorFlow is also asked for ops that do not depend on the order of threads. On a CPU the
    compiled step has a fixed order anyway, and asking would switch the compiler off: twice the time for nothing.
    """
    keras.utils.set_random_seed(seed % 2**32)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
