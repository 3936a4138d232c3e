"""What users hand over as data: read, checked, and made into what Keras takes."""
