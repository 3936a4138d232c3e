"""A model that runs step by step and keeps the state of its rows between calls.

`session.py` is what users see; `inputs.py` checks what they pass; `programs.py`
compiles the step; `snapshots.py` writes a state and reads it back; `around.py` finds
the model within a trainer.
"""
