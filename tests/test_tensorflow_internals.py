"""Each private feature of TensorFlow that the package relies on still exists."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import tensorflow_internals as internals

# --- Graphs ------------------------------------------------------------------------


def test_an_empty_graph_takes_what_is_made_within():
    with internals.empty_graph("tried"):
        assert not tf.executing_eagerly(), (
            "TensorFlow's `FuncGraph` no longer stops eager execution"
        )
        made = tf.constant(1.0) + tf.compat.v1.placeholder("float32", ())
    assert type(made.graph).__name__ == "FuncGraph" and made.graph.name == "tried", (
        "TensorFlow has no more `tf.__internal__.FuncGraph` that becomes the default"
    )


def test_variables_may_be_made_while_an_empty_graph_is_there():
    with internals.empty_graph("tried"), tf.init_scope():
        variable = tf.Variable(2.0)
    assert variable.numpy() == 2.0, (
        "`tf.init_scope` no longer leaves TensorFlow's `FuncGraph`"
    )


@pytest.mark.parametrize("xla", [False, True])
def test_a_trace_knows_whether_xla_compiles_it(xla):
    told = []

    def inner():
        told.append(internals.compiled_by_xla())
        return tf.constant(0)

    @tf.function(jit_compile=xla)
    def outer(condition):
        inner()
        # In a branch, whose graph is one of its own.
        return tf.cond(condition, inner, lambda: tf.constant(1))

    outer.get_concrete_function(tf.constant(True))
    assert told == [xla, xla], (
        "TensorFlow's `GraphOrParentsInXlaContext` no longer tells it while tracing"
    )
    assert not internals.compiled_by_xla()


def test_what_xla_does_not_know_is_read_from_its_refusal():
    @tf.function(jit_compile=True)
    def program(x):
        return tf.strings.as_string(x)

    lower = program.experimental_get_compiler_ir(tf.constant(1.0))
    with pytest.raises((ValueError, NotImplementedError, tf.errors.OpError)) as raised:
        lower(stage="hlo")
    message = str(raised.value).strip().splitlines()[0]
    assert internals.unknown_to_xla(message) == "AsString", (
        "XLA words its refusal of an operation in another way than "
        "'... on XLA_...: NAME'"
    )
    assert internals.unknown_to_xla("no room") is None


@pytest.mark.parametrize("xla", [False, True])
def test_a_part_of_an_array_is_replaced(xla):
    @tf.function(jit_compile=xla)
    def program(array, part):
        return internals.updated_slice(array, part, [1, 0])

    array = np.zeros((3, 2), "float32")
    part = np.ones((1, 2), "float32")
    if not xla:
        # The kernel is XLA's: without it there is a trace and no run.
        shape = program.get_concrete_function(array, part).structured_outputs.shape
        assert shape.rank in (None, 2)
        return
    expected = [[0, 0], [1, 1], [0, 0]]
    np.testing.assert_array_equal(
        program(array, part),
        expected,
        err_msg="TensorFlow's `xla_dynamic_update_slice` does something else",
    )


# --- Gradients ---------------------------------------------------------------------


def test_a_tape_is_seen_from_within():
    GONE = "TensorFlow's `record` no longer knows whether a tape may record"
    assert not internals.is_recorded(), GONE
    with tf.GradientTape() as tape:
        assert internals.is_recorded(), GONE
        with tape.stop_recording():
            assert not internals.is_recorded(), GONE


def test_unrecorded_operations_have_no_gradient():
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        with internals.unrecorded():
            hidden = x * x
            assert not internals.is_recorded()
        seen = x * x
    assert tape.gradient(hidden, x) is None, (
        "TensorFlow's `stop_recording` no longer stops tapes"
    )
    assert float(tape.gradient(seen, x)) == 6.0, (
        "TensorFlow's `stop_recording` no longer ends with its block"
    )


def test_custom_gradients_can_be_forgotten():
    @tf.custom_gradient
    def doubled(x):
        return 2 * x, lambda upstream: 2 * upstream

    before = internals.custom_gradients()

    @tf.function
    def program(x):
        return tf.gradients(doubled(x), x)

    program.get_concrete_function(tf.TensorSpec((), tf.float32))
    made = internals.custom_gradients() - before
    assert made, (
        "TensorFlow no longer registers custom gradients as 'CustomGradient-...' in "
        "`ops.gradient_registry`: what a model has traced may never be freed"
    )
    internals.forget_gradients(made)
    assert not made & internals.custom_gradients()


# --- The process -------------------------------------------------------------------


def test_operations_are_known_to_have_run():
    tf.constant(1) + 1
    assert internals.operations_have_run(), (
        "TensorFlow's context no longer says in `_initialized` that it has run"
    )


def test_operations_are_known_not_to_have_run(root):
    program = (
        "from bptt_keras.tensorflow_internals import operations_have_run as run\n"
        "import tensorflow as tf\n"
        "early = run()\n"
        "tf.constant(1) + 1\n"
        "print(early, run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"], (
        "TensorFlow's context no longer says that it has not been initialised"
    )


# --- Input pipelines ---------------------------------------------------------------


def test_a_dataset_knows_what_it_was_made_from():
    first = tf.data.Dataset.range(3)
    (source,) = internals.sources_of(first.batch(2))
    assert source is first, "TensorFlow's datasets have no more `_inputs()`"
    assert internals.sources_of(first) == []


def test_a_shuffled_dataset_is_known_by_its_class():
    dataset = tf.data.Dataset.range(3)
    told = [internals.shuffles(x) for x in (dataset, dataset.shuffle(2))]
    assert told == [False, True], (
        "TensorFlow no longer calls the class of shuffled datasets '...Shuffle...'"
    )
