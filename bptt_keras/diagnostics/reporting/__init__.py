"""A training as an HTML page."""
