"""What forecasting is made of, in NumPy: series, rules, inputs, defaults, intervals."""
