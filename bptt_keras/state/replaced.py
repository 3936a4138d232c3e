"""A layer that runs another `call` for a while."""

import contextlib
import threading

# One model is traced at a time: the replaced `call` belongs to the layer object.
LOCK = threading.RLock()


@contextlib.contextmanager
def replaced_call(layer, call):
    """Within: `layer` runs `call` for its own. One may stand inside another."""
    outer = layer.__dict__.get("call")
    original, owner = layer.call, threading.get_ident()

    def call_of_owner(*args, **kwargs):
        # Another thread may call the same model meanwhile: it gets the layer's own.
        mine = threading.get_ident() == owner
        return (call if mine else original)(*args, **kwargs)

    # An entry of the instance dictionary hides the method; Keras' attribute tracking
    # is not meant for it.
    layer.__dict__["call"] = call_of_owner
    try:
        yield
    finally:
        if outer is None:
            del layer.__dict__["call"]
        else:
            layer.__dict__["call"] = outer
