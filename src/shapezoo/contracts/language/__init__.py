"""What an annotation says: its axes, expressions and types, as data."""
