"""One training: its files, how it resumes after a kill, how good its model is."""
