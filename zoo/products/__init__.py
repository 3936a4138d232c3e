"""What models make: texts, music, forecasts, classes."""
