"""The models themselves: one model, one file, and what only models share."""
