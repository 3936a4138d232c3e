"""Invalid timesteps do not count in moving averages and losses of layers."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.keras_internals import divides_activity_losses_by_rows
from bptt_keras.state import discover

ROWS, STEPS = 3, 8
# What Keras divides the loss of an activity regularizer by.
DIVISOR = ROWS if divides_activity_losses_by_rows() else 1


def flags(padding=0):
    valid = np.zeros((ROWS, STEPS + padding), bool)
    valid[0, :STEPS] = valid[1, :3] = valid[2, 2:5] = True
    return valid


def data(frame=(2,), padding=0):
    """Values where a step is valid, and others, far off, where it is not."""
    x = 3 + np.random.default_rng(0).normal(size=(ROWS, STEPS, *frame))
    x = np.pad(x, [(0, 0), (0, padding)] + [(0, 0)] * len(frame))
    x[~flags(padding)] = 100
    return x.astype("float32")


def sequential(*layers, frame=(2,)):
    return keras.Sequential([keras.Input((None, *frame)), *layers])


def step_of(*layers, frame=(2,)):
    return bk.PureStep(sequential(*layers, frame=frame))


def traits(step, frame=(2,)):
    return discover(step, tf.TensorSpec((None, None, *frame)))


# --- Moving averages -----------------------------------------------------------------

NORMALISED = {
    "features": ({}, (2,)),
    "images": ({}, (2, 3, 2)),
    "channels first": ({"axis": 2}, (2, 3, 2)),
    "renorm": ({"renorm": True}, (2,)),
}


def normalization(**options):
    known = inspect.signature(keras.layers.BatchNormalization).parameters
    if not options.keys() <= known.keys():
        pytest.skip(f"Keras {keras.version()} has no {options}")
    return keras.layers.BatchNormalization(momentum=0.5, **options)


@pytest.mark.parametrize("name", NORMALISED)
@pytest.mark.parametrize("inside", [False, True], ids=["bare", "TimeDistributed"])
def test_batch_normalization_uses_only_valid_steps(name, inside):
    options, frame = NORMALISED[name]
    if inside and "axis" in options:
        options = {"axis": 1}
    layer = normalization(**options)
    outer = keras.layers.TimeDistributed(layer) if inside else layer
    step, x, valid = step_of(outer, frame=frame), data(frame), flags()
    step(x, valid=valid, training=True)
    axis = 1 if "axis" in options else x[valid].ndim - 1
    others = tuple(i for i in range(x[valid].ndim) if i != axis)
    np.testing.assert_allclose(
        layer.moving_mean, 0.5 * x[valid].mean(others), rtol=1e-5
    )


@pytest.mark.parametrize(
    "jit",
    [pytest.param(False, marks=pytest.mark.slow), True],
    ids=["graph", "XLA"],
)
def test_more_padding_changes_neither_outputs_nor_averages(jit):
    found = []
    for padding in (0, 8):
        keras.utils.set_random_seed(3)
        layer = keras.layers.BatchNormalization(momentum=0.5)
        step = step_of(layer, keras.layers.GRU(2, return_sequences=True))

        @tf.function(jit_compile=jit)
        def program(x, valid, step=step):
            return step(x, valid=valid, training=True)[0]

        outputs = program(data(padding=padding), flags(padding))
        found.append([outputs[:, :STEPS], layer.moving_mean, layer.moving_variance])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"renorm": True}], ids=["plain", "renorm"])
def test_a_window_of_padding_leaves_moving_averages_unchanged(options):
    layer = normalization(**options)
    step = step_of(layer)
    step(data(), training=True)
    before = [w.numpy() for w in layer.weights]
    step(data(), valid=np.zeros((ROWS, STEPS), bool), training=True)
    for old, new in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_window_that_the_model_masks_entirely_leaves_moving_averages_unchanged():
    layer = keras.layers.BatchNormalization(momentum=0.5)
    step = step_of(keras.layers.Masking(), layer)
    step(data(), training=True)
    before = layer.moving_mean.numpy()
    step(np.zeros((ROWS, STEPS, 2), "float32"), training=True)
    np.testing.assert_array_equal(before, layer.moving_mean)


def test_valid_everywhere_equals_no_valid():
    found = []
    for valid in (None, np.ones((ROWS, STEPS), bool)):
        keras.utils.set_random_seed(3)
        norm = keras.layers.BatchNormalization(momentum=0.5)
        dense = keras.layers.Dense(2, activity_regularizer="l2")
        model = sequential(norm, dense, keras.layers.GRU(3, activity_regularizer="l1"))
        outputs, _ = bk.PureStep(model)(data(), valid=valid, training=True)
        found.append([outputs, *model.losses, norm.moving_mean, norm.moving_variance])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_an_axis_that_happens_to_be_as_long_as_the_sequence_is_not_time():
    norm = keras.layers.BatchNormalization(momentum=0.0)
    gru = keras.layers.GRU(STEPS, activity_regularizer="l2")
    model = sequential(gru, keras.layers.Reshape((STEPS, 1)), norm)
    outputs, _ = bk.PureStep(model)(data(), valid=flags(), training=True)
    last = gru(data(), mask=flags())
    np.testing.assert_allclose(norm.moving_mean, [np.mean(last)], rtol=1e-5)
    expected = 0.01 * np.sum(np.square(last)) / DIVISOR
    np.testing.assert_allclose(model.losses[0], expected, rtol=1e-5)


class Average(keras.layers.Layer):
    """Keeps the mean of what it has seen last."""

    def build(self, shape):
        self.mean = self.add_weight(name="mean", trainable=False)

    def call(self, inputs):
        self.mean.assign(tf.reduce_mean(inputs))
        return inputs


class MaskedAverage(Average):
    def call(self, inputs, mask=None):
        weights = tf.ones(tf.shape(inputs)[:2]) if mask is None else mask
        weights = tf.cast(weights, inputs.dtype)[..., None] * tf.ones_like(inputs)
        total = tf.reduce_sum(weights * inputs)
        self.mean.assign(total / tf.reduce_sum(weights))
        return inputs


def test_a_custom_layer_gets_the_mask_of_valid_steps():
    layer = MaskedAverage()
    step = step_of(layer)
    step(data(), valid=flags(), training=True)
    expected = data()[flags()].mean()
    np.testing.assert_allclose(layer.mean, expected, rtol=1e-6)
    # Its own quotient would be 0 / 0.
    step(data(), valid=np.zeros((ROWS, STEPS), bool), training=True)
    np.testing.assert_allclose(layer.mean, expected, rtol=1e-6)
    assert traits(step).why_padding_counts is None


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_layer_of_several_inputs_gets_a_mask_for_each_or_the_one_given(by_hand):
    class Sum(keras.layers.Layer):
        def call(self, inputs, mask=None):
            self.masks = mask
            return sum(inputs)

    layer, x = Sum(), keras.Input((None, 2))
    given = keras.layers.Masking().compute_mask(x) if by_hand else None
    model = keras.Model(x, layer([x, keras.layers.Dense(2)(x)], mask=given))
    bk.PureStep(model)(data(), valid=flags())
    masks = [layer.masks] if by_hand else layer.masks
    for mask in masks:
        np.testing.assert_array_equal(mask, flags())
    assert len(masks) == (1 if by_hand else 2)


def test_a_moving_average_that_knows_no_mask_is_refused():
    step = step_of(Average(name="seen"))
    step(data(), training=True)
    with pytest.raises(ValueError, match=r"'seen' \(Average\) changes .*mean.*`mask`"):
        step(data(), valid=flags(), training=True)
    assert "'seen'" in traits(step).why_padding_counts


def test_rows_and_timesteps_merged_by_hand_are_refused():
    inputs = keras.Input((None, 2))
    flat = keras.layers.Lambda(lambda x: tf.reshape(x, (-1, 2)))(inputs)
    norm = keras.layers.BatchNormalization(name="norm")(flat)
    step = bk.PureStep(keras.Model(inputs, norm))
    with pytest.raises(ValueError, match="'norm'.*TimeDistributed"):
        step(data(), valid=flags(), training=True)


# --- Activity regularizers -----------------------------------------------------------


def kept(outputs):
    return np.where(flags()[..., None], outputs, 0)


@pytest.mark.parametrize(
    "layer",
    [
        lambda r: keras.layers.Dense(3, activity_regularizer=r),
        lambda r: keras.layers.GRU(3, return_sequences=True, activity_regularizer=r),
        lambda r: bk.layers.LSTM(3, return_sequences=True, activity_regularizer=r),
    ],
)
def test_an_activity_regularizer_counts_only_valid_outputs(layer):
    layer = layer(keras.regularizers.L1L2(0.1, 0.2))
    step = step_of(layer)
    outputs, _ = step(data(), valid=flags())
    counted = kept(outputs)
    expected = 0.1 * np.abs(counted).sum() + 0.2 * np.square(counted).sum()
    np.testing.assert_allclose(step.model.losses, [expected / DIVISOR], rtol=1e-5)


def test_keras_activity_regularization_counts_only_valid_steps():
    step = step_of(keras.layers.ActivityRegularization(l2=0.5))
    step(data(), valid=flags())
    expected = 0.5 * np.square(kept(data())).sum() / DIVISOR
    np.testing.assert_allclose(step.model.losses, [expected], rtol=1e-5)


def test_an_activity_regularizer_leaves_out_what_the_model_masks():
    dense = keras.layers.Dense(3, bias_initializer="ones", activity_regularizer="l2")
    step = step_of(keras.layers.Masking(), dense)
    outputs, _ = step(np.where(flags()[..., None], data(), 0))
    expected = 0.01 * np.square(kept(outputs)).sum() / DIVISOR
    np.testing.assert_allclose(step.model.losses, [expected], rtol=1e-5)


def test_a_custom_regularizer_that_sums_is_accepted():
    def log_cosh(x):
        return tf.reduce_sum(tf.math.log(tf.cosh(x)))

    step = step_of(keras.layers.Dense(3, activity_regularizer=log_cosh))
    outputs, _ = step(data() / 10, valid=flags())
    expected = np.log(np.cosh(kept(outputs))).sum() / DIVISOR
    np.testing.assert_allclose(step.model.losses, [expected], rtol=1e-5)


@pytest.mark.parametrize(
    "regularizer",
    [
        lambda x: tf.reduce_mean(tf.square(x)),
        lambda x: tf.reduce_sum(tf.square(x - 0.1)),
    ],
    ids=["mean", "not 0 at 0"],
)
def test_a_regularizer_to_which_zeros_count_is_refused(regularizer):
    dense = keras.layers.Dense(3, activity_regularizer=regularizer, name="wide")
    step = step_of(dense)
    step(data())
    with pytest.raises(ValueError, match="activity regularizer of layer 'wide'"):
        step(data(), valid=flags())
    assert "'wide'" in traits(step).why_padding_counts


# --- Losses that layers add ----------------------------------------------------------


class Loss(keras.layers.Layer):
    """Adds the mean square of its inputs."""

    def call(self, inputs):
        self.add_loss(tf.reduce_mean(tf.square(inputs)))
        return inputs


class MaskedLoss(keras.layers.Layer):
    def call(self, inputs, mask=None):
        weights = tf.ones(tf.shape(inputs)[:2]) if mask is None else mask
        weights = tf.cast(weights, inputs.dtype)[..., None] * tf.ones_like(inputs)
        squares = tf.reduce_sum(weights * tf.square(inputs))
        self.add_loss(squares / tf.reduce_sum(weights))
        return inputs


class WeightLoss(keras.layers.Dense):
    def call(self, inputs):
        self.add_loss(tf.reduce_sum(tf.square(self.kernel)))
        return super().call(inputs)


@pytest.mark.parametrize("inside", [False, True], ids=["bare", "TimeDistributed"])
def test_a_loss_that_knows_no_mask_is_refused(inside):
    layer = Loss(name="extra")
    step = step_of(keras.layers.TimeDistributed(layer) if inside else layer)
    step(data())
    with pytest.raises(ValueError, match=r"'extra' \(Loss\) adds a loss .*`mask`"):
        step(data(), valid=flags())
    assert "'extra'" in traits(step).why_padding_counts


def test_an_unused_loss_is_not_refused():
    step = step_of(Loss())
    expected = step(data())[0]
    received, _ = step(data(), valid=flags(), losses_count=False)
    np.testing.assert_array_equal(received, expected)


def test_a_loss_of_a_subclassed_model_is_refused_too():
    class Own(keras.Model):
        def call(self, inputs):
            self.add_loss(tf.reduce_mean(inputs * 2))
            return inputs

    model = Own(name="own")
    model(data())
    with pytest.raises(ValueError, match=r"'own' \(Own\) adds a loss"):
        bk.PureStep(model)(data(), valid=flags())


def test_a_loss_that_takes_a_mask_gets_it():
    step = step_of(MaskedLoss())
    step(data(), valid=flags())
    expected = np.square(data()[flags()]).mean()
    np.testing.assert_allclose(step.model.losses, [expected], rtol=1e-6)
    assert traits(step).why_padding_counts is None


def test_a_window_of_padding_adds_no_loss_and_no_gradient():
    dense = keras.layers.Dense(2)
    step = step_of(dense, MaskedLoss())
    with tf.GradientTape() as tape:
        step(data(), valid=np.zeros((ROWS, STEPS), bool))
        (loss,) = step.model.losses
    (gradient,) = tape.gradient(loss, [dense.kernel.value])
    assert loss == 0
    np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [WeightLoss(2)],
        lambda: [keras.layers.GRU(STEPS), Loss()],
        lambda: [keras.layers.Dense(2, kernel_regularizer="l2")],
        lambda: [keras.layers.SpectralNormalization(keras.layers.Dense(2))],
    ],
    ids=["of weights", "of the last output", "kernel", "of power iteration"],
)
def test_what_no_padding_reaches_is_not_refused(layers):
    step = step_of(*layers())
    step(data(), valid=flags(), training=True)
    assert traits(step).why_padding_counts is None


def test_moving_averages_that_take_a_mask_leave_padding_free():
    step = step_of(keras.layers.BatchNormalization())
    assert traits(step).why_padding_counts is None


def test_noise_for_a_whole_window_is_found():
    assert (
        "GaussianNoise"
        in traits(step_of(keras.layers.GaussianNoise(0.1))).why_padding_counts
    )
    layers = [keras.layers.Dropout(0.5), keras.layers.SpatialDropout1D(0.5)]
    recurrent = keras.layers.GRU(2, dropout=0.5)
    assert traits(step_of(*layers, recurrent)).why_padding_counts is None
