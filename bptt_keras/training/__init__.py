"""`TruncatedBPTT`, and what runs under it.

The way of a batch:

1. `intake` makes what a user passes what Keras takes, and `trainer` hands that on.
2. Keras calls `engine_model` for each batch, and `engine` makes it a `batches.Batch`.
3. At the first one, `setup` examines the model and `modes` chooses how it is run.
4. `windows` fetches the carried state, takes window after window, and carries it on.
5. Each window runs in `programs`, which XLA compiles; `measures` averages its results.
"""
