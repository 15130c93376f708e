"""The data contract: the tables, the shop file, where things lie, and the suites that check them."""
