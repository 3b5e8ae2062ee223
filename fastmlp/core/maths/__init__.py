"""Elementary functions, bits of floating-point numbers, counter-based random numbers."""
