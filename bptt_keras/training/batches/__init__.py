"""The contents of a batch: taken from the user, checked and cut along time."""
