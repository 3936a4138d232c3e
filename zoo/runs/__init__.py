"""One training: its files, how it goes on after a kill, how good its model is."""
