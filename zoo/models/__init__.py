"""A model's architecture and weights as files, judged before they are loaded."""
