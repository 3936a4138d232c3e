"""A training as it goes: looks at it, and what they mean in words."""
