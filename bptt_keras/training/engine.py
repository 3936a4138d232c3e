"""What runs under `TruncatedBPTT`: the windows of a batch, one after the other."""

import warnings
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.state import PureStep, discover
from bptt_keras.training import checks, loop
from bptt_keras.training.batch import fit_targets, make_batch, spread_weights
from bptt_keras.training.building import build_model, symbolic
from bptt_keras.training.carry import Carry
from bptt_keras.training.programs import Programs
from bptt_keras.training.shards import choose_shards, run_sharded
from bptt_keras.training.xla import compiles


class Use(NamedTuple):
    """What training, evaluation and prediction each have of their own.

    Fields:
        programs: `Programs`, compiled or not as their own probe says.
        carry: `Carry`, the state between two batches.
        refusal: `None`, or why XLA does not compile the programs.
    """

    programs: Any
    carry: Any
    refusal: Any


class Engine:
    """Runs batches through a model window by window.

    It is made for one compilation of a trainer and filled at the first batch, when
    the shapes are known.

    Args:
        trainer: The `TruncatedBPTT`: its model, optimizer, losses and metrics.
        truncation: `FixedWindow`.
        shards: `"auto"` or an integer >= 1.
        jit_compile: True, False or `"auto"`.

    Attributes:
        step: `PureStep` of the model, `None` before the first batch.
        findings: `state.Findings` of the model, likewise.
        shards: Number of shards that run.
        shards_reason: `None`, or why there is only one.
        weighs_classes: True while data come with `class_weight`.
        uses: `{"fit" | "evaluate" | "predict": Use}`, as far as they have been used.
    """

    def __init__(self, trainer, truncation, shards, jit_compile):
        self._trainer = trainer
        self._requested_shards = shards
        self.truncation = truncation
        self.jit_compile = jit_compile
        self.step = self.findings = self.shards = self.shards_reason = None
        self.uses = {}
        self.weighs_classes = False

    def clear(self, use):
        """Forgets the state that `"fit"`, `"evaluate"` or `"predict"` carries."""
        if use in self.uses:
            self.uses[use].carry.clear()

    def train(self, data):
        """All windows of one batch: forward, tape, clip, update, detach."""
        use, batch, state = self._enter("fit", data)

        def body(window, state):
            return self._train_window(use.programs, window, state)

        if not self.findings.sequence_output:
            batch = self._align_ends(use.programs, batch)
        # With the loss at the end the steps before it run without a tape.
        state = self._run(batch, state, body, use.programs, use.programs.advance)
        use.carry.leave(state, batch)

    def test(self, data):
        """All windows of one batch: forward, loss and metrics."""
        use, batch, state = self._enter("evaluate", data)

        def body(window, state):
            return self._test_window(use.programs, window, state)

        state = self._run(batch, state, body, use.programs, use.programs.predict)
        use.carry.leave(state, batch)

    def predict(self, data):
        """All windows of one batch: outputs."""
        use, batch, state = self._enter("predict", data)

        def body(window, state):
            return self._forward_window(
                use.programs.predict, use.programs, window, state
            )

        if self.findings.sequence_output:
            outputs, state = loop.collect_windows(
                batch, state, self.truncation, body, self.findings.outputs
            )
        else:
            lead, last = loop.before_last(batch, self.truncation)
            state = self._warm_up(use.programs.predict, use.programs, lead, state)
            outputs, state = body(last, state)
        use.carry.leave(state, batch)
        return outputs

    def _run(self, batch, state, body, programs, forward):
        """State after all windows; with one loss at the end `body` runs the last."""
        if self.findings.sequence_output:
            return loop.each_window(batch, state, self.truncation, body)
        lead, last = loop.before_last(batch, self.truncation)
        return body(last, self._warm_up(forward, programs, lead, state))

    # --- One window -----------------------------------------------------------

    def _train_window(self, programs, window, state):
        result = run_sharded(
            programs.gradients, window, state, programs.buffer_values(), self.shards
        )
        valid = tf.add_n([term.weight for term in result.terms]) > 0
        with tf.control_dependencies(checks.require_valid_window(result)):
            norm = tf.cond(
                valid,
                lambda: programs.update(result.gradients),
                lambda: tf.constant(0.0),
            )
        programs.keep_buffers(result.buffers)
        self._note_norm(norm, valid)
        self._count(window, result)
        return result.state

    def _note_norm(self, norm, valid):
        if isinstance(self._trainer.optimizer, keras.optimizers.LossScaleOptimizer):
            # It skips updates that overflow, and lowers its scale: they don't count.
            valid &= tf.math.is_finite(norm)
            norm = tf.where(valid, norm, 0.0)
        self._trainer._grad_norm.update_state(
            norm, sample_weight=tf.cast(valid, tf.float32)
        )

    def _test_window(self, programs, window, state):
        result = run_sharded(
            programs.evaluate, window, state, programs.buffer_values(), self.shards
        )
        with tf.control_dependencies(checks.require_valid_window(result)):
            programs.keep_buffers(result.buffers)
            self._count(window, result)
        return result.state

    def _forward_window(self, program, programs, window, state):
        outputs, state, buffers, ids_valid = program(
            window, state, programs.buffer_values()
        )
        with tf.control_dependencies(checks.require_ids(ids_valid)):
            programs.keep_buffers(buffers)
            if outputs is not None:
                outputs = tf.nest.map_structure(tf.identity, outputs)
        return outputs, state

    def _warm_up(self, program, programs, lead, state):
        """State after the timesteps that come before the last window."""
        if lead is None:
            return state

        def body(window, state):
            return self._forward_window(program, programs, window, state)[1]

        lead = lead._replace(targets=None, weights=None)
        return loop.each_window(lead, state, self.truncation, body)

    def _align_ends(self, programs, batch):
        # Flags inside a batch stand at their timesteps: those must not move.
        flags_inside = batch.reset is not None and batch.reset.shape.rank == 2
        if not self.findings.all_masked or flags_inside:
            return batch
        return loop.align_ends(batch, programs.mask(batch.inputs))

    def _count(self, window, result):
        """Adds a window to the averages that Keras reports."""
        trainer = self._trainer
        weight = tf.add_n([term.weight for term in result.terms])
        trainer._loss_tracker.update_state(result.loss, sample_weight=weight)
        # There are none if there is only one output.
        for metric, term in zip(
            trainer._compile_loss.metrics, result.terms, strict=False
        ):
            metric.update_state(term.mean, sample_weight=term.weight)
        if trainer._compile_metrics is None:
            return
        outputs = tf.nest.flatten(result.outputs)
        for output, mask in zip(outputs, result.masks, strict=True):
            if mask is not None:
                # A program hands back tensors alone: the mask is attached again.
                output._keras_mask = mask
        trainer.compute_metrics(
            window.inputs, window.targets, result.outputs, window.weights
        )

    # --- What is made at the first batch --------------------------------------

    def _enter(self, name, data):
        """The batch as checked tensors, and the state that it starts in."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        if name == "predict":
            y = weights = None
        elif y is None:
            raise ValueError(
                f"`{name}` needs targets. Received: y=None. Pass `y`, or data that "
                f"yields `(x, y)`."
            )
        batch = make_batch(x, y, weights)
        with tf.init_scope():
            self._examine(batch)
        if name != "predict":
            batch = fit_targets(batch, self.findings)
        with tf.init_scope():
            if name != "predict":
                self._build_losses(batch)
            if name not in self.uses:
                self.uses[name] = self._make_use(name, batch)
        batch = checks.same_lengths(batch, self.findings.sequence_output)
        batch = spread_weights(batch, self.findings.sequence_output)
        batch = checks.finite_inputs(batch)
        use = self.uses[name]
        return use, batch, use.carry.enter(batch)

    def _examine(self, batch):
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "TruncatedBPTT does not run under a distribution strategy yet. "
                "Create and fit it outside `strategy.scope()`."
            )
        trainer = self._trainer
        build_model(trainer.model, batch, self.truncation.window)
        trainer.built = True
        if self.step is not None:
            return
        step = PureStep(trainer.model)
        specs = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), batch.inputs
        )
        self.findings = discover(step, specs)
        self.shards, self.shards_reason = choose_shards(
            self._requested_shards, self.findings
        )
        self.step = step

    def _build_losses(self, batch):
        if self._trainer._compile_loss is None:
            raise ValueError(
                "There is nothing to minimise. Received: loss=None. Give `compile` a "
                "`loss`."
            )
        if self.weighs_classes and self.findings.sequence_output:
            raise ValueError(
                "`class_weight` weighs rows, but these targets have a time axis. Give "
                "`sample_weight` of shape (rows, time) instead."
            )
        if batch.position is not None and (
            (batch.known_length or self.truncation.window) < self.truncation.window
        ):
            warnings.warn(
                f"The batches of this stream have {batch.known_length} timesteps, so "
                f"gradients never reach the {self.truncation.window} of the trainer's "
                f"`window`. Make both the same.",
                stacklevel=2,
            )
        parts = (batch.inputs, batch.targets, batch.weights)
        self._trainer._symbolic_build(
            data_batch=tuple(symbolic(part, batch.known_length) for part in parts)
        )

    def _make_use(self, name, batch):
        trainer = self._trainer

        def programs(xla):
            return Programs(
                self.step,
                self.findings,
                trainer._compile_loss,
                # Keras sets it in `compile`, which prediction does not need.
                getattr(trainer, "optimizer", None),
                needs_outputs=trainer._compile_metrics is not None,
                xla=xla,
                eagerly=trainer.run_eagerly,
            )

        chosen = programs(self.jit_compile in (True, "auto"))
        refusal = None
        if self.jit_compile == "auto" and chosen.xla:
            refusal = compiles(chosen, self.step, batch, self.truncation, name)
            chosen = chosen if refusal is None else programs(False)
        return Use(chosen, Carry(self.step), refusal)
