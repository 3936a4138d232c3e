"""Each private feature of TensorFlow that the package relies on still exists."""

import functools
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


@pytest.mark.parametrize("xla", [False, True])
def test_a_trace_knows_its_function(xla):
    told = []

    def tell():
        told.append(internals.function_being_traced())
        return tf.constant(0)

    inner = tf.function(lambda: tell())

    @tf.function(jit_compile=xla)
    def outer(condition):
        # In a branch, whose graph is one of its own.
        tf.cond(condition, tell, lambda: tf.constant(1))
        return inner()

    outer(tf.constant(True))
    assert told[0] == ("outer", xla), (
        "TensorFlow no longer names the graph of a function like the function, or no "
        "longer sets XLA's context around the trace of what XLA compiles"
    )
    assert told[1][1] is False, (
        "TensorFlow's XLA context now also encloses functions within what XLA compiles"
    )
    del told[:]
    tf.function(lambda: tell(), jit_compile=xla).get_concrete_function()
    assert told[0][1] is xla, (
        "TensorFlow no longer sets XLA's context in a trace that is made without a call"
    )
    assert internals.function_being_traced() == (None, False)


def test_a_partial_function_has_the_name_it_is_given():
    told = []
    named = functools.partial(
        lambda: told.append(internals.function_being_traced()[0]) or tf.constant(0)
    )
    named.__name__ = "chosen"
    tf.function(named, autograph=False)()
    assert told == ["chosen"], "TensorFlow names functions by something else"


def test_a_trace_knows_whether_it_is_being_saved(tmp_path):
    told = []

    class Saved(tf.Module):
        @tf.function(input_signature=[])
        def call(self):
            told.append(internals.is_being_saved())
            return tf.constant(0)

    tf.saved_model.save(Saved(), str(tmp_path))
    assert any(told), "TensorFlow's `in_save_context` no longer tells it"
    assert not internals.is_being_saved()


def test_text_in_stablehlo_runs_within_xla():
    text = """
    module @sum {
      func.func public @main(%a: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<2xf32> {
        %c = stablehlo.add %a, %b : tensor<2xf32>
        return %c : tensor<2xf32>
      }
    }
    """

    @tf.function(jit_compile=True)
    def program(a, b):
        results = [(tf.TensorShape([2]), tf.float32)]
        return internals.call_in_xla(text, [a, b], results)

    (received,) = program(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0]))
    np.testing.assert_array_equal(
        received,
        [4, 6],
        err_msg="TensorFlow's `xla_call_module` no longer takes a text in StableHLO",
    )


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


def test_custom_gradients_can_be_dropped_from_a_graph():
    @tf.custom_gradient
    def doubled(x):
        return 2 * x, lambda d: d

    def gradients_of(drop):
        def traced(x):
            y = doubled(x)
            if drop:
                internals.drop_custom_gradients()
            return y

        spec = tf.TensorSpec((2,))
        graph = tf.function(traced, autograph=False).get_concrete_function(spec).graph
        nodes = graph.as_graph_def().node
        return [node.name for node in nodes if "_gradient_op_type" in node.attr]

    assert gradients_of(drop=False), (
        "TensorFlow no longer marks custom gradients by `_gradient_op_type`"
    )
    assert not gradients_of(drop=True), (
        "TensorFlow's `Operation._clear_attr` no longer removes an attribute"
    )


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


def test_a_repeated_and_a_drawn_dataset_are_known_by_their_classes():
    dataset = tf.data.Dataset.range(3)
    drawn = tf.data.Dataset.random(seed=1)
    told = [internals.repeats(x) for x in (dataset, dataset.repeat())]
    assert told == [False, True], (
        "TensorFlow no longer calls the class of repeated datasets '...Repeat...'"
    )
    told = [internals.draws(x) for x in (dataset, dataset.shuffle(2), drawn)]
    assert told == [False, True, True], (
        "TensorFlow no longer calls the class of random datasets '...Random...'"
    )


def test_a_shuffled_dataset_knows_its_seeds():
    dataset, before = tf.data.Dataset.range(3), internals.has_global_seed()
    assert not internals.shuffles_unseeded(dataset.shuffle(2, seed=3))
    if before:
        tf.random.set_seed(None)
    assert not internals.has_global_seed(), "TensorFlow hides its global seed"
    assert internals.shuffles_unseeded(dataset.shuffle(2)), (
        "TensorFlow's shuffled datasets have no more `_seed` and `_seed2`"
    )
    tf.random.set_seed(1)
    assert internals.has_global_seed(), "TensorFlow hides its global seed"
    assert not internals.shuffles_unseeded(dataset.shuffle(2))


def test_an_iterator_has_a_position_that_another_can_take_up():
    dataset = tf.data.Dataset.range(9).map(lambda i: i * i)
    first, second = iter(dataset), iter(dataset)
    for _ in range(4):
        next(first)
    position = internals.position_of(first)
    assert isinstance(position, bytes) and len(position) < 10_000
    internals.move_to(second, position)
    assert [int(x) for x in second] == [16, 25, 36, 49, 64], (
        "TensorFlow's iterators have no more `_serialize_to_tensors` and "
        "`_restore_from_tensors`"
    )


def test_an_iterator_of_python_has_no_position():
    made = tf.data.Dataset.from_generator(
        lambda: iter([1]), output_signature=tf.TensorSpec((), "int32")
    )
    with pytest.raises(ValueError, match="stateful"):
        internals.position_of(iter(made))


def test_has_computed_knows_whether_tensorflow_has_started():
    program = (
        "import tensorflow as tf; from bptt_keras.tensorflow_internals import "
        "has_computed; before = has_computed(); tf.constant(1) + 1; "
        "print(before, has_computed())"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], (
        "TensorFlow's context has no more `_initialized`"
    )


def test_collectives_can_be_aborted():
    program = (
        "import tensorflow as tf; tf.constant(1) + 1; from bptt_keras import "
        "tensorflow_internals; tensorflow_internals.abort_collectives('a reason')"
    )
    done = subprocess.run([sys.executable, "-c", program])
    assert not done.returncode, "TensorFlow has no more `abort_collective_ops`"
