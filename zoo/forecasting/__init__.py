"""Forecasting in NumPy: series, simple rules, inputs, defaults, intervals."""
