"""The programs of one window: its gradients and its forward pass.

The loop over windows calls these. Each is a function of tensors: the variables that a
model itself changes (random seeds, moving averages) are passed in and returned as
values, so that several programs can run in parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.keras_internals import attach_mask, mask_of
from bptt_keras.kernels.native.place import never_saved
from bptt_keras.process_group import ProcessGroup
from bptt_keras.state import Buffers, ModelTraits, PureStep, watched_ids
from bptt_keras.training.measures.averages import Term, loss_terms, weighted_means
from bptt_keras.training.programs.batch_like import BatchLike, Size
from bptt_keras.training.programs.padding import Sizes, run_padded
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.shards import run_sharded, seeds_of
from bptt_keras.types import State, Structure, Tensor


class Programs:
    """The compiled functions of one trainer.

    Args:
        step: `PureStep` of the model.
        inputs: `Inputs` of the model.
        traits: What `state.discover` found.
        losses: List of `losses.OutputLoss`, or `None` (prediction only).
        optimizer: Keras optimizer, built, or `None`.
        needs_outputs: Whether compiled metrics read the training outputs.
        apart: Whether gradients of several outputs are kept separate, because their
            averages have different weights.
        xla: Whether to compile with XLA.
        eagerly: Whether to run without graphs.
        shards: Number of parallel calls over which the rows of a window are split.
        sizes: `padding.Sizes`, the sizes that windows are padded to.
        group: The processes that train together, or `None`.

    Attributes:
        gradients: Program `(window, state, buffers) -> WindowResult` with gradients;
            `plain_gradients` is the same without XLA.
        evaluate: Program that returns outputs, terms and loss.
        predict: Program that returns outputs.
        advance: Program that returns only the state, in training mode;
            `plain_advance` is the same without XLA.
        mask: Program `(inputs) -> mask`: the mask that reaches the recurrent layers.
    """

    def __init__(
        self,
        step: PureStep,
        inputs: Any,
        traits: ModelTraits,
        losses: Any,
        optimizer: Any,
        *,
        needs_outputs: bool,
        apart: bool,
        xla: bool,
        eagerly: bool,
        shards: int,
        sizes: Sizes,
        group: ProcessGroup | None = None,
    ):
        self.step = step
        self.inputs = inputs
        self.sequence_output = traits.sequence_output
        self.buffers = traits.buffers
        self.losses = losses
        self.optimizer = optimizer
        self.needs_outputs = needs_outputs
        self.apart = apart
        self.xla = xla and not eagerly
        self._eagerly = eagerly
        self.shards = shards
        self.sizes = sizes
        self.group = group
        self.variables = list(step.model.trainable_variables)
        self.gradients = self.compiled(self._gradients)
        self.plain_gradients = self.compiled(self._gradients, xla=False)
        self.evaluate = self.compiled(self._evaluate)
        self.predict = self.compiled(self._predict)
        self.advance = self.compiled(self._advance)
        self.plain_advance = self.compiled(self._advance, xla=False)
        # Without XLA: all but the mask is pruned from the graph.
        self.mask = self.compiled(step.mask, xla=False)

    def compiled(
        self, function: Callable[..., Any], xla: bool | None = None
    ) -> Callable[..., Any]:
        """The function as a compiled program.

        Args:
            function: Function of structures of tensors.
            xla: Whether XLA compiles it. Default (`None`): as for these programs.
        """
        if self._eagerly:
            return function
        xla = self.xla if xla is None else xla
        function = never_saved(function, xla=xla)
        return tf.function(function, autograph=False, jit_compile=xla)

    def run(
        self,
        program: Callable[..., WindowResult],
        window: BatchLike,
        state: State,
        *extra: Tensor,
    ) -> WindowResult:
        """Runs a program on a window of exactly this size, in shards if needed.

        Args:
            program: One of these programs, or another function `(window, state,
                buffers, *extra) -> WindowResult`.
            window: `Batch` of one window.
            state: Named state.
            *extra: Further arguments of the program.
        """
        buffers = self.buffer_values()
        return run_sharded(program, window, state, buffers, self.shards, *extra)

    def run_padded(
        self, program: Callable[..., WindowResult], window: BatchLike, state: State
    ) -> WindowResult:
        """Runs a program on a window, padded to one of a few sizes if needed."""

        def run(window: BatchLike, state: State) -> WindowResult:
            return self.run(program, window, state)

        timed = self.sequence_output
        return run_padded(
            self.sizes, run, window, state, timed=timed, at_front=not timed
        )

    def gradients_resuming(self, resume: int) -> Callable[..., WindowResult]:
        """Like `gradients`, but with the state after `resume` timesteps."""

        def gradients(
            window: BatchLike, state: State, buffers: list[Tensor]
        ) -> WindowResult:
            result = self._gradients(window, state, buffers)
            first = window.first_steps(resume)
            return result._replace(state=self._advance(first, state, buffers).state)

        return self.compiled(gradients)

    def buffer_values(self) -> list[Tensor]:
        """Current values of the buffers, to pass to a program."""
        values = [tf.convert_to_tensor(variable.value) for variable in self.buffers]
        return seeds_of(self._place, values)

    def keep_buffers(self, values: list[Tensor]) -> None:
        """Stores the new values that a program returned."""
        for variable, value in zip(
            self.buffers, seeds_of(-self._place, values), strict=True
        ):
            variable.assign(value)

    @property
    def _place(self) -> int:
        """The place of this process; each has random numbers of its own."""
        if self.group is None:
            return 0
        return self.group.index * self.shards

    # --- What the programs compute ---------------------------------------------

    def _gradients(
        self, window: BatchLike, state: State, buffers: list[Tensor]
    ) -> WindowResult:
        """Gradient of one window; the state it starts from is a constant."""
        variables = [variable.value for variable in self.variables]
        with tf.GradientTape(persistent=self.apart) as tape:
            result, penalties = self.forward(window, state, buffers, training=True)
            objectives = self._objectives(result.terms, penalties)
            scaled = [self.optimizer.scale_loss(loss) for loss in objectives]
        gradients = [as_arrays(tape.gradient(loss, variables)) for loss in scaled]
        if not self.needs_outputs:
            result = result._replace(outputs=None, masks=None)
        return result._replace(
            gradients=gradients if self.apart else gradients[0],
            loss=tf.add_n(objectives),
        )

    def forward(
        self,
        window: BatchLike,
        state: State,
        buffers: list[Tensor],
        *,
        training: bool,
        start: Size = 0,
        losses_count: bool = True,
    ) -> tuple[WindowResult, list[Tensor]]:
        """Runs forward over a window or a piece of it: outputs, loss terms and state.

        Args:
            window: `Batch`; the last timesteps, as many as the targets have, are new.
            state: Named state.
            buffers: Values of the model's buffers.
            training: Boolean.
            start: Timesteps of the window before this piece.
            losses_count: False if the losses that layers add from their inputs are not
                used.

        Returns:
            `(result, penalties)`: a `WindowResult` without gradients and loss, and
            the list of losses that the model adds, including weight regularisation.
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
        result = WindowResult(
            state=state,
            buffers=scope.new_values(),
            ids_valid=dict(ids_valid),
            outputs=outputs,
            masks=masks,
            terms=terms,
        )
        return result, penalties

    def _objectives(
        self, terms: Sequence[Term], penalties: list[Tensor]
    ) -> list[Tensor]:
        """What is minimised: one scalar, or several where gradients stay separate."""
        penalties = [tf.cast(penalty, terms[0].total.dtype) for penalty in penalties]
        means = weighted_means(self.losses, terms)
        if self.apart:
            return [*means, tf.add_n([tf.zeros_like(means[0]), *penalties])]
        return [tf.add_n([*means, *penalties])]

    def _evaluate(
        self, window: BatchLike, state: State, buffers: list[Tensor]
    ) -> WindowResult:
        result, penalties = self.forward(window, state, buffers, training=False)
        loss = tf.add_n(self._objectives(result.terms, penalties))
        return result._replace(loss=loss)

    def _predict(
        self, window: BatchLike, state: State, buffers: list[Tensor]
    ) -> WindowResult:
        return self._without_targets(window, state, buffers, training=False)

    def _advance(
        self, window: BatchLike, state: State, buffers: list[Tensor]
    ) -> WindowResult:
        """The forward pass of training without a tape, for the state alone."""
        result = self._without_targets(window, state, buffers, training=True)
        return result._replace(outputs=None)

    def _without_targets(
        self, window: BatchLike, state: State, buffers: list[Tensor], training: bool
    ) -> WindowResult:
        scope = Buffers(self.buffers, buffers, self.variables)
        with scope, watched_ids(self.step.model) as ids_valid:
            outputs, state = self._call(window, state, training)
        return WindowResult(state, scope.new_values(), dict(ids_valid), outputs)

    def _call(
        self,
        window: BatchLike,
        state: State,
        training: bool,
        start: Size = 0,
        losses_count: bool = True,
    ) -> tuple[Structure, State]:
        return self.step(
            self.inputs.join(window.inputs, window.constants),
            state,
            training=training,
            reset=window.reset,
            valid=window.valid,
            start=start,
            losses_count=losses_count,
        )

    def _new_steps(
        self, window: BatchLike, outputs: Structure
    ) -> tuple[Structure, list[Tensor | None]]:
        """Outputs at the timesteps that have targets, and the model's masks there."""
        flat: list[Any] = tf.nest.flatten(outputs)
        masks: list[Tensor | None] = []
        for index, output in enumerate(flat):
            mask = mask_of(output)
            if self.sequence_output:
                flat[index], mask = window.new_steps(output), window.new_steps(mask)
                if mask is not None:
                    attach_mask(flat[index], mask)
            masks.append(mask)
        return tf.nest.pack_sequence_as(outputs, flat), masks


def as_arrays(gradients: list[Any]) -> list[Tensor | None]:
    """Gradients with sparse ones (of embeddings) made dense, because XLA needs that."""
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]
