"""The contract agrees with itself and with Spark."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from expectations.tables import FEATURE_TABLES, INPUT_TABLES, OUTPUT_TABLES, TABLES, NightError, Table, ds_from_text

EVERY_TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))


@EVERY_TABLE
def test_key_columns_exist_and_are_never_null(table: Table) -> None:
    nullable = {column.name: column.nullable for column in table.columns}
    assert table.key[0] == "ds"
    assert {name: nullable.get(name) for name in table.key} == dict.fromkeys(table.key, False)


@EVERY_TABLE
def test_spark_reads_the_ddl_as_it_is_meant(spark: SparkSession, table: Table) -> None:
    schema = spark.createDataFrame([], table.ddl).schema
    read = [(f.name, f.dataType.simpleString(), f.nullable) for f in schema.fields]
    assert read == [(c.name, c.type, c.nullable) for c in table.columns]


@EVERY_TABLE
def test_column_names_are_unique(table: Table) -> None:
    assert len(set(table.column_names)) == len(table.columns)


@pytest.mark.parametrize("name", OUTPUT_TABLES)
def test_published_rows_say_what_made_them_and_how_long_they_hold(name: str) -> None:
    assert TABLES[name].home == "published"
    assert TABLES[name].column_names[-3:] == ("model_version", "generated_at", "expires_at")


@EVERY_TABLE
def test_a_table_is_explained(table: Table) -> None:
    # Where no sentence stands, the columns must speak.
    assert table.comment or any(column.comment for column in table.columns) or table.name == "item_vectors"


def test_stages_name_tables() -> None:
    assert set(INPUT_TABLES + FEATURE_TABLES + OUTPUT_TABLES) <= set(TABLES)


@pytest.mark.parametrize("text", ["2011-2-30", "20111109", "2011-02-30", "", "2011-11-09T00", "٢٠١١-١١-٠٩"])
def test_a_day_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(NightError, match="YYYY-MM-DD"):
        ds_from_text(text)


def test_a_day_is_kept_as_it_is() -> None:
    assert ds_from_text("2012-02-29") == "2012-02-29"
