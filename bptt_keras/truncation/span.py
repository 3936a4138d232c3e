"""One window of a schedule."""

from typing import NamedTuple


class Span(NamedTuple):
    """One window: which timesteps gradients reach, and which of them are new.

        start <= first_new < stop,    start <= resume <= stop

    Gradients flow over `[start, stop)`, the loss is that of `[first_new, stop)`, and
    the state after `resume` timesteps is kept for the next window. Timesteps are
    counted from the start of the batch; those before it are negative.

    Fields:
        start: First timestep that gradients reach.
        first_new: First timestep whose loss is in no earlier window.
        stop: One past the last timestep.
        resume: First timestep of the next window.
        rate: Factor of the learning rate in the update after this window.

    Example:
        from bptt_keras.truncation import FixedWindow

        last = FixedWindow(4, stride=2).spans(8)[-1]
        assert (last.start, last.first_new, last.stop, last.resume) == (4, 6, 8, 6)
    """

    start: int
    first_new: int
    stop: int
    resume: int
    rate: float = 1.0
