"""Models that read sequences."""
