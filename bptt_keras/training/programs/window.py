"""The pieces of a step that are compiled: gradients of a window, update, forward.

The loop over windows calls these. Each is a function of tensors: what a model changes
by itself (random seeds, moving averages) goes in and comes out as values, so that
several can run side by side.
"""

import functools
from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.state import Buffers, watched_ids
from bptt_keras.training.measures.averages import loss_terms, weighted_means


class Window(NamedTuple):
    """What came out of one window.

    Fields:
        gradients: One tensor (or `None`) for each trainable variable, `None` after a
            forward pass. Where they are kept apart: a list of such lists, one for
            each output and one for the losses that the model adds.
        loss: Scalar: the objective, regularisation and other `add_loss` terms
            included.
        terms: List of `averages.Term`.
        outputs: The model's outputs at the new timesteps, or `None` where nobody
            needs them.
        masks: What the model itself masks of the outputs, flat.
        state: State after the window, or where the next one resumes.
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
        inputs: `Inputs` of the model.
        traits: What `state.discover` found.
        losses: List of `losses.OutputLoss`, or `None` (prediction only).
        optimizer: Keras optimizer, built, or `None`.
        needs_outputs: True if compiled metrics read the training outputs.
        apart: True: gradients of several outputs are kept apart, because their
            averages have not the same weights.
        xla: True or False: compile with XLA or not.
        eagerly: True: no graph at all.
        shards: Number of programs that the rows of a window are spread over.

    Attributes:
        sizes: `padding.Sizes`: those that windows are padded to.
    """

    def __init__(
        self,
        step,
        inputs,
        traits,
        losses,
        optimizer,
        *,
        needs_outputs,
        apart,
        xla,
        eagerly,
        shards,
        sizes,
    ):
        self.step = step
        self.inputs = inputs
        self.sequence_output = traits.sequence_output
        self.buffers = traits.buffers
        self.seeds = [v.path.endswith("seed_generator_state") for v in self.buffers]
        self.losses = losses
        self.optimizer = optimizer
        self.needs_outputs = needs_outputs
        self.apart = apart
        self.xla = xla and not eagerly
        self._eagerly = eagerly
        self.shards = shards
        self.sizes = sizes
        self.variables = list(step.model.trainable_variables)
        self.gradients = self.compiled(self._gradients)
        self.plain_gradients = self.compiled(self._gradients, xla=False)
        self.evaluate = self.compiled(self._evaluate)
        self.predict = self.compiled(self._predict)
        self.advance = self.compiled(self._advance)
        self.plain_advance = self.compiled(self._advance, xla=False)
        # Without XLA: all but the mask is cut away from the graph.
        self.mask = self.compiled(step.mask, xla=False)

    def compiled(self, function, xla=None):
        """The function as a program of its own.

        Args:
            function: Function of structures of tensors.
            xla: Whether XLA compiles it. Default (`None`): as these programs are.
        """
        if self._eagerly:
            return function
        xla = self.xla if xla is None else xla
        # Not the function itself: see `StepFunction`.
        function = functools.partial(function)
        return tf.function(function, autograph=False, jit_compile=xla)

    def gradients_resuming(self, resume):
        """Like `gradients`, but with the state after `resume` timesteps, an integer."""

        def gradients(window, state, buffers):
            result = self._gradients(window, state, buffers)
            _, kept, *_ = self._advance(window.first_steps(resume), state, buffers)
            return result._replace(state=kept)

        return self.compiled(gradients)

    def buffer_values(self):
        """Current values of the buffers, to be passed to a program."""
        return [tf.convert_to_tensor(variable.value) for variable in self.buffers]

    def keep_buffers(self, values):
        """Stores the new values that a program returned."""
        for variable, value in zip(self.buffers, values, strict=True):
            variable.assign(value)

    def forward(self, window, state, buffers, *, training, start=0, losses_count=True):
        """Outputs, loss terms and state of one pass over a window or a part of it.

        Args:
            window: `Batch`; the last timesteps, as many as the targets have, are new.
            state: Named state.
            buffers: Values of the model's buffers.
            training: Boolean.
            start: Timesteps of the window that come before this part.
            losses_count: False where the losses that layers add from their inputs
                are not used.

        Returns:
            `(result, penalties)`: a `Window` without gradients and loss, and the list
            of losses that the model adds, weight regularisation among them.
        """
        scope = Buffers(self.buffers, buffers, self.variables)
        with scope, watched_ids(self.step.model) as ids_valid:
            outputs, state = self._call(window, state, training, start, losses_count)
            outputs, masks = self._new_steps(window, outputs)
            terms = loss_terms(
                self.losses,
                window.targets,
                outputs,
                window.weights,
                self.sequence_output,
            )
            penalties = [tf.reduce_sum(loss) for loss in self.step.model.losses]
        result = Window(
            gradients=None,
            loss=None,
            terms=terms,
            outputs=outputs,
            masks=masks,
            state=state,
            buffers=scope.new_values(),
            ids_valid=dict(ids_valid),
        )
        return result, penalties

    def _call(self, window, state, training, start=0, losses_count=True):
        return self.step(
            self.inputs.join(window.inputs, window.constants),
            state,
            training=training,
            reset=window.reset,
            valid=window.valid,
            start=start,
            losses_count=losses_count,
        )

    def _new_steps(self, window, outputs):
        """Outputs at the timesteps that have targets, and the model's masks of them."""
        flat, masks = tf.nest.flatten(outputs), []
        for index, output in enumerate(flat):
            mask = getattr(output, "_keras_mask", None)
            if self.sequence_output:
                output, mask = window.new_steps(output), window.new_steps(mask)
                if mask is not None:
                    output._keras_mask = mask
            flat[index] = output
            masks.append(mask)
        return tf.nest.pack_sequence_as(outputs, flat), masks

    def objectives(self, terms, penalties):
        """What is minimised, one scalar, or where gradients are kept apart a list.

        Args:
            terms: List of `Term`.
            penalties: List of scalars.
        """
        penalties = [tf.cast(penalty, terms[0].total.dtype) for penalty in penalties]
        means = weighted_means(self.losses, terms)
        if self.apart:
            return [*means, tf.add_n([tf.zeros_like(means[0]), *penalties])]
        return [tf.add_n([*means, *penalties])]

    def _gradients(self, window, state, buffers):
        """Gradient of one window; the state it starts from is a constant."""
        variables = [variable.value for variable in self.variables]
        with tf.GradientTape(persistent=self.apart) as tape:
            result, penalties = self.forward(window, state, buffers, training=True)
            parts = self.objectives(result.terms, penalties)
            scaled = [self.optimizer.scale_loss(part) for part in parts]
        gradients = [as_arrays(tape.gradient(part, variables)) for part in scaled]
        if not self.needs_outputs:
            result = result._replace(outputs=None, masks=None)
        return result._replace(
            gradients=gradients if self.apart else gradients[0], loss=tf.add_n(parts)
        )

    def _evaluate(self, window, state, buffers):
        result, penalties = self.forward(window, state, buffers, training=False)
        loss = tf.add_n(self.objectives(result.terms, penalties))
        return result._replace(loss=loss)

    def _predict(self, window, state, buffers):
        return self._outputs(window, state, buffers, training=False)

    def _advance(self, window, state, buffers):
        """Training's forward pass without a tape: only the state is wanted."""
        outputs, *rest = self._outputs(window, state, buffers, training=True)
        return None, *rest

    def _outputs(self, window, state, buffers, training):
        scope = Buffers(self.buffers, buffers, self.variables)
        with scope, watched_ids(self.step.model) as ids_valid:
            outputs, state = self._call(window, state, training)
        return outputs, state, scope.new_values(), dict(ids_valid)


def as_arrays(gradients):
    """Gradients without sparse ones: those of embeddings, which XLA cannot add."""
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]
