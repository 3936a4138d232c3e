"""Reference recurrences in NumPy with plain loops, which the kernels must equal.

They are written to be read, one row and one timestep at a time, from the formulas in
the docstrings and not from the kernels.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_cell(x, states, recurrent_kernel):
    h_prev, c_prev = states
    z_i, z_f, z_g, z_o = np.split(x + h_prev @ recurrent_kernel, 4)
    c = sigmoid(z_f) * c_prev + sigmoid(z_i) * np.tanh(z_g)
    return [sigmoid(z_o) * np.tanh(c), c]


def gru_cell(x, states, recurrent_kernel, recurrent_bias):
    (h_prev,) = states
    x_z, x_r, x_g = np.split(x, 3)
    m_z, m_r, m_g = np.split(h_prev @ recurrent_kernel + recurrent_bias, 3)
    z, r = sigmoid(x_z + m_z), sigmoid(x_r + m_r)
    return [z * h_prev + (1 - z) * np.tanh(x_g + r * m_g)]


def gru_reset_before_cell(x, states, recurrent_kernel):
    (h_prev,) = states
    x_z, x_r, x_g = np.split(x, 3)
    u_z, u_r, u_g = np.split(recurrent_kernel, 3, axis=1)
    z, r = sigmoid(x_z + h_prev @ u_z), sigmoid(x_r + h_prev @ u_r)
    return [z * h_prev + (1 - z) * np.tanh(x_g + (r * h_prev) @ u_g)]


def simple_rnn_cell(x, states, recurrent_kernel, activation=np.tanh):
    (h_prev,) = states
    return [activation(x + h_prev @ recurrent_kernel)]


def run(cell, x_proj, states, *weights, mask=None, reset=None):
    """Apply `cell` along time, row by row.

    `x_proj` is `(time, batch, gates * units)`, every state `(batch, units)`, the flags
    `(time, batch)`. Returns h of all steps and the last states.
    """
    length, batch, _ = x_proj.shape
    states = [np.array(s) for s in states]
    h_seq = np.zeros((length, *states[0].shape), x_proj.dtype)
    for t in range(length):
        for row in range(batch):
            if reset is not None and reset[t, row]:
                for state in states:
                    state[row] = 0
            if mask is None or mask[t, row]:
                new = cell(x_proj[t, row], [s[row] for s in states], *weights)
                for state, value in zip(states, new, strict=True):
                    state[row] = value
            h_seq[t, row] = states[0][row]
    return [h_seq, *states]


def lstm(x_proj, h_0, c_0, recurrent_kernel, **flags):
    return run(lstm_cell, x_proj, [h_0, c_0], recurrent_kernel, **flags)


def gru(x_proj, h_0, recurrent_kernel, recurrent_bias, **flags):
    return run(gru_cell, x_proj, [h_0], recurrent_kernel, recurrent_bias, **flags)


def gru_reset_before(x_proj, h_0, recurrent_kernel, **flags):
    return run(gru_reset_before_cell, x_proj, [h_0], recurrent_kernel, **flags)


def simple_rnn(x_proj, h_0, recurrent_kernel, activation=np.tanh, **flags):
    return run(simple_rnn_cell, x_proj, [h_0], recurrent_kernel, activation, **flags)


def run_layer(step, x, states, mask=None, reset=None):
    """Apply a layer's step along time, row by row.

    `step(x_t, states)` of one row returns an output and new states; `x` is `(batch,
    time, features)`, the flags `(batch, time)`. Returns the outputs of all steps.
    """
    rows = []
    for row, sequence in enumerate(x):
        now, output, outputs = states, None, []
        for t, x_t in enumerate(sequence):
            if reset is not None and reset[row, t]:
                now, output = states, None
            if mask is None or mask[row, t]:
                output, now = step(x_t, now)
            outputs.append(output)
        size = step(sequence[0], states)[0].shape
        rows.append([np.zeros(size) if o is None else o for o in outputs])
    return np.array(rows)


def layer_norm(x, gain, bias=0.0, epsilon=1e-5):
    return (x - x.mean()) / np.sqrt(x.var() + epsilon) * gain + bias


def layer_norm_lstm(w, x, **flags):
    def step(x, states):
        h_prev, c_prev = states
        z = layer_norm(x @ w["kernel"], w["input_gain"]) + w["bias"]
        z = z + layer_norm(h_prev @ w["recurrent_kernel"], w["recurrent_gain"])
        z_i, z_f, z_g, z_o = np.split(z, 4)
        c = sigmoid(z_f) * c_prev + sigmoid(z_i) * np.tanh(z_g)
        h = sigmoid(z_o) * np.tanh(layer_norm(c, w["state_gain"], w["state_bias"]))
        return h, [h, c]

    zero = np.zeros(len(w["state_gain"]))
    return run_layer(step, x, [zero, zero], **flags)


def ind_rnn(w, x, **flags):
    def step(x, h_prev):
        a = x @ w["kernel"] + w["recurrent_kernel"] * h_prev + w["bias"]
        h = np.maximum(a, 0)
        return h, h

    return run_layer(step, x, np.zeros(len(w["bias"])), **flags)


def min_gru(w, x, **flags):
    def step(x, h_prev):
        z, g = np.split(x @ w["kernel"] + w["bias"], 2)
        h = (1 - sigmoid(z)) * h_prev + sigmoid(z) * g
        return h, h

    return run_layer(step, x, np.zeros(len(w["bias"]) // 2), **flags)


def min_lstm(w, x, **flags):
    def step(x, h_prev):
        i, f, g = np.split(x @ w["kernel"] + w["bias"], 3)
        i, f = sigmoid(i), sigmoid(f)
        h = (f * h_prev + i * g) / (f + i)
        return h, h

    return run_layer(step, x, np.zeros(len(w["bias"]) // 3), **flags)


def lru(w, x, **flags):
    factor = np.exp(-np.exp(w["nu_log"]) + 1j * np.exp(w["theta_log"]))
    b, c = (w[k][0] + 1j * w[k][1] for k in ("input_kernel", "output_kernel"))

    def step(x, h_prev):
        h = factor * h_prev + np.exp(w["gamma_log"]) * (x @ b)
        return (h @ c).real + x @ w["skip_kernel"], h

    return run_layer(step, x, np.zeros(len(factor), complex), **flags)


def zoneout_lstm(w, x, zoneout_h=0.0, zoneout_c=0.0, **flags):
    """`zoneout_h` and `zoneout_c`: rates, or draws `(batch, time, units)`."""
    units = len(w["recurrent_kernel"])
    keeps = [np.broadcast_to(k, (*x.shape[:2], units)) for k in (zoneout_h, zoneout_c)]

    def step(x, states):
        h_prev, c_prev = states
        x, k_h, k_c = np.split(x, [-2 * units, -units])
        z = x @ w["kernel"] + w["bias"]
        h, c = lstm_cell(z, states, w["recurrent_kernel"])
        h, c = k_h * h_prev + (1 - k_h) * h, k_c * c_prev + (1 - k_c) * c
        return h, [h, c]

    # What a step is given must not move where another one is masked.
    x = np.concatenate([x, *keeps], axis=-1)
    return run_layer(step, x, [np.zeros(units)] * 2, **flags)


def linear_scan(a, b, h_0, mask=None, reset=None):
    """`a`, `b` are `(batch, time, units)`, the flags `(batch, time)`."""
    batch, length, _ = b.shape
    h_seq = np.zeros(b.shape, b.dtype)
    for row in range(batch):
        h = h_0[row]
        for t in range(length):
            if reset is not None and reset[row, t]:
                h = np.zeros_like(h)
            if mask is None or mask[row, t]:
                h = a[row, t] * h + b[row, t]
            h_seq[row, t] = h
    return h_seq


def finite_differences(function, arguments, step=1e-6):
    """Central differences of a scalar `function` of float64 arrays, one per array."""
    gradients = []
    for argument in arguments:
        gradient = np.zeros_like(argument)
        for index in np.ndindex(*argument.shape):
            value = argument[index]
            argument[index] = value + step
            above = function(*arguments)
            argument[index] = value - step
            below = function(*arguments)
            argument[index] = value
            gradient[index] = (above - below) / (2 * step)
        gradients.append(gradient)
    return gradients
