"""Models that read tables."""
