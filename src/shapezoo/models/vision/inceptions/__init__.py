"""GoogLeNet and Inception v3."""
