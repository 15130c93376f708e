"""The feature tables of a day as arrays, and snapshots of them at a point in time."""
