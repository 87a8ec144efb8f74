"""Models of papers that read images."""
