"""Gradients of a window in segments, whose states are recomputed."""
