"""One batch on its way through the windows: what it holds and how it is cut."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

_KEYS = ("inputs", "reset", "position")


class Batch(NamedTuple):
    """Inputs, targets and weights of whole sequences, and what continues them.

    Fields:
        inputs: Tensor or structure of tensors `(batch, time, ...)`.
        targets: Structure like the model's outputs, or `None`.
        weights: `None`, one tensor, or a structure like the targets.
        reset: `None`, or boolean `(batch,)` or `(batch, time)`.
        position: `None`, or `(batch,)`: the first timestep's place in its stream.
    """

    inputs: Any
    targets: Any = None
    weights: Any = None
    reset: Any = None
    position: Any = None

    @property
    def known_length(self):
        """Timesteps, or `None` where only a running step knows them."""
        return tf.nest.flatten(self.inputs)[0].shape[1]

    @property
    def length(self):
        """Timesteps: an integer where it is known, else a scalar tensor."""
        if self.known_length is not None:
            return self.known_length
        return tf.shape(tf.nest.flatten(self.inputs)[0])[1]

    @property
    def rows(self):
        """Number of rows, a scalar integer tensor."""
        return tf.shape(tf.nest.flatten(self.inputs)[0])[0]

    def steps(self, start, length, cut_targets=True):
        """The timesteps from `start` on, `length` of them.

        Args:
            start: First timestep, an integer or a scalar tensor.
            length: Number of timesteps, likewise.
            cut_targets: False where the targets belong to the whole sequence.
        """

        def cut(tree):
            return tf.nest.map_structure(lambda t: cut_time(t, start, length), tree)

        targets, weights = self.targets, self.weights
        if cut_targets:
            targets, weights = cut(targets), cut(weights)
        # Flags of shape (batch,) hold at the start of the batch: `Carry.enter` has
        # done what they say, and later windows go on.
        inside = self.reset is not None and self.reset.shape.rank == 2
        reset = cut(self.reset) if inside else None
        return Batch(cut(self.inputs), targets, weights, reset)

    def take_rows(self, start, stop):
        """The rows from `start` up to `stop`."""
        return tf.nest.map_structure(
            lambda t: None if t is None else t[start:stop], self
        )


def cut_time(tensor, start, length):
    """`tensor[:, start:start + length]`, with the static shape that slicing loses."""
    if tensor is None:
        return None
    part = tensor[:, start : start + length]
    if isinstance(length, int):
        part.set_shape([tensor.shape[0], length, *tensor.shape[2:]])
    return part


def split_inputs(x):
    """Takes `{"inputs": x, "reset": r, "position": p}` apart.

    Args:
        x: Anything that `fit` accepts as `x`. A dict with the key `"inputs"` and no
            others than `"reset"` and `"position"` is taken apart; anything else is
            the model's input as it stands.

    Returns:
        `(inputs, reset, position)`, the last two `None` if absent.

    Raises:
        ValueError: If `x` has `"reset"` or `"position"`, but no `"inputs"`, or
            other keys beside them.
    """
    if not isinstance(x, dict) or not set(x) & set(_KEYS):
        return x, None, None
    unknown = sorted(set(x) - set(_KEYS))
    if "inputs" not in x or unknown:
        if not {"reset", "position"} & set(x):
            return x, None, None
        raise ValueError(
            f"A dict with `reset` or `position` must hold the model's input under "
            f"`inputs` and nothing else. Received: keys {sorted(x)}. Put the inputs of "
            f"a model with several into one dict: {{'inputs': {{...}}, 'reset': ...}}."
        )
    return x["inputs"], x.get("reset"), x.get("position")


def make_batch(x, targets=None, weights=None):
    """A `Batch` of tensors, with the ranks and lengths of its parts checked.

    Args:
        x: Inputs of the batch, see `split_inputs`.
        targets: Targets or `None`.
        weights: Sample weights or `None`.

    Raises:
        ValueError: If a part has the wrong rank or length.
    """
    inputs, reset, position = split_inputs(x)
    inputs = _tensors(inputs)
    lengths = set()
    for tensor in tf.nest.flatten(inputs):
        if tensor.shape.rank is not None and tensor.shape.rank < 2:
            raise ValueError(
                f"Inputs must have the shape (batch, time, ...). Received: an input "
                f"of shape {tuple(tensor.shape)}. One long series becomes batches "
                f"with `bptt_keras.data.streams`."
            )
        lengths.add(tensor.shape[1])
    lengths.discard(None)
    if len(lengths) > 1:
        raise ValueError(
            f"All inputs must have the same number of timesteps. Received: inputs "
            f"with {sorted(lengths)} timesteps."
        )
    if 0 in lengths:
        raise ValueError("Inputs must have at least 1 timestep. Received: 0.")
    batch = Batch(
        inputs,
        _tensors(targets),
        _tensors(weights),
        None if reset is None else tf.cast(reset, tf.bool),
        position,
    )
    _check_reset(batch)
    return batch


def _check_reset(batch):
    if batch.reset is None:
        return
    shape = batch.reset.shape
    first = tf.nest.flatten(batch.inputs)[0].shape
    fits = shape.rank in (1, 2) and shape.is_compatible_with(first[: shape.rank])
    if not fits:
        raise ValueError(
            f"`reset` must have the shape (batch,) or (batch, time). Received: reset "
            f"with shape {tuple(shape)} beside inputs with shape {tuple(first)}."
        )


def fit_targets(batch, findings):
    """The batch with targets structured and ranked like the model's outputs.

    Args:
        batch: A `Batch` with targets, and perhaps weights.
        findings: `state.Findings` of the model.

    Returns:
        The `Batch`. Lists and tuples are interchangeable; targets `(batch, time)` of
        outputs `(batch, time, 1)` get their last axis.

    Raises:
        ValueError: If structure, length or width don't fit; names the shapes.
    """
    outputs = findings.outputs
    targets = _like_outputs(batch.targets, outputs)
    batch = batch._replace(targets=targets, weights=_like_weights(batch, outputs))
    _check_shapes(batch, outputs, findings.sequence_output)

    def rank_like(target, output):
        squeezed = target.shape.rank == output.shape.rank - 1
        return target[..., None] if squeezed and output.shape[-1] == 1 else target

    return batch._replace(
        targets=tf.nest.map_structure(rank_like, batch.targets, outputs)
    )


def _like_outputs(targets, outputs):
    """Targets packed as the outputs are: Keras' adapters turn lists into tuples."""
    flat, wanted = tf.nest.flatten(targets), tf.nest.flatten(outputs)
    both_keyed = isinstance(targets, dict) and isinstance(outputs, dict)
    either_keyed = isinstance(targets, dict) or isinstance(outputs, dict)
    same_keys = both_keyed and set(targets) == set(outputs)
    if len(flat) != len(wanted) or (either_keyed and not same_keys):
        raise ValueError(
            f"`y` must have the structure of the model's outputs. Received: y as "
            f"{_structure(targets)} beside outputs as {_structure(outputs)}."
        )
    return tf.nest.pack_sequence_as(outputs, flat)


