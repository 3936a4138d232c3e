"""What users pass as data: read, checked and converted to what Keras takes.

`calls` does all of this for one call of the trainer, using the other modules.
"""
