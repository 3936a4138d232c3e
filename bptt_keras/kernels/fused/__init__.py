"""Gated recurrences whose backward pass is written by hand, not derived.

`equations` says what a recurrence is: its step, and the derivative of its step.
`recurrence` runs one, and is where the implementation that computes it is chosen.
`loops` is the one that is always there: loops over time that XLA compiles, made of the
operations in `feature_major`, and of the `products` with the weights.
"""
