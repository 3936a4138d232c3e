"""A model's step as a file with explicit state, proved in the runtime that it is for.

`export.py` leads: `step.py` traces the step with named inputs and outputs, a format
(`saved_model.py`, `onnx_file.py`, `litert.py`) writes it and runs what it wrote,
`proof.py` compares that with Keras, `description.py` says in JSON how it is used, and
`blame.py` finds the layer that is the reason if it fails.
"""
