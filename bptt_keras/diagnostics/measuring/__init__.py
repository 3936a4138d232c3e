"""Measurements of a model and its data, each with its result."""
