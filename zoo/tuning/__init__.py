"""Searches for better recipes: `bptt-zoo tune`."""
