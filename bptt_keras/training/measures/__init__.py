"""What is minimised and what is reported: losses, metrics and averages."""
