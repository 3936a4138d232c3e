"""Arrays for the native kernels, and what others make of them."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from bptt_keras.kernels.native.kinds import KINDS
from tests import references


def relu(x):
    return np.maximum(x, 0)


def same(x):
    return x


# Kind -> the reference, and its arguments besides the flags.
REFERENCES: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (references.lstm, {}),
    "gru": (references.gru, {}),
    "gru_reset_before": (references.gru_reset_before, {}),
    "simple_rnn_tanh": (references.simple_rnn, {"activation": np.tanh}),
    "simple_rnn_relu": (references.simple_rnn, {"activation": relu}),
    "simple_rnn_linear": (references.simple_rnn, {"activation": same}),
}


class Sizes(NamedTuple):
    batch: int = 3
    time: int = 5
    features: int = 4
    units: int = 5


def arrays_of(kind, sizes, seed=0):
    """x, the states, W, U and the biases in float64, time first; values of about one.

    The weights shrink with the number of units, so that linear units do not grow.
    """
    rng = np.random.default_rng(seed)
    _, gates, states, biases = KINDS[kind]
    batch, time, features, units = sizes
    width = gates * units
    x = rng.normal(size=(time, batch, features))
    before = [rng.normal(size=(batch, units)) for _ in range(states)]
    kernel = rng.normal(size=(features, width)) / np.sqrt(features)
    recurrent = rng.normal(size=(units, width)) / np.sqrt(units) / 2
    return [x, *before, kernel, recurrent, *rng.normal(size=(biases, width)) / 4]


def flags_of(sizes, seed=1):
    """Mask and reset; row 0 starts masked, the last row is masked throughout."""
    rng = np.random.default_rng(seed)
    shape = sizes.time, sizes.batch
    mask, reset = rng.random(shape) > 0.3, rng.random(shape) > 0.7
    mask[0, 0] = False
    if sizes.batch > 1:
        mask[:, -1] = False
    return {"mask": mask, "reset": reset}


def by_loops(kind, arrays, flags):
    """The outputs in NumPy, with plain loops."""
    reference, options = REFERENCES[kind]
    states = KINDS[kind].states
    x, before, kernel = arrays[0], arrays[1 : 1 + states], arrays[1 + states]
    recurrent, bias, *others = arrays[2 + states :]
    return reference(x @ kernel + bias, *before, recurrent, *others, **options, **flags)


def by_tensorflow(kind, arrays, flags):
    """The outputs, step by step in TensorFlow operations that a tape differentiates."""
    states = KINDS[kind].states
    x, before, kernel = arrays[0], arrays[1 : 1 + states], arrays[1 + states]
    recurrent, bias, *others = arrays[2 + states :]
    if "mask" in flags:
        x = tf.where(flags["mask"][..., None], x, tf.zeros_like(x))
    h_seq = []
    for t in range(x.shape[0]):
        if "reset" in flags:
            fresh = flags["reset"][t][:, None]
            before = [tf.where(fresh, tf.zeros_like(s), s) for s in before]
        p = x[t] @ kernel + bias
        new = _step(kind, p, before, recurrent, others)
        if "mask" in flags:
            keep = flags["mask"][t][:, None]
            new = [tf.where(keep, n, s) for n, s in zip(new, before, strict=True)]
        before = new
        h_seq.append(new[0])
    return [tf.stack(h_seq), *before]


def _step(kind, p, states, recurrent, biases):
    h = states[0]
    if kind == "lstm":
        i, f, g, o = tf.split(p + h @ recurrent, 4, axis=-1)
        c = tf.sigmoid(f) * states[1] + tf.sigmoid(i) * tf.tanh(g)
        return [tf.sigmoid(o) * tf.tanh(c), c]
    if kind.startswith("simple_rnn"):
        activation = {"tanh": tf.tanh, "relu": tf.nn.relu, "linear": tf.identity}
        return [activation[kind.split("_")[-1]](p + h @ recurrent)]
    p_z, p_r, p_g = tf.split(p, 3, axis=-1)
    u_z, u_r, u_g = tf.split(recurrent, 3, axis=-1)
    b_z, b_r, b_g = tf.split(biases[0], 3) if biases else (0.0, 0.0, 0.0)
    b_z, b_r, b_g = (tf.cast(b, p.dtype) for b in (b_z, b_r, b_g))
    z, r = tf.sigmoid(p_z + h @ u_z + b_z), tf.sigmoid(p_r + h @ u_r + b_r)
    m_g = (r * h) @ u_g if kind == "gru_reset_before" else r * (h @ u_g + b_g)
    return [z * h + (1 - z) * tf.tanh(p_g + m_g)]


def gradients(outputs_of, arrays):
    """The outputs, and the gradients of a sum in which each one counts differently."""
    with tf.GradientTape() as tape:
        tape.watch(arrays)
        outputs = outputs_of(arrays)
        loss = tf.add_n(
            [tf.reduce_sum(tf.sin((2 + k) * o)) for k, o in enumerate(outputs)]
        )
    slopes = tape.gradient(loss, arrays, unconnected_gradients="zero")
    return [*outputs, *slopes]


def assert_near(received, expected, tolerance):
    """Differences at most a fraction of the largest entry, or of one."""
    for r, e in zip(received, expected, strict=True):
        r, e = np.asarray(tf.cast(r, "float64")), np.asarray(tf.cast(e, "float64"))
        if e.size:
            assert np.abs(r - e).max() <= tolerance * max(1, np.abs(e).max())
