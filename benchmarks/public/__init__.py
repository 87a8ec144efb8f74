"""Public networks with contracts, to compare the verdicts of `prove` with brute force."""
