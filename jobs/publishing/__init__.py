"""How a night is published: manifest, drift, the Delta commit, and samples to look at."""
