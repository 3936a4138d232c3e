"""Looks at a training run while it is in progress, and findings from them in words."""
