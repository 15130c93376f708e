"""Airflow DAGs: which program runs after which, and on which day."""
