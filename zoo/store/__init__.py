"""Presets: found, checked, loaded, saved and published."""
