"""What a model is from outside: its protocol, registry, lists, weights and MLflow log."""