def _like_weights(batch, outputs):
    several = tf.nest.is_nested(batch.weights)
    return _like_outputs(batch.weights, outputs) if several else batch.weights


def _check_shapes(batch, outputs, sequence_output):
    time = tf.nest.flatten(batch.inputs)[0].shape[1]
    for target, output in zip(
        tf.nest.flatten(batch.targets), tf.nest.flatten(outputs), strict=True
    ):
        if target.shape.rank is None:
            continue
        steps = target.shape[1] if target.shape.rank > 1 else "no"
        if sequence_output and steps not in (time, None) and time is not None:
            raise ValueError(
                f"`y` must have one target for each of the {time} timesteps of `x`, "
                f"shape (batch, time, ...). Received: y with shape "
                f"{tuple(target.shape)}. For one target for the whole sequence give "
                f"the last recurrent layer `return_sequences=False`."
            )
        same_rank = target.shape.rank == len(output.shape)
        if same_rank and target.shape[-1] not in (output.shape[-1], 1, None):
            raise ValueError(
                f"`y` must fit the model's output, which has the shape "
                f"{tuple(output.shape)}. Received: y with shape "
                f"{tuple(target.shape)}."
            )
        if not sequence_output and target.shape.rank > len(output.shape):
            raise ValueError(
                f"The model answers once for the whole sequence, with shape "
                f"{tuple(output.shape)}. Received: y with shape "
                f"{tuple(target.shape)}. For one target for each timestep give the "
                f"last recurrent layer `return_sequences=True`."
            )


def spread_weights(batch, sequence_output):
    """The batch with weights by timestep: `(batch,)` becomes `(batch, time)`.

    Args:
        batch: A `Batch`; its weights are `(batch,)`, `(batch, 1)` or `(batch, time)`.
        sequence_output: False leaves one weight for each row, `(batch,)`.

    Raises:
        ValueError: If the weights have another shape.
    """
    if batch.weights is None:
        return batch
    first = tf.nest.flatten(batch.inputs)[0]
    grid = tf.shape(first)[:2]

    def spread(weights):
        weights = tf.cast(weights, tf.float32)
        rank = weights.shape.rank
        one_a_row = rank == 1 or (rank == 2 and weights.shape[1] == 1)
        one_a_step = rank == 2 and weights.shape[1] in (first.shape[1], None)
        if sequence_output and (one_a_row or one_a_step):
            weights = weights[:, None] if rank == 1 else weights
            weights = tf.broadcast_to(weights, grid)
            weights.set_shape(first.shape[:2])
            return weights
        if not sequence_output and one_a_row:
            return tf.reshape(weights, [-1])
        allowed = "(batch,) or (batch, time)" if sequence_output else "(batch,)"
        raise ValueError(
            f"`sample_weight` must have the shape {allowed}. Received: sample_weight "
            f"with shape {tuple(weights.shape)} beside inputs with shape "
            f"{tuple(first.shape)}."
        )

    return batch._replace(weights=tf.nest.map_structure(spread, batch.weights))


def _tensors(tree):
    return None if tree is None else tf.nest.map_structure(tf.convert_to_tensor, tree)


def _structure(tree):
    return keras.tree.map_structure(lambda _: "tensor", tree)
