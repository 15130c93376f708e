"""Training batches and negative sampling."""
