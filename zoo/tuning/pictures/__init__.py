"""Pictures of a tuning job."""
