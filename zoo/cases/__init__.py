"""Reads and compares labelled series, without TensorFlow."""
