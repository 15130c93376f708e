"""Keras layers, losses and towers; how networks are trained, saved, loaded and warm-started."""
