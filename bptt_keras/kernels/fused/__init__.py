"""Gated recurrences with a backward pass written by hand."""
