"""Tables and queries that raw rows of a day are read from; one file a kind, each with the library that it needs."""
