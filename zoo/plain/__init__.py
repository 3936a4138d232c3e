"""Plain values that all rooms share: parts, options of reading, values of JSON."""
