"""Validation of arguments, and their conversion for the kernels."""
