"""Plots of a tuning job."""
