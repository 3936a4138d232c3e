"""JAX: cells in `lax.scan`, one compiled update per window, Adam, clipping (Optax)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.benchmarks.peers import data
from tests.benchmarks.peers.protocol import serve
from tests.benchmarks.shapes import EMBEDDING, GATES, IDS


def lstm(state, xw, u, b):
    """One timestep; `xw` is the product of inputs and kernel."""
    h, c = state
    i, f, g, o = jnp.split(xw + h @ u + b, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(state, xw, u, b):
    """One timestep; the reset gate stands after the product, as in Keras."""
    (h,) = state
    xz, xr, xn = jnp.split(xw, 3, -1)
    hz, hr, hn = jnp.split(h @ u + b, 3, -1)
    z = jax.nn.sigmoid(xz + hz)
    n = jnp.tanh(xn + jax.nn.sigmoid(xr + hr) * hn)
    return (z * h + (1 - z) * n,)


def rnn(state, xw, u, b):
    """One timestep."""
    (h,) = state
    return (jnp.tanh(xw + h @ u + b),)


CELLS = {"lstm": lstm, "gru": gru, "rnn": rnn}


def initial_weights(shape):
    """Uniform weights of the usual size, biases of zero."""
    random = np.random.default_rng(1)

    def uniform(rows, columns):
        bound = (6 / (rows + columns)) ** 0.5
        return jnp.asarray(random.uniform(-bound, bound, (rows, columns)), jnp.float32)

    wide = GATES[shape.kind] * shape.units
    sizes = [shape.features or EMBEDDING] + [shape.units] * (shape.layers - 1)
    layers = [
        {"w": uniform(n, wide), "u": uniform(shape.units, wide), "b": jnp.zeros(wide)}
        for n in sizes
    ]
    last = {"w": uniform(shape.units, IDS), "b": jnp.zeros(IDS)}
    weights = {"layers": layers, "last": last}
    if not shape.features:
        weights["embedding"] = uniform(IDS, EMBEDDING)
    return weights


def build(shape, unroll=1):
    """A compiled update, called window by window."""
    cell = CELLS[shape.kind]
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    def loss(weights, state, x, y):
        x = jnp.swapaxes(x, 0, 1)
        if not shape.features:
            x = weights["embedding"][x]
        after = []
        for layer, begin in zip(weights["layers"], state, strict=True):

            def step(carry, xw, layer=layer):
                carry = cell(carry, xw, layer["u"], layer["b"])
                return carry, carry[0]

            end, x = jax.lax.scan(step, begin, x @ layer["w"], unroll=unroll)
            after.append(end)
        logits = x @ weights["last"]["w"] + weights["last"]["b"]
        losses = optax.softmax_cross_entropy_with_integer_labels(
            logits, jnp.swapaxes(y, 0, 1)
        )
        return losses.mean(), after

    @jax.jit
    def update(weights, moments, state, x, y):
        slope = jax.value_and_grad(loss, has_aux=True)
        (value, state), gradients = slope(weights, state, x, y)
        changes, moments = optimizer.update(gradients, moments, weights)
        return optax.apply_updates(weights, changes), moments, state, value

    weights = initial_weights(shape)
    moments = optimizer.init(weights)
    inputs, targets = data.windows(shape)
    batches = [
        (jnp.asarray(x), jnp.asarray(y)) for x, y in zip(inputs, targets, strict=True)
    ]
    zeros = jnp.zeros((shape.rows, shape.units))
    initial = [(zeros,) * (2 if shape.kind == "lstm" else 1)] * shape.layers

    def train(windows):
        nonlocal weights, moments
        state, losses = initial, []
        for x, y in batches[:windows]:
            weights, moments, state, value = update(weights, moments, state, x, y)
            losses.append(value)
        return sum(value.item() for value in losses) / windows

    return train


if __name__ == "__main__":
    serve(build, {"JAX": jax.__version__, "Optax": optax.__version__})
