"""Arguments of `fit`: batches, optimizers and callbacks. Imports Keras."""
