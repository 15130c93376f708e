"""Keras layers, losses and towers; how networks are fitted, kept and warm-started."""
