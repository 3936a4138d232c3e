"""The gradient of a window whose states are not all kept, but made again.

A window is cut into segments. It runs forward once without a tape and keeps some of
the states between segments. Then the segments run again, the last one first, each
with a tape of its own, and what flows back out of one flows on into the one before.
A plan of integers (`truncation.Segments`, `truncation.Revolve`) says what is kept.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.state import Buffers, floats, row_norms, shaped_like
from bptt_keras.training.measures.averages import weighted_means
from bptt_keras.training.programs.loop import joined
from bptt_keras.training.programs.window import as_arrays
from bptt_keras.truncation import Segments


class Layout(NamedTuple):
    """How a window is cut, and what is kept of it.

    Fields:
        length: Timesteps of a segment, an integer; the last one may be shorter.
        slots: States that are kept at a time.
        plan: List of `truncation.Action`.
        factors: `None`, or a number for each segment: what the gradient is
            multiplied by that flows back over the segment's first border.
    """

    length: Any
    slots: Any
    plan: Any
    factors: Any = None


class _Sums(NamedTuple):
    """What adds up while the segments run backward.

    Fields:
        state_gradient: Of the state before the segment that ran last; flat,
            floating-point states only.
        gradients: Of the variables.
        totals: Summed losses, one an output.
        labels_valid: Scalar booleans, one an output.
        ids_valid: Dict of scalar booleans.
    """

    state_gradient: Any
    gradients: Any
    totals: Any
    labels_valid: Any
    ids_valid: Any


def segmented_gradients(programs, layout, window, state, buffers, count=None):
    """Gradient of a window like `Programs.gradients`, with less memory.

    Every segment starts from the random seeds of the window and is told where in the
    window it stands, so that what is drawn once a window or once a timestep is drawn
    as if the window ran in one.

    Args:
        programs: The trainer's `Programs` for training.
        layout: `Layout` for the window's number of timesteps, which is known.
        window: `Batch`.
        state: Named state.
        buffers: Values of the model's buffers, all of them random seeds.
        count: Scalar integer tensor: segments that run, the rest of the window being
            padding; for plans that keep every state. Default (`None`): all.

    Returns:
        `programs.Window`.
    """
    return _Run(programs, layout, window, buffers, count).result(state)[0]


def gradient_norms(programs, layout, window, state, buffers, count=None):
    """How strongly the loss of the last timestep depends on each state before it.

        phi_s = mean over rows of || d loss_T / d state before segment s ||

    Args:
        programs: As above.
        layout: `Layout` that keeps every state.
        window: `Batch` whose weights are 0 but at the last timestep.
        state: Named state.
        buffers: Values of the model's buffers.
        count: Segments that run, as above.

    Returns:
        Tensor `(segments,)`, in the order of time.
    """
    return _Run(programs, layout, window, buffers, count).result(state)[1]


def step_by_step(length, factors=None):
    """The `Layout` of a window that keeps each of its states."""
    return Layout(1, length, Segments(length).plan(length), factors)


class _Run:
    """One window on its way through its plan."""

    def __init__(self, programs, layout, window, buffers, count):
        self._programs = programs
        self._layout = layout
        if window.reset is not None and not window.resets_inside:
            # Flags of shape (batch,) stand before the first segment.
            window = window._replace(fresh=window.reset, reset=None)
        self._given = window
        self._window = _weighed_everywhere(window, programs.sequence_output)
        self._buffers = buffers
        self._variables = [variable.value for variable in programs.variables]
        segments = -(-window.known_length // layout.length)
        self._last = segments - 1 if count is None else count - 1
        rest = window.known_length - (segments - 1) * layout.length
        self._last_length = rest if count is None else layout.length
        first = next(i for i, row in enumerate(layout.plan) if row.backward)
        self._forward, self._turn = layout.plan[:first], layout.plan[first]
        self._backward = layout.plan[first + 1 :]
        self._segments, self._counted = segments, count is not None
        # Which variables any segment's loss depends on, as tracing finds out.
        self._present = [False] * len(self._variables)

    def result(self, state):
        """`(programs.Window, norms)` of the window from this state on."""
        self._state_like = state
        state, slots, weights = self._sweep(state)
        result, weights, found = self._turn_round(state, weights)
        sums = _Sums(
            state_gradient=[tf.zeros_like(leaf) for leaf in floats(state)],
            gradients=[tf.zeros_like(v) for v in self._variables],
            totals=[tf.zeros_like(term.total) for term in result.terms],
            labels_valid=[tf.constant(True) for _ in result.terms],
            ids_valid={name: tf.constant(True) for name in result.ids_valid},
        )
        sums, norm = self._add(sums, result, found, self._last, counts=True)
        norms = _array(self._segments, norm)
        arrays = [norms.write(self._last, norm), *self._output_arrays(result)]
        sums, arrays = self._walk_back(sums, slots, weights, arrays)
        return self._joined(result, sums, weights, arrays[1:]), arrays[0].stack()

    # --- Forward ---------------------------------------------------------------

    def _sweep(self, state):
        """Runs forward up to the last segment and keeps states on the way."""
        # One more, for rows of the plan that keep nothing.
        count = self._layout.slots + 1
        slots = [_array(count, leaf) for leaf in tf.nest.flatten(state)]
        weights = [tf.zeros([]) for _ in self._programs.losses]
        begin, end = self._turn.begin, self._turn.end
        rows = len(self._forward)
        if self._counted:
            begin, end = tf.maximum(self._last - 1, 0), self._last
            rows = self._last
        if self._forward:
            table = tf.constant([row[1:4] for row in self._forward], tf.int32)

            def keep(index, state, slots, weights):
                begin, end, store = tf.unstack(table[index], 3)
                state, weights = self._advance(begin, end, state, weights)
                return index + 1, state, _written(slots, store, state), weights

            kept, state, slots, weights = tf.while_loop(
                lambda index, *_: index < rows, keep, (0, state, slots, weights)
            )
            if self._counted:
                # The same number, but XLA cannot tell that it is an argument: it
                # would compile a program for each value.
                self._last = end = kept
                begin = tf.maximum(kept - 1, 0)
        state, weights = self._advance(begin, end, state, weights)
        return state, slots, weights

    def _advance(self, begin, end, state, weights):
        """State and summed weights after the segments from `begin` up to `end`."""
        if isinstance(begin, int) and begin == end:
            return state, weights

        def one(index, state, weights):
            result, _ = self._run(index, self._layout.length, state)
            own = [term.weight for term in result.terms]
            weights = [a + b for a, b in zip(weights, own, strict=True)]
            return index + 1, shaped_like(result.state, state), weights

        _, state, weights = tf.while_loop(
            lambda index, *_: index < end, one, (begin, state, weights)
        )
        return state, weights

    def _run(self, segment, length, state):
        start = segment * self._layout.length
        part = self._window.cut(
            start, length, cut_targets=self._programs.sequence_output
        )
        return self._programs.forward(
            part,
            state,
            self._buffers,
            training=True,
            start=start,
            losses_count=False,
        )

    # --- Backward --------------------------------------------------------------

    def _turn_round(self, state, weights):
        """The last segment: its result, all weights, and the gradients of its loss."""
        programs = self._programs
        with tf.GradientTape() as tape:
            tape.watch(floats(state))
            result, _ = self._run(self._last, self._last_length, state)
            own = [term.weight for term in result.terms]
            if programs.sequence_output:
                own = [a + b for a, b in zip(weights, own, strict=True)]
            loss = self._scaled_loss(result.terms, own)
        found = tape.gradient(loss, [*self._variables, *floats(state)])
        return result, own, as_arrays(found)

    def _differentiated(self, segment, state, weights, state_gradient):
        """A segment before the last, and the gradients that flow out of it."""
        with tf.GradientTape() as tape:
            tape.watch(floats(state))
            result, _ = self._run(segment, self._layout.length, state)
            targets = floats(result.state)
            if self._programs.sequence_output:
                targets = [self._scaled_loss(result.terms, weights), *targets]
        ones = [tf.ones([])] if self._programs.sequence_output else []
        found = tape.gradient(
            targets,
            [*self._variables, *floats(state)],
            output_gradients=[
                tf.cast(g, t.dtype)
                for g, t in zip([*ones, *state_gradient], targets, strict=True)
            ],
        )
        return result, as_arrays(found)

    def _scaled_loss(self, terms, weights):
        """The terms' share of the loss whose weights over all segments are given."""
        parts = [t._replace(weight=w) for t, w in zip(terms, weights, strict=True)]
        loss = tf.add_n(weighted_means(self._programs.losses, parts))
        return self._programs.optimizer.scale_loss(loss)

    def _add(self, sums, result, found, segment, *, counts):
        """The sums with those of a segment, and the norm of what flows out of it.

        Args:
            sums: `_Sums`.
            result: `programs.Window` of the segment.
            found: Gradients of variables and states.
            segment: Number of the segment.
            counts: Whether the segment's loss is part of the window's.
        """
        of_variables, of_state = _parted(found, len(self._variables))
        of_state = [
            tf.zeros_like(zero) if g is None else g
            for g, zero in zip(of_state, sums.state_gradient, strict=True)
        ]
        scale = self._programs.optimizer.scale_loss(tf.constant(1.0))
        norm = tf.reduce_sum(row_norms(of_state)) / scale
        if self._layout.factors is not None:
            factor = tf.constant(self._layout.factors, tf.float32)[segment]
            of_state = [g * tf.cast(factor, g.dtype) for g in of_state]
        self._present = [
            known or g is not None
            for known, g in zip(self._present, of_variables, strict=True)
        ]
        totals, labels_valid = sums.totals, sums.labels_valid
        if counts:
            totals = [a + t.total for a, t in zip(totals, result.terms, strict=True)]
            labels_valid = [
                a & t.labels_valid
                for a, t in zip(labels_valid, result.terms, strict=True)
            ]
        sums = _Sums(
            state_gradient=shaped_like(of_state, sums.state_gradient),
            gradients=[
                total if g is None else total + g
                for total, g in zip(sums.gradients, of_variables, strict=True)
            ],
            totals=totals,
            labels_valid=labels_valid,
            ids_valid={
                name: valid & result.ids_valid[name]
                for name, valid in sums.ids_valid.items()
            },
        )
        return sums, norm

    def _walk_back(self, sums, slots, weights, arrays):
        """Runs the segments before the last as the rest of the plan says."""
        if not self._backward:
            return sums, arrays
        table = tf.constant(self._backward, tf.int32)
        always = all(row.backward for row in self._backward)
        keeps = any(row.store >= 0 for row in self._backward)
        counts = self._programs.sequence_output

        def backward(segment, state, sums, arrays):
            result, found = self._differentiated(
                segment, state, weights, sums.state_gradient
            )
            sums, norm = self._add(sums, result, found, segment, counts=counts)
            outputs = self._outputs(result) if len(arrays) > 1 else []
            arrays = [
                array.write(segment, value)
                for array, value in zip(arrays, [norm, *outputs], strict=True)
            ]
            return sums, arrays

        def row(index, slots, sums, arrays):
            restore, begin, end, store, is_backward = tf.unstack(table[index], 5)
            state = tf.nest.pack_sequence_as(
                self._state_like, [array.read(restore) for array in slots]
            )
            state = shaped_like(state, self._state_like)
            if not all(action.begin == action.end for action in self._backward):
                state, _ = self._advance(begin, end, state, weights)
            if keeps:
                place = tf.where(store < 0, self._layout.slots, store)
                slots = _written(slots, place, state)
            if always:
                sums, arrays = backward(end, state, sums, arrays)
            else:
                sums, arrays = tf.cond(
                    is_backward > 0,
                    lambda: backward(end, state, sums, arrays),
                    lambda: (sums, arrays),
                )
            return index + 1, slots, sums, arrays

        first = self._segments - 1 - self._last if self._counted else 0
        _, _, sums, arrays = tf.while_loop(
            lambda index, *_: index < len(self._backward),
            row,
            (first, slots, sums, arrays),
        )
        return sums, arrays

    # --- What comes out --------------------------------------------------------

    def _outputs(self, result):
        """Outputs and masks of a segment, flat, those that there are."""
        masks = [mask for mask in result.masks if mask is not None]
        return [*tf.nest.flatten(result.outputs), *masks]

    def _output_arrays(self, result):
        """An array of segments for each output, where somebody needs them."""
        programs = self._programs
        if not (programs.needs_outputs and programs.sequence_output):
            return []
        size = self._segments if self._counted else self._segments - 1
        arrays = []
        for tensor in self._outputs(result):
            array = _array(size, tensor, steps=self._layout.length)
            arrays.append(array.write(self._last, tensor) if self._counted else array)
        return arrays

    def _joined(self, result, sums, weights, arrays):
        programs = self._programs
        gradients, penalties = self._of_penalties()
        gradients = [
            None if not present and g is None else total if g is None else total + g
            for total, g, present in zip(
                sums.gradients, gradients, self._present, strict=True
            )
        ]
        terms = [
            term._replace(total=total, weight=weight, labels_valid=valid)
            for term, total, weight, valid in zip(
                result.terms, sums.totals, weights, sums.labels_valid, strict=True
            )
        ]
        result = result._replace(
            gradients=gradients,
            loss=tf.add_n([*weighted_means(programs.losses, terms), *penalties]),
            terms=terms,
            ids_valid=sums.ids_valid,
        )
        if not programs.needs_outputs:
            return result._replace(outputs=None, masks=None)
        if not programs.sequence_output:
            return result
        return self._with_outputs(result, arrays)

    def _with_outputs(self, result, arrays):
        """The result with the outputs of all segments, joined along time."""
        flat = [joined(array.stack()) for array in arrays]
        if not self._counted:
            flat = [
                tf.concat([before, last], axis=1)
                for before, last in zip(flat, self._outputs(result), strict=True)
            ]
        flat = [self._given.new_steps(tensor) for tensor in flat]
        count = len(tf.nest.flatten(result.outputs))
        outputs, masks = flat[:count], iter(flat[count:])
        outputs = tf.nest.pack_sequence_as(result.outputs, outputs)
        masks = [None if mask is None else next(masks) for mask in result.masks]
        return result._replace(outputs=outputs, masks=masks)

    def _of_penalties(self):
        """Gradients of weight regularisation, and its losses."""
        programs = self._programs
        scope = Buffers(programs.buffers, self._buffers, programs.variables)
        with tf.GradientTape() as tape, scope:
            losses = [
                tf.cast(tf.reduce_sum(loss), tf.float32)
                for loss in programs.step.model.losses
            ]
            total = tf.add_n([tf.zeros([]), *losses])
            scaled = programs.optimizer.scale_loss(total)
        return as_arrays(tape.gradient(scaled, self._variables)), losses


