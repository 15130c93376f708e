"""Metrics, held-out tasks, checks of lists, and the rules by which a model is promoted."""
