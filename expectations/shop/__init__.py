"""The shop file: what a shop says of its raw data, rules and models."""
