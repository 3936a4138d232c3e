"""What users pass as data: read, checked, and made into what Keras takes.

`calls` does all of it for one call of the trainer; the other modules are its parts.
"""
