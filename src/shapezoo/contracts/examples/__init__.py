"""Make arguments that satisfy a contract."""
