"""Keras models, one file each, and the programs that train, score, judge and choose them."""
