"""The generic loop, with a counting cell whose answers are integers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bptt_keras.kernels import cell_loop


def count(x, states):
    """Add up the inputs; the output is ten times the sum."""
    (total,) = states
    return 10 * (total + x), [total + x]


ONES = np.ones((2, 4, 1), "float32")
ZERO = [np.zeros((2, 1), "float32")]


def flag(*positions):
    flags = np.zeros((2, 4), bool)
    for position in positions:
        flags[position] = True
    return flags


def rows(outputs):
    return np.asarray(outputs)[..., 0].tolist()


@pytest.fixture(params=["loop", "unrolled", "xla"])
def loop(request):
    def run(**options):
        return cell_loop(
            count, ONES, ZERO, unroll=request.param == "unrolled", **options
        )

    if request.param == "xla":
        return lambda **options: tf.function(
            lambda: run(**options), jit_compile=True, autograph=False
        )()
    return run


def test_counts_the_steps(loop):
    last, outputs, states = loop()
    assert rows(outputs) == [[10, 20, 30, 40]] * 2
    assert rows(last) == [40, 40]
    assert rows(states[0]) == [4, 4]


def test_masked_steps_hold_state_and_output(loop):
    last, outputs, states = loop(mask=~flag((0, 0), (0, 2), (1, 3)))
    assert rows(outputs) == [[0, 10, 10, 20], [10, 20, 30, 30]]
    assert rows(last) == [20, 30]
    assert rows(states[0]) == [2, 3]


def test_a_masked_first_step_outputs_the_previous_output(loop):
    seven = np.full((2, 1), 7, "float32")
    _, outputs, _ = loop(mask=~flag((0, 0), (0, 1)), previous_output=seven)
    assert rows(outputs) == [[7, 7, 10, 20], [10, 20, 30, 40]]


def test_reset_touches_only_flagged_rows(loop):
    hundred = [np.full((2, 1), 100, "float32")]
    _, outputs, states = loop(reset=flag((0, 2)), initial_states=hundred)
    assert rows(outputs) == [[10, 20, 1010, 1020], [10, 20, 30, 40]]
    assert rows(states[0]) == [102, 4]


def test_a_reset_on_a_masked_step_still_resets(loop):
    _, outputs, states = loop(
        mask=~flag((0, 2)), reset=flag((0, 2)), initial_states=ZERO
    )
    assert rows(outputs) == [[10, 20, 0, 10], [10, 20, 30, 40]]
    assert rows(states[0]) == [1, 4]


@pytest.mark.parametrize("jit", [False, True])
def test_gradient_with_unknown_sizes_counts_the_steps_up_to_a_reset(jit):
    @tf.function(
        jit_compile=jit,
        input_signature=[
            tf.TensorSpec((None, None, 1)),
            tf.TensorSpec((None, None), tf.bool),
        ],
    )
    def slopes(x, reset):
        zero = [tf.zeros((tf.shape(x)[0], 1))]
        with tf.GradientTape() as tape:
            tape.watch(x)
            last, _, _ = cell_loop(count, x, zero, reset=reset, initial_states=zero)
        return tape.gradient(last, x)

    assert rows(slopes(ONES, flag((0, 2)))) == [[0, 0, 10, 10], [10] * 4]
    assert rows(slopes(ONES[:1, :1], flag()[:1, :1])) == [[10]]


def test_nested_states_and_inputs_of_any_rank():
    def step(x, states):
        image, number = x
        new = {"image": states["image"] + image, "number": states["number"] + number}
        return new["image"], new

    image, number = np.ones((2, 3, 4, 5, 1), "float32"), np.ones((2, 3, 1), "float32")
    states = {"image": np.zeros((2, 4, 5, 1)), "number": np.zeros((2, 1))}
    states = tf.nest.map_structure(lambda s: tf.constant(s, tf.float32), states)
    flags = np.array([[True, True, False], [True, True, True]])
    last, outputs, last_states = cell_loop(
        step, (image, number), states, mask=flags, reset=~flags, initial_states=states
    )
    assert outputs.shape == (2, 3, 4, 5, 1)
    assert last[:, 0, 0, 0].numpy().tolist() == [0, 3]
    assert rows(last_states["number"]) == [0, 3]


def test_equals_keras_for_a_keras_cell():
    layer = keras.layers.RNN(
        keras.layers.StackedRNNCells(
            [keras.layers.LSTMCell(3), keras.layers.GRUCell(4)]
        ),
        return_sequences=True,
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    expected = layer(x)
    _, outputs, _ = cell_loop(layer.cell, x, layer.get_initial_state(2))
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_reset_without_initial_states_is_refused():
    with pytest.raises(ValueError, match="`reset` needs `initial_states`"):
        cell_loop(count, ONES, ZERO, reset=flag())


def test_unroll_of_an_unknown_length_is_refused():
    @tf.function(input_signature=[tf.TensorSpec((2, None, 1))])
    def unknown(x):
        return cell_loop(count, x, ZERO, unroll=True)

    with pytest.raises(ValueError, match="number of steps that is known"):
        unknown(ONES)
