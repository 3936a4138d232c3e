"""Hyperparameter tuning of the zoo's tasks: jobs, and what shows them."""
