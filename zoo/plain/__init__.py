"""Plain values and texts that all packages of the zoo share."""
