"""From files that nobody has described to a shop file: what stands in them, what it may mean, the text that says so."""
