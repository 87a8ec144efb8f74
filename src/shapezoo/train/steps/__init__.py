"""One training step, and one evaluation, as pure functions."""
