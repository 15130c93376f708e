"""What only saves seconds on one machine: a night passes without any of it (`NIGHTJAR_SPEEDUPS=0`)."""
