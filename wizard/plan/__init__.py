"""Recipe to plan: a graph of keyed steps, and what can be told from it without running it."""
