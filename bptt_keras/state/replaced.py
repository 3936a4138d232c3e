"""A layer that runs another `call` for a while."""

import contextlib
import threading

# One model is traced at a time: the replaced `call` belongs to the layer object.
LOCK = threading.RLock()


@contextlib.contextmanager
def replaced_call(layer, call):
    """Within: `layer` runs `call` for its own."""
    # An entry of the instance dictionary hides the method; Keras' attribute tracking
    # is not meant for it.
    layer.__dict__["call"] = call
    try:
        yield
    finally:
        del layer.__dict__["call"]
