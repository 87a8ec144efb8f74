"""Public networks behind contracts: what `prove` says of them, against brute force."""
