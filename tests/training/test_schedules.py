"""Every schedule of windows against training with explicit cuts, step by step."""

import itertools

import keras
import numpy as np
import pytest

import bptt_keras as bk
from tests.training.references import (
    assert_same_weights,
    clone,
    model_of,
    series,
    train_by_spans,
)

pytestmark = pytest.mark.both_ways


def trainer_of(model, window, *, jit_compile=False, **options):
    options = {"shards": 1} | options
    trainer = bk.TruncatedBPTT(model, window, **options)
    trainer.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=jit_compile)
    return trainer


def spans_of(window, stride, length, lead=0):
    schedule = bk.truncation.FixedWindow(window, stride)
    return [span[:3] for span in schedule.spans(length, lead)]


@pytest.mark.parametrize(
    "layer",
    [pytest.param(keras.layers.LSTM, marks=pytest.mark.slow), bk.layers.LSTM],
)
@pytest.mark.parametrize(
    ("window", "stride", "length"),
    [
        (6, 2, 13),
        (4, 1, 9),
        (9, 3, 5),
        (7, 7, 16),
        pytest.param(6, 2, 14, marks=pytest.mark.slow),
        pytest.param(5, 2, 11, marks=pytest.mark.slow),
        pytest.param(6, 4, 15, marks=pytest.mark.slow),
    ],
)
@pytest.mark.quick(1)
def test_strides_equal_explicit_cuts(layer, window, stride, length):
    model = model_of(keras.layers.LSTM)
    twin = model_of(layer)
    twin.set_weights(model.get_weights())
    x, y = series(3, length)
    losses, _ = train_by_spans(
        model, keras.optimizers.SGD(0.3), x, y, spans_of(window, stride, length)
    )
    trainer = trainer_of(twin, window, stride=stride)
    history = trainer.fit(x, y, verbose=0, shuffle=False)
    assert_same_weights(model, twin)
    total, weight = np.sum(losses, axis=0)
    np.testing.assert_allclose(history.history["loss"], total / weight, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "recompute", [None, pytest.param("sqrt", marks=pytest.mark.slow)]
)
def test_strides_equal_explicit_cuts_with_xla(recompute):
    model = model_of(keras.layers.LSTM)
    twin = model_of(bk.layers.LSTM)
    twin.set_weights(model.get_weights())
    x, y = series(3, 15)
    train_by_spans(model, keras.optimizers.SGD(0.3), x, y, spans_of(6, 2, 15))
    trainer = trainer_of(twin, 6, stride=2, jit_compile=True, recompute=recompute)
    trainer.fit(x, y, verbose=0, shuffle=False)
    # XLA sums in another order.
    assert_same_weights(model, twin, atol=3e-6)


@pytest.mark.parametrize(
    "pieces",
    [
        (4, 4, 4, 2),
        (1,) * 14,
        pytest.param((14,), marks=pytest.mark.slow),
        pytest.param((5, 9), marks=pytest.mark.slow),
        pytest.param((6, 8), marks=pytest.mark.slow),
    ],
)
@pytest.mark.quick(1)
def test_windows_reach_back_across_the_border_between_two_batches(pieces):
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 14)
    # A batch ends a window early, and the next one goes on from there.
    spans, start = [], 0
    for steps in pieces:
        spans += [
            tuple(start + place for place in span)
            for span in spans_of(6, 2, steps, lead=min(start, 4))
        ]
        start += steps
    train_by_spans(model, keras.optimizers.SGD(0.3), x, y, spans)
    trainer = trainer_of(twin, 6, stride=2)
    start = 0
    for steps in pieces:
        part = slice(start, start + steps)
        flags = np.full((3,), start == 0)
        trainer.train_on_batch({"inputs": x[:, part], "reset": flags}, y[:, part])
        start += steps
    assert_same_weights(model, twin)


def test_windows_do_not_reach_back_over_a_reset():
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 14)
    reset = np.zeros((3, 14), bool)
    reset[:, 0] = reset[1, 5] = reset[2, 8] = reset[0, 9] = True
    train_by_spans(
        model, keras.optimizers.SGD(0.3), x, y, spans_of(6, 2, 14), reset=reset
    )
    trainer = trainer_of(twin, 6, stride=2)
    for part in (slice(0, 8), slice(8, 14)):
        batch = {"inputs": x[:, part], "reset": reset[:, part]}
        trainer.train_on_batch(batch, y[:, part])
    assert_same_weights(model, twin)


