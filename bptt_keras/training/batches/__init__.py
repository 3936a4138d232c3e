"""What a batch holds: taken from the user, checked, and cut along time."""
