"""However time is cut, the forward result is the same, and gradients are as defined."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt_keras as bk
from tests.training.references import (
    assert_same_weights,
    clone,
    model_of,
    series,
    train_by_spans,
)

ROWS, LENGTH = 3, 12
QUICK = [(4, 4), (6, 2)]
CONFIGURATIONS = [*QUICK, (5, 3), (4, 1), (None, None)]
CASES = [
    c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CONFIGURATIONS
]
X, Y = series(ROWS, LENGTH)
EXAMPLES = settings(max_examples=8, deadline=None, derandomize=True)


@st.composite
def cuts(draw):
    """Lengths of the batches that a sequence comes in."""
    inner = draw(st.sets(st.integers(1, LENGTH - 1), max_size=4))
    places = [0, *sorted(inner), LENGTH]
    return [b - a for a, b in zip(places, places[1:], strict=False)]


def planes(rate):
    """Booleans `(rows, time)`, the first timestep True."""
    flags = st.lists(
        st.floats(0, 1).map(lambda u: u < rate),
        min_size=ROWS * LENGTH,
        max_size=ROWS * LENGTH,
    )
    return flags.map(lambda values: np.array(values).reshape(ROWS, LENGTH))


def trainer_of(model, window, stride):
    trainer = bk.TruncatedBPTT(model, window, stride=stride, shards=1)
    # Eagerly: no shape costs a new trace. That a graph does the same is shown
    # elsewhere.
    trainer.compile(keras.optimizers.SGD(0.3), "mse", run_eagerly=True)
    return trainer


def batches(lengths, reset, valid):
    start = 0
    for length in lengths:
        part = slice(start, start + length)
        yield (
            {"inputs": X[:, part], "reset": reset[:, part], "mask": valid[:, part]},
            part,
        )
        start += length


MODEL = model_of(keras.layers.LSTM)
TRAINERS = {c: trainer_of(MODEL, *c) for c in CONFIGURATIONS}


@pytest.mark.parametrize("configuration", CASES)
@EXAMPLES
@given(lengths=cuts(), reset=planes(0.2), invalid=planes(0.3))
@pytest.mark.quick(1)
def test_the_forward_result_does_not_depend_on_how_time_is_cut(
    configuration, lengths, reset, invalid
):
    reset[:, 0] = True
    trainer = TRAINERS[configuration]
    whole, _ = bk.PureStep(MODEL)(X, reset=reset, valid=~invalid)
    pieces = [
        trainer.predict_on_batch(batch)
        for batch, _ in batches(lengths, reset, ~invalid)
    ]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)


@pytest.mark.parametrize("configuration", CASES)
@EXAMPLES
@given(lengths=cuts(), reset=planes(0.2), invalid=planes(0.3))
@pytest.mark.quick(1)
def test_gradients_are_those_of_explicit_cuts(configuration, lengths, reset, invalid):
    window, stride = configuration
    reset[:, 0] = True
    model, twin = clone(MODEL), clone(MODEL)
    schedule = bk.truncation.FixedWindow(window, stride)
    spans, start, lead = [], 0, 0
    for length in lengths:
        for span in schedule.spans(length, lead):
            spans.append(tuple(start + place for place in span[:3]))
        lead = length - span.resume
        start += length
    train_by_spans(
        model, keras.optimizers.SGD(0.3), X, Y, spans, reset=reset, valid=~invalid
    )
    trainer = trainer_of(twin, window, stride)
    for batch, part in batches(lengths, reset, ~invalid):
        trainer.train_on_batch(batch, Y[:, part])
    # Some windows have one valid step: their gradient is large, and so is rounding.
    assert_same_weights(model, twin, atol=1e-5)
