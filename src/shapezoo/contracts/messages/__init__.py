"""Error messages: what was expected, what was passed, and a fix that was tried."""
