"""A fused recurrence as loops over time of TensorFlow operations, for XLA."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bptt_keras.kernels.fused.equations import Equations, Slopes
from bptt_keras.kernels.fused.feature_major import (
    clear,
    flat,
    hold,
    previous,
    rows,
    scan,
    swap_to_back,
    swap_to_front,
    weight_gradient,
    wide,
)
from bptt_keras.kernels.fused.forward import forward
from bptt_keras.kernels.fused.implementation import Arguments
from bptt_keras.kernels.fused.products import Apart, Joined, Places, Products
from bptt_keras.types import Structure, Tensor


class Loops:
    """An `Implementation` for any device, with or without XLA.

    The gradients of W and U are one product each, over all steps.

    Args:
        equations: the equations of the recurrence.
    """

    def __init__(self, equations: Equations):
        self._equations = equations

    def forward(self, given: Arguments) -> tuple[Tensor, ...]:
        kernel, recurrent_kernel, biases = self._scaled(given)
        products = self._products(kernel, recurrent_kernel, biases)

        def step(p: Tensor, m: Tensor, states: tuple[Tensor, ...]) -> Structure:
            sums = products.added(p, m)
            return self._equations.step(sums, states, axis=-1)[0]

        return forward(
            step,
            given.x,
            given.states,
            kernel,
            recurrent_kernel,
            biases[0],
            mask=given.mask,
            reset=given.reset,
        )

    def forward_saving(
        self, given: Arguments
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        dtype, units = given.x.dtype, given.states[0].shape[-1]
        products = self._products(*self._scaled(given))
        x = swap_to_front(given.x, given.mask)
        sums_of, places = products.forward(tf.shape(x)[-1], dtype)

        def step(
            carry: tuple[tuple[Tensor, ...], Places], at_t: Sequence[Tensor | None]
        ) -> tuple[Structure, tuple[Tensor, ...]]:
            x, keep, fresh = at_t
            states, places = carry
            states = tuple(clear(fresh, s) for s in states)
            sums, places = sums_of(x, states[0], places)
            (h, *others), kept = self._equations.step(sums, states, axis=0)
            # Other states add up over the steps and stay wide.
            new = zip((tf.cast(h, dtype), *others), states, strict=True)
            states = tuple(hold(keep, n, old) for n, old in new)
            return (states, places), (
                states[0],
                *(tf.cast(_one(parts), dtype) for parts in kept),
            )

        h_0, *others = map(flat, given.states)
        (last, _), (h_seq, *kept) = scan(
            step,
            (x, given.mask, given.reset),
            ((h_0, *map(wide, others)), places),
            widths=(units, *self._equations.widths(units)),
        )
        last = (tf.cast(rows(s, units), dtype) for s in last)
        return (swap_to_back(h_seq), *last), (x, h_seq, *kept)

    def backward(
        self,
        given: Arguments,
        saved: tuple[Tensor, ...],
        upstream: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        x, h_seq, *kept = saved
        d_h_seq, *d_last = upstream
        h_prev = previous(h_seq, given.states[0], given.reset)
        products = self._products(*self._scaled(given))
        d_states, outputs = self._run_back(
            products,
            (swap_to_front(d_h_seq), given.mask, given.reset),
            self._equations.read(h_seq, h_prev, kept),
            d_last,
        )
        d_x, d_p, d_m, sums = products.collect(outputs)
        d_weights = (
            weight_gradient(x, d_p),
            weight_gradient(h_prev, d_m),
            *(tf.reduce_sum(d, axis=(1, 2)) for d in sums),
        )
        scale = self._scale(given)
        if scale is not None:
            d_weights = tuple(d * scale for d in d_weights)
        return swap_to_back(d_x), *d_states, *d_weights

    def _run_back(
        self,
        products: Products,
        sequences: tuple[Tensor, Tensor | None, Tensor | None],
        read: tuple[Tensor, ...],
        d_last: Sequence[Tensor],
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        d_h_seq, mask, reset = sequences
        dtype, units = d_h_seq.dtype, d_last[0].shape[-1]
        zero = tf.zeros([], dtype)

        def step(
            carry: tuple[tuple[Tensor, ...], Places], at_t: Sequence[Tensor | None]
        ) -> tuple[Structure, tuple[Tensor, ...]]:
            (d_h, *d_others), places = carry
            d_h_out, *at_step, keep, fresh = at_t
            d_states = (d_h + wide(d_h_out), *d_others)
            slopes = self._equations.derivative(at_step, d_states)
            sums, p, m = (
                tuple(hold(keep, tf.cast(d, dtype), zero) for d in gates)
                for gates in (slopes.sums, slopes.p, slopes.m)
            )
            through = Slopes(sums, slopes.states, p, m)
            d_h_prev, outputs, places = products.backward(through, places)
            before = tuple(
                _past_mask(keep, d, held)
                for d, held in zip(slopes.states, d_states, strict=True)
            )
            d_h_prev = wide(d_h_prev)
            if before[0] is not None:
                d_h_prev += before[0]
            d_prev = tuple(clear(fresh, d) for d in (d_h_prev, *before[1:]))
            return (d_prev, places), outputs

        d_states = tuple(wide(flat(d)) for d in d_last)
        places = products.places(tf.shape(d_h_seq)[-1], dtype)
        (d_states, _), outputs = scan(
            step,
            (d_h_seq, *read, mask, reset),
            (d_states, places),
            widths=products.widths(),
            reverse=True,
        )
        return tuple(tf.cast(rows(d, units), dtype) for d in d_states), outputs

    def _products(
        self, kernel: Tensor, recurrent_kernel: Tensor, biases: tuple[Tensor, ...]
    ) -> Products:
        kind = Joined if self._equations.joined else Apart
        return kind(kernel, recurrent_kernel, biases)

    def _scale(self, given: Arguments) -> Tensor | None:
        """The factor of each column of the weights; None if all are 1."""
        scales = self._equations.scales
        if all(scale == 1 for scale in scales):
            return None
        units, dtype = given.recurrent_kernel.shape[0], given.recurrent_kernel.dtype
        parts = [tf.fill([units], tf.constant(s, dtype)) for s in scales]
        return tf.concat(parts, axis=0)

    def _scaled(self, given: Arguments) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """W, U and the biases, scaled."""
        scale = self._scale(given)
        weights = (given.kernel, given.recurrent_kernel, *given.biases)
        if scale is not None:
            weights = tuple(w * scale for w in weights)
        return weights[0], weights[1], weights[2:]


def _past_mask(
    keep: Tensor | None, d_prev: Tensor | None, d_state: Tensor
) -> Tensor | None:
    """Gradient of the state before a step; masked steps pass it on unchanged.

    Args:
        keep: `(batch,)` booleans, or None.
        d_prev: the gradient that the equations of the step pass back, or None.
        d_state: gradient of the state after the step.
    """
    if d_prev is not None:
        return hold(keep, d_prev, d_state)
    return None if keep is None else hold(keep, tf.zeros_like(d_state), d_state)


def _one(parts: tuple[Tensor, ...]) -> Tensor:
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)
