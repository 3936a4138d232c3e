"""Finds, checks, loads, saves and publishes presets."""
