"""Piano rolls and MIDI: read and written; no TensorFlow."""
