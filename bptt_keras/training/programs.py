"""The pieces of a step that are compiled: gradients of a window, update, forward.

The loop over windows is plain graph code and calls these. Each is a function of
tensors: what a model changes by itself (random seeds, moving averages) goes in and
comes out as values, so that several can run side by side.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.state import Buffers, watched_ids
from bptt_keras.training.averages import loss_terms, objective


class Window(NamedTuple):
    """What came out of one window.

    Fields:
        gradients: One tensor (or `None`) for each trainable variable; `None` after a
            forward pass.
        loss: Scalar: the objective, regularisation and other `add_loss` terms
            included.
        terms: List of `averages.Term`.
        outputs: The model's outputs, or `None` where nobody needs them.
        masks: Masks of the outputs, flat.
        state: State after the window.
        buffers: New values of the model's buffers.
        ids_valid: `{Embedding layer name: scalar boolean}`.
    """

    gradients: Any
    loss: Any
    terms: Any
    outputs: Any
    masks: Any
    state: Any
    buffers: Any
    ids_valid: Any


class Programs:
    """The functions of one compiled trainer.

    Args:
        step: `PureStep` of the model.
        findings: What `state.discover` found.
        losses: The trainer's built `CompileLoss`, or `None` (prediction only).
        optimizer: Keras optimizer, built, or `None`.
        needs_outputs: True if compiled metrics read the training outputs.
        xla: True or False: compile with XLA or not.
        eagerly: True: no graph at all.
    """

    def __init__(
        self, step, findings, losses, optimizer, *, needs_outputs, xla, eagerly
    ):
        self._step = step
        self._sequence_output = findings.sequence_output
        self.buffers = findings.buffers
        self._losses = losses
        self._optimizer = optimizer
        self._needs_outputs = needs_outputs
        self.xla = xla and not eagerly
        self._variables = list(step.model.trainable_variables)

        def program(function):
            if eagerly:
                return function
            return tf.function(function, autograph=False, jit_compile=xla)

        self.gradients = program(self._gradients)
        self.update = program(self._update)
        self.evaluate = program(self._evaluate)
        self.predict = program(self._predict)
        self.advance = program(self._advance)
        # Without XLA: all but the mask is cut away from the graph.
        self.mask = step.mask if eagerly else tf.function(step.mask, autograph=False)

    def buffer_values(self):
        """Current values of the buffers, to be passed to a program."""
        return [tf.convert_to_tensor(variable.value) for variable in self.buffers]

    def keep_buffers(self, values):
        """Stores the new values that a program returned."""
        for variable, value in zip(self.buffers, values, strict=True):
            variable.assign(value)

    def _gradients(self, window, state, buffers):
        """Gradient of one window; the state it starts from is a constant."""
        variables = [variable.value for variable in self._variables]
        with tf.GradientTape() as tape:
            result = self._forward(window, state, buffers, training=True)
            scaled = self._optimizer.scale_loss(result.loss)
        gradients = tape.gradient(scaled, variables)
        # Gradients of embeddings are sparse; XLA and the sum over shards want arrays.
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        if not self._needs_outputs:
            result = result._replace(outputs=None, masks=None)
        return result._replace(gradients=gradients)

    def _update(self, gradients):
        """Lets the optimizer clip and apply; returns the norm before clipping."""
        scale = self._optimizer.scale_loss(tf.constant(1.0))
        present = [tf.cast(g, tf.float32) / scale for g in gradients if g is not None]
        norm = tf.linalg.global_norm(present)
        self._optimizer.apply(gradients, self._variables)
        return norm

    def _evaluate(self, window, state, buffers):
        return self._forward(window, state, buffers, training=False)

    def _forward(self, window, state, buffers, training):
        scope = Buffers(self.buffers, buffers, self._variables)
        with scope, watched_ids(self._step.model) as ids_valid:
            outputs, state = self._step(
                window.inputs, state, training=training, reset=window.reset
            )
            terms = loss_terms(
                self._losses,
                window.targets,
                outputs,
                window.weights,
                self._sequence_output,
            )
            loss = objective(self._losses, terms)
            for penalty in self._step.model.losses:
                loss += tf.reduce_sum(tf.cast(penalty, loss.dtype))
        return Window(
            gradients=None,
            loss=loss,
            terms=terms,
            outputs=outputs,
            masks=[getattr(t, "_keras_mask", None) for t in tf.nest.flatten(outputs)],
            state=state,
            buffers=scope.new_values(),
            ids_valid=dict(ids_valid),
        )

    def _predict(self, window, state, buffers):
        return self._outputs(window, state, buffers, training=False)

    def _advance(self, window, state, buffers):
        """Training's forward pass without a tape: only the state is wanted."""
        outputs, *rest = self._outputs(window, state, buffers, training=True)
        return None, *rest

    def _outputs(self, window, state, buffers, training):
        scope = Buffers(self.buffers, buffers, self._variables)
        with scope, watched_ids(self._step.model) as ids_valid:
            outputs, state = self._step(
                window.inputs, state, training=training, reset=window.reset
            )
        return outputs, state, scope.new_values(), dict(ids_valid)
