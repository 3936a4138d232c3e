"""What trained models produce: texts, music, forecasts, classes."""
