"""What `fit` is given: batches, optimizers and callbacks. Imports Keras."""
