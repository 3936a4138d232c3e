"""Reads and writes piano rolls and MIDI, without TensorFlow."""
