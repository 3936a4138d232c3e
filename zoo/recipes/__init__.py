"""How a model of the zoo is built and trained."""
