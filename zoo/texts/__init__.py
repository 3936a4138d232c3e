"""Reads texts, counts n-grams and encodes texts as ids, without TensorFlow."""
