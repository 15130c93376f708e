"""Off-policy estimators: what another policy would have earned, from a log with propensities."""