def _weighed_everywhere(window, sequence_output):
    """The window with targets and weights for all its timesteps, old ones weigh 0."""
    if not sequence_output:
        return window
    length, new = window.known_length, window.target_length
    weights = window.weights or [tf.ones([window.rows, new]) for _ in window.targets]

    def padded(tensor):
        if tensor is None or (isinstance(new, int) and new == length):
            return tensor
        shape = tf.shape(tensor)
        old = tf.zeros(
            tf.concat([[shape[0], length - new], shape[2:]], 0), tensor.dtype
        )
        joint = tf.concat([old, tensor], axis=1)
        joint.set_shape([tensor.shape[0], length, *tensor.shape[2:]])
        return joint

    return window._replace(
        targets=tf.nest.map_structure(padded, window.targets),
        weights=tf.nest.map_structure(padded, weights),
    )


def _array(size, like, *, steps=None):
    """A `TensorArray` of zeros like a tensor, which XLA can hand through loops.

    Args:
        size: Number of entries.
        like: Tensor of the shape of an entry.
        steps: Size of axis 1, where it is another.
    """
    shape, known = tf.shape(like), like.shape
    if steps is not None:
        shape = tf.concat([shape[:1], [steps], shape[2:]], 0)
        known = tf.TensorShape([known[0], steps, *known[2:]])
    zeros = tf.zeros(tf.concat([[size], shape], 0), like.dtype)
    array = tf.TensorArray(
        like.dtype, size, element_shape=known, clear_after_read=False
    )
    return array.unstack(tf.ensure_shape(zeros, [size, *known]))


def _parted(tensors, count):
    return tensors[:count], tensors[count:]


def _written(slots, place, state):
    return [
        array.write(place, leaf)
        for array, leaf in zip(slots, tf.nest.flatten(state), strict=True)
    ]
