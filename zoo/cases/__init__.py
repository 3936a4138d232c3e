"""Series that have a class: read and compared; no TensorFlow."""
