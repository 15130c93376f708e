"""How Nightjar takes in other people's files: each part a program of its own, which replaces its rows of the result."""
