"""Run a model on symbolic sizes, once for each path through its code."""
