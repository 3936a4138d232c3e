"""Measurements of a model on its data, and their results."""