@pytest.mark.parametrize(
    "update", [2, pytest.param(3, marks=pytest.mark.slow), "sequence"]
)
@pytest.mark.quick(1)
def test_updates_average_over_the_timesteps_of_their_windows(update):
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 14)
    weights = np.random.default_rng(3).uniform(size=(3, 14)).astype("float32")
    spans = spans_of(4, None, 14)
    windows = len(spans) if update == "sequence" else update
    train_by_spans(
        model,
        keras.optimizers.SGD(0.3),
        x,
        y,
        spans,
        weights=weights,
        update=windows,
    )
    trainer = trainer_of(twin, 4, update=update)
    trainer.fit(x, y, sample_weight=weights, verbose=0, shuffle=False)
    assert_same_weights(model, twin)
    assert int(trainer.optimizer.iterations) == -(-len(spans) // windows)


def test_one_update_a_sequence_with_one_window_is_full_backpropagation():
    model = model_of(bk.layers.GRU)
    twin = clone(model)
    x, y = series(3, 12)
    model.compile(keras.optimizers.SGD(0.3), "mse")
    model.train_on_batch(x, y)
    trainer_of(twin, None).train_on_batch(x, y)
    assert_same_weights(model, twin)


def test_burn_in_has_neither_loss_nor_gradient():
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 13)
    cell = model.layers[0].cell
    state = cell.get_initial_state(batch_size=3)
    for t in range(4):
        _, state = cell(x[:, t], state)
    losses, _ = train_by_spans(
        model,
        keras.optimizers.SGD(0.3),
        x[:, 4:],
        y[:, 4:],
        spans_of(3, None, 9),
        state=state,
    )
    trainer = trainer_of(twin, 3, burn_in=4)
    before = clone(twin)
    history = trainer.fit(x, y, verbose=0, shuffle=False)
    assert_same_weights(model, twin)
    total, weight = np.sum(losses, axis=0)
    np.testing.assert_allclose(history.history["loss"], total / weight, rtol=1e-5)
    whole = trainer_of(before, 3).evaluate(x[:, :], y, verbose=0)
    part = trainer_of(clone(before), 3, burn_in=4).evaluate(x, y, verbose=0)
    outputs = np.asarray(before(x))
    np.testing.assert_allclose(part, np.mean((outputs - y)[:, 4:] ** 2), rtol=1e-5)
    np.testing.assert_allclose(whole, np.mean((outputs - y) ** 2), rtol=1e-5)


def test_variable_windows_scale_the_learning_rate_by_their_length():
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 23)
    options = {"shortest": 2, "multiple": 2, "deviation": 2.0, "full": 0.5, "seed": 4}
    spans = bk.truncation.VariableWindow(6, **options).spans(23)
    lengths = {span.stop - span.start for span in spans}
    assert len(lengths) > 2
    state = model.layers[0].cell.get_initial_state(batch_size=3)
    for span in spans:
        assert span.rate == (span.stop - span.start) / 6
        optimizer = keras.optimizers.SGD(0.3 * span.rate)
        _, states = train_by_spans(
            model,
            optimizer,
            x[:, span.start : span.stop],
            y[:, span.start : span.stop],
            [(0, 0, span.stop - span.start)],
            state=state,
        )
        state = states[span.stop - span.start]
    trainer = trainer_of(twin, bk.truncation.VariableWindow(6, **options))
    trainer.train_on_batch(x, y)
    assert_same_weights(model, twin)


def test_artbp_scales_the_gradient_between_its_cuts_and_each_window():
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 30)
    schedule = bk.truncation.ARTBP(4, longest=9, seed=2)
    factors = np.float32(schedule.factors())
    states = None
    for span in schedule.spans(30):
        length = span.stop - span.start
        assert span.rate == length / 4
        part = slice(span.start, span.stop)
        _, states = train_by_spans(
            model,
            keras.optimizers.SGD(0.3 * span.rate),
            x[:, part],
            y[:, part],
            [(0, 0, length)],
            factors=factors,
            **({} if states is None else {"state": states[max(states)]}),
        )
    trainer = trainer_of(twin, bk.truncation.ARTBP(4, longest=9, seed=2))
    trainer.train_on_batch(x, y)
    assert_same_weights(model, twin)


class EveryCut:
    """Hands `ARTBP` one pattern of cuts after the other, with its probability."""

    def __init__(self, schedule, length):
        self._schedule = schedule
        self._length = length

    def patterns(self):
        for cuts in itertools.product([False, True], repeat=self._length - 1):
            probability, start, lengths = 1.0, 0, []
            for t, cut in enumerate([*cuts, True], start=1):
                c = self._schedule.cut_probability(t - start)
                if t < self._length:
                    probability *= c if cut else 1 - c
                if cut:
                    lengths.append(t - start)
                    start = t
            yield probability, lengths


@pytest.mark.slow
def test_artbp_gives_the_full_gradient_in_expectation():
    length = 5
    model = model_of(bk.layers.LSTM, units=3)
    x, y = series(2, length)
    schedule = bk.truncation.ARTBP(2.5, longest=length + 1, seed=1)
    twin = clone(model)
    trainer = trainer_of(twin, schedule, update="sequence")
    start, expected, total = model.get_weights(), 0, 0
    for probability, lengths in EveryCut(schedule, length).patterns():
        twin.set_weights(start)
        queue = iter(lengths)
        schedule.draw = lambda queue=queue: next(queue)
        trainer.train_on_batch(x, y)
        total += probability
        change = [a - b for a, b in zip(twin.get_weights(), start, strict=True)]
        expected = [
            e + probability * c
            for e, c in zip(expected or [0] * len(change), change, strict=True)
        ]
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    full = clone(model)
    trainer_of(full, None).train_on_batch(x, y)
    for one, e, s in zip(full.get_weights(), expected, start, strict=True):
        np.testing.assert_allclose(one - s, e, atol=1e-6)
