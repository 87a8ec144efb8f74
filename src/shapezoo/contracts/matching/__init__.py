"""Match a value with a type, and bind the axes that it names."""
