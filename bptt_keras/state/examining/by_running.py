"""Finds out, by running a model, whether cutting time changes what it computes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.keras_internals import all_layers, in_one_line, is_seed
from bptt_keras.state.buffers import Buffers
from bptt_keras.state.carriable import within_a_step
from bptt_keras.state.examining.timed import timed_inputs, with_sizes
from bptt_keras.state.ids import watched_ids
from bptt_keras.state.protocol import follows_protocol
from bptt_keras.state.pure_step import PureStep
from bptt_keras.state.replaced import replaced_call
from bptt_keras.types import Structure

ROWS, LENGTH, CUT = 2, 7, 3

# Rounding errors are far below, the effect of mixed timesteps is far above. Half
# precision rounds at every step.
_TOLERANCES = {"float64": 1e-6, "float32": 1e-3, "float16": 0.1, "bfloat16": 0.1}


def check_by_running(step: PureStep, specs: Structure) -> str | None:
    """Refuses a model that mixes timesteps in ways that no carried state covers.

        outputs(x[:, :7])  must equal  outputs(x[:, :3]), outputs(x[:, 3:7], state)

    Keras' own layers are recognised by their type (`check_carriable`). This finds
    the others: a mean over time in a subclassed `call`, a `Lambda` that shifts, a
    custom layer that pools. The model runs eagerly on 2 made-up rows of 7 timesteps,
    once as a whole and once in two pieces; outputs without a time axis are compared at
    the end. Nothing in the model changes.

    Args:
        step: A `PureStep`.
        specs: As for `discover`.

    Returns:
        `None` if the model passed, or a string with the reason why it could not be
        checked: it does not run on made-up data, or draws random numbers.

    Raises:
        ValueError: If the outputs differ; names the first layer whose inputs are the
            same in one piece and in two, but whose outputs are not.

    Example:
        from bptt_keras.state import check_by_running

        mean = keras.layers.Lambda(lambda x: x - keras.ops.mean(x, 1, True), name="m")
        model = keras.Sequential([keras.Input((None, 3)), mean])
        try:
            check_by_running(bk.PureStep(model), tf.TensorSpec((None, None, 3)))
        except ValueError as error:
            assert "'m' (Lambda)" in str(error)
    """
    # Eagerly, even while a graph is being traced.
    with tf.init_scope():
        try:
            inputs = made_up_inputs(step.model, specs, rows=ROWS, length=LENGTH)
            whole, pieces, seeds = _whole_and_pieces(step, inputs)
        except Exception as error:  # noqa: BLE001 - a model can raise anything
            return f"it does not run on made-up data: {in_one_line(error)}"
        tolerance = _tolerance(step.model)
        if all(map(lambda *t: _agree(*t, tolerance=tolerance), whole, *pieces)):
            return None
        if _is_random(step, inputs, whole, seeds, tolerance):
            return "it draws random numbers outside of training"
        raise ValueError(_message(step, _first_to_blame(step, inputs, tolerance)))


def made_up_inputs(
    model: keras.Model, specs: Structure, *, rows: int, length: int
) -> Structure:
    """Inputs like the specifications: normal floats, ids in every embedding's range.

    Args:
        model: A `keras.Model`.
        specs: As for `discover`.
        rows: Number of rows.
        length: Number of timesteps.

    Returns:
        Structure of tensors.

    Raises:
        TypeError: If an input holds neither numbers nor booleans.
    """
    limits = [
        layer.input_dim
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.Embedding)
    ]
    random = np.random.default_rng(0)

    def make(spec):
        # `Embedding` also takes floats: ids without a features axis.
        is_id = spec.dtype.is_integer or (limits and spec.shape.rank == 2)
        if spec.dtype.is_bool or is_id:
            values = random.integers(0, min(limits, default=2), spec.shape)
        elif spec.dtype.is_floating:
            values = random.normal(size=spec.shape)
        else:
            raise TypeError(f"no data of dtype {spec.dtype.name}")
        return tf.constant(values.astype(spec.dtype.as_numpy_dtype))

    return tf.nest.map_structure(
        make, with_sizes(model, specs, rows=rows, length=length)
    )


def _whole_and_pieces(
    step: PureStep,
    inputs: Structure,
    watch: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
) -> tuple[Any, tuple[Any, Any], list[keras.Variable]]:
    """Flat outputs of one call and of two pieces, and the seeds that were used.

    `watch` creates a context for each of the three calls.
    """
    timed = timed_inputs(step.model, inputs)

    def run(window, state):
        cut = tf.nest.map_structure(
            lambda x, is_timed: x[:, window] if is_timed else x, inputs, timed
        )
        scope = Buffers([], [], step.model.trainable_variables)
        # Ids that are out of range are clamped.
        with scope, watched_ids(step.model):
            outputs, state, _ = step._run(cut, state, watched=watch())
        return _arrays(outputs), state, scope.changed

    whole, _, changed = run(slice(None), None)
    first, state, _ = run(slice(CUT), None)
    second, _, _ = run(slice(CUT, None), state)
    seeds = [v for v in changed if is_seed(v)]
    return whole, (first, second), seeds


def _is_random(
    step: PureStep,
    inputs: Structure,
    whole: list[np.ndarray],
    seeds: list[keras.Variable],
    tolerance: float,
) -> bool:
    """Whether the same call gives different outputs again, with other seeds."""
    others = [variable.value + 1 for variable in seeds]
    with Buffers(seeds, others, step.model.trainable_variables):
        again = _arrays(step._run(inputs)[0])
    return not all(_equal(a, b, tolerance) for a, b in zip(whole, again, strict=True))


def _first_to_blame(step: PureStep, inputs: Structure, tolerance: float) -> Any:
    """The layer, or operation in a Functional model, that mixes timesteps."""
    runs = []

    @contextlib.contextmanager
    def noting():
        notes = {}
        runs.append(notes)
        with contextlib.ExitStack() as replaced:
            for layer in _watchable(step.model):
                replaced.enter_context(_noting(layer, notes))
            yield

    _whole_and_pieces(step, inputs, noting)
    doubtful = []
    # In the order in which calls return, so that a layer comes before its model.
    for key, (layer, *whole) in runs[0].items():
        if not all(key in run for run in runs):
            continue
        pieces = [run[key][1:] for run in runs[1:]]
        given, made = (
            [
                _agree(*tensors, tolerance=tolerance)
                for tensors in zip(whole[i], *(p[i] for p in pieces), strict=False)
            ]
            for i in (0, 1)
        )
        if all(given) and False in made:
            return layer
        if all(given) and None in made:
            doubtful.append(layer)
    return doubtful[0] if doubtful else step.model


def _watchable(model: keras.Model) -> Iterator[Any]:
    """Layers that see whole sequences, and the operations of Functional models."""
    within = within_a_step(model)
    for layer in all_layers(model):
        if id(layer) not in within:
            yield layer
            for operation in getattr(layer, "operations", []):
                if not isinstance(operation, keras.layers.Layer):
                    yield operation


def _noting(
    layer: Any, notes: dict[tuple[int, int], tuple]
) -> AbstractContextManager[None]:
    """A context in which each call is noted as `(layer, inputs, outputs)`."""
    original, calls = layer.call, [0]

    def call(*args, **kwargs):
        outputs = original(*args, **kwargs)
        calls[0] += 1
        given, made = _arrays([args, kwargs]), _arrays(outputs)
        if given is not None and made is not None:
            notes[id(layer), calls[0]] = (layer, given, made)
        return outputs

    return replaced_call(layer, call)


def _arrays(tree: Structure) -> Any:
    """The tensors of a structure, flat; `None` if some have no value."""
    tensors = [t for t in keras.tree.flatten(tree) if tf.is_tensor(t)]
    if not all(hasattr(tensor, "numpy") for tensor in tensors):
        return None
    return [
        tensor.numpy() if tensor.dtype.is_bool else tf.cast(tensor, "float64").numpy()
        for tensor in tensors
    ]


def _tolerance(model: keras.Model) -> float:
    dtypes = {layer.compute_dtype for layer in all_layers(model)}
    return max(_TOLERANCES.get(dtype, 0.0) for dtype in [*dtypes, "float64"])


def _agree(
    whole: np.ndarray, first: np.ndarray, second: np.ndarray, *, tolerance: float
) -> bool | None:
    """Whether a tensor of one call equals those of two; `None` if shapes do not fit."""
    joined = _joined(whole, first, second)
    return None if joined is None else _equal(whole, joined, tolerance)


def _joined(
    whole: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray | None:
    if whole.shape == second.shape:
        return second  # Without a time axis, the output at the end counts.
    if not whole.ndim == first.ndim == second.ndim:
        return None
    for axis, sizes in enumerate(
        zip(whole.shape, first.shape, second.shape, strict=True)
    ):
        rests = {
            (*shape[:axis], *shape[axis + 1 :])
            for shape in (whole.shape, first.shape, second.shape)
        }
        if len(rests) == 1 and sizes[0] == sizes[1] + sizes[2]:
            if axis == 0 and sizes[0] == ROWS * LENGTH:
                # Rows and timesteps in one axis.
                parts = [a.reshape(ROWS, -1, *a.shape[1:]) for a in (first, second)]
                return np.concatenate(parts, 1).reshape(whole.shape)
            return np.concatenate([first, second], axis)
    return None


def _equal(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    if a.shape != b.shape:
        return False
    if a.dtype == bool:
        return bool((a == b).all())
    scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return np.allclose(a, b, rtol=0, atol=tolerance * scale, equal_nan=True)


def _message(step: PureStep, layer: Any) -> str:
    kind = type(layer).__name__
    differ = (
        "on the same made-up inputs its outputs are not those of one call if the "
        "sequence comes in two pieces"
    )
    if isinstance(layer, keras.layers.RNN) or follows_protocol(layer):
        return (
            f"Layer {layer.name!r} ({kind}) cannot be cut in time: {differ}. Its state "
            f"does not hold all that later steps need, or its `call` looks at other "
            f"timesteps beside the state."
        )
    if isinstance(layer, keras.Model):
        where = f"The `call` of model {layer.name!r} ({kind})"
    elif isinstance(layer, keras.layers.Layer):
        where = f"Layer {layer.name!r} ({kind})"
    else:
        where = f"Operation {layer.name!r} ({kind}) of model {step.model.name!r}"
    return (
        f"{where} cannot be cut in time: {differ}. Something in it mixes timesteps, "
        f"such as a mean, a sum, a shift, a flip or a normalisation along axis 1. "
        f"Apply it to the data beforehand, use a recurrent layer in its place, or make "
        f"it a layer whose state is carried: `get_initial_state` and "
        f"`call_with_state`, see `PureStep`."
    )
