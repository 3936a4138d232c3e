"""Saves a `fit` while it runs, and resumes it exactly where it was."""
