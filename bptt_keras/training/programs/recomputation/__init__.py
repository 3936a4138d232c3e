"""Gradients of a window in segments, whose states are computed once more."""
