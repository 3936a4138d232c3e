"""Texts: read, counted, as ids of a vocabulary; no TensorFlow."""
