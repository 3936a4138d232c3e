"""What a model does with time and padding, found out before it is trained."""
