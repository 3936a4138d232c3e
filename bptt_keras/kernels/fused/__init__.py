"""Gated recurrences with a hand-written backward pass.

`equations` defines a recurrence: its step and the derivative of its step.
`recurrence` runs one and chooses its implementation. `loops` is the implementation that
is always available: loops over time that XLA compiles, made of the operations in
`feature_major` and the `products` with the weights.
"""
