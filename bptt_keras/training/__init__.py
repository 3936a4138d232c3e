"""`TruncatedBPTT` and what runs under it.

The path of a batch:

1. `intake` turns what a user passes into what Keras takes; `trainer` passes that on.
2. Keras calls `engine_model` with each batch; `engine` makes it a `batches.Batch`.
3. At the first batch `setup` examines the model and `modes` chooses how it is run.
4. `windows` fetches the carried state, runs window after window, and keeps the state.
5. Each window runs in `programs`, compiled by XLA; `measures` averages the results.
"""
