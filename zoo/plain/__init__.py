"""Plain values, and words about them, that all rooms share."""
