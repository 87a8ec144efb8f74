"""Check calls against their contracts, in eager code and while a graph is traced."""
