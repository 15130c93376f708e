"""Sensors of our DAG files; no DAG file among them."""
