"""A model's architecture and weights as files, checked before they are loaded."""
