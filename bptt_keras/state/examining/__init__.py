"""Finds out, before training, what a model does with time and padding."""
