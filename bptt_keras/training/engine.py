"""What runs under `TruncatedBPTT`: training, evaluation and prediction of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.state import combine_masks
from bptt_keras.tensorflow_internals import empty_graph
from bptt_keras.training.batches.batch import Batch, make_batch, tensors
from bptt_keras.training.batches.counting import only_what_counts
from bptt_keras.training.batches.inputs import Inputs
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.batches.share import shared
from bptt_keras.training.batches.sizes import require_same_sizes
from bptt_keras.training.batches.targets import spread_weights
from bptt_keras.training.building import (
    ExaminedModel,
    build_model,
    check_one_replica,
    examine_model,
)
from bptt_keras.training.measures.live import Live
from bptt_keras.training.modes import NAMES, Call, Mode
from bptt_keras.training.options import Compilation, Options
from bptt_keras.training.programs import loop
from bptt_keras.training.programs.window import Programs
from bptt_keras.training.setup import Setup
from bptt_keras.training.steps import Apart
from bptt_keras.training.windows.warm_up import WarmUp
from bptt_keras.types import State, Structure, Tensor

# Numbers of rows that usually occur: those of full batches and of the last one.
_FEW = 2


class _Waiting(NamedTuple):
    """A state that waits until there is a carry to keep it.

    Fields:
        snapshot: What `Carry.snapshot` returned.
        restored: Whether a user restored it; otherwise it comes from an engine with
            other options.
    """

    snapshot: Structure
    restored: bool


class Engine:
    """Runs batches through a model window by window.

    It belongs to one compilation of a trainer and one set of options, and is set up at
    the first batch, when shapes are known.

    Args:
        model: The inner model.
        options: The trainer's options.
        compilation: What the trainer was compiled with.
        live: Records the speed of training, or `None`.
        compute_metrics: The trainer's method of that name.

    Attributes:
        options: As passed in.
        compilation: As passed in.
        setup: What was created and chosen at the first batch; `None` before that.
    """

    def __init__(
        self,
        model: keras.Model,
        options: Options,
        compilation: Compilation,
        *,
        live: Live | None,
        compute_metrics: Callable[..., Any],
    ):
        self.options = options
        self.compilation = compilation
        self.setup: Setup | None = None
        self._model = model
        self._live = live
        self._compute_metrics = compute_metrics
        self._calls: dict[str, Call] = {}
        self._rows_seen: dict[str, set[int]] = {name: set() for name in NAMES}
        self._waiting: _Waiting | None = None

    def renewed(self, options: Options, compilation: Compilation) -> Engine:
        """An engine with the same model, losses and state, but without programs.

        Args:
            options: The trainer's current options.
            compilation: The trainer's current compilation.
        """
        other = Engine(
            self._model,
            options,
            compilation,
            live=self._live,
            compute_metrics=self._compute_metrics,
        )
        if self.setup is not None:
            other.setup = self.setup.renewed(options, compilation)
        other._calls, other._rows_seen = self._calls, self._rows_seen
        snapshot = self.snapshot()
        if snapshot is not None:
            other._waiting = _Waiting(snapshot, restored=False)
        return other

    def mode(self, name: str) -> Mode | None:
        """The mode of training, evaluation or prediction; `None` before it has run.

        Args:
            name: `"fit"`, `"evaluate"` or `"predict"`, here and in all other methods.
        """
        return None if self.setup is None else self.setup.modes.get(name)

    # --- Between batches ------------------------------------------------------

    def expect(self, name: str, call: Call) -> None:
        """Remembers what is known about the coming batches."""
        self._calls[name] = call
        self._rows_seen[name] |= set(call.rows)

    def rows_vary(self, name: str) -> bool:
        """Whether batches differ in rows too often for one XLA program per number."""
        return len(self._rows_seen[name]) > _FEW

    def clear(self, name: str) -> None:
        """Forgets the state that is carried from batch to batch."""
        mode = self.mode(name)
        if mode is not None:
            mode.carry.clear()
        if name == "fit":
            self._waiting = None
            if mode is not None:
                mode.windows.updates.clear()

    def begin_epoch(self, epoch: int) -> None:
        """Tells the schedule that an epoch starts."""
        self.options.schedule.begin_epoch(epoch)

    def flush(self) -> None:
        """Applies gradients that wait for more windows until an update."""
        mode = self.mode("fit")
        if mode is not None:
            mode.windows.flush()

    def snapshot(self) -> Structure:
        """The state that training carries, or `None` if it carries none."""
        mode = self.mode("fit")
        if mode is not None:
            return mode.carry.snapshot()
        return None if self._waiting is None else self._waiting.snapshot

    def restore(self, snapshot: Structure) -> None:
        """Makes training resume from a snapshot.

        Args:
            snapshot: What `snapshot` returned, or `None`: the initial state.

        Raises:
            ValueError: If the snapshot is from another model.
        """
        mode = self.mode("fit")
        if snapshot is None:
            self.clear("fit")
        elif mode is None:
            self._waiting = _Waiting(snapshot, restored=True)
        else:
            mode.carry.restore(snapshot)

    def holders(self) -> list[Any]:
        """Objects that hold the state of training, once it is set up."""
        tally = None if self.setup is None else self.setup.tally
        return [self._live, tally, self.mode("fit")]

    def apart(self) -> Apart:
        """What each process has for itself of the state of training."""
        mode = self.mode("fit")
        if mode is None:
            return Apart([], [])
        return Apart(mode.carry.counts, mode.windows.updates.sums)

    def show_metrics(
        self, targets: Structure, outputs: Structure, weights: Structure
    ) -> None:
        """Shows a window to the metrics; see `Tally.show`."""
        if self.setup is not None and self.setup.tally is not None:
            self.setup.tally.show(targets, outputs, weights)

    # --- Batches ---------------------------------------------------------------

    def train(self, data: Structure) -> None:
        """Runs all windows of a batch: forward, backward, clip, update, detach.

        Args:
            data: A batch as Keras passes it: `(x, y)` or `(x, y, sample_weight)`.
        """
        began = tf.timestamp()
        setup, mode, whole, state, lead = self._enter("fit", data)
        warm_up = self._warm_up(mode, mode.programs.advance)
        if setup.model.traits.sequence_output:
            batch, state = warm_up.burn_in(whole, state)
            state, resume, outputs = mode.windows.train(batch, state, lead)
            _show_whole(setup, batch, outputs)
        else:
            state = warm_up.beyond_burn_in(whole, state)
            batch = _align_ends(setup.model, mode.programs, whole)
            state = mode.windows.train_end(
                batch, state, burn_in=self.options.burn_in, warm_up=warm_up
            )
            resume = None
        mode.carry.leave(state, whole, lead=lead, resume=resume)
        if self._live is not None:
            with tf.control_dependencies(tf.nest.flatten(state)):
                rows = whole.rows if whole.share is None else whole.share.rows
                steps = rows * (whole.length - lead)
                self._live.speed.update_state(steps, began)

    def test(self, data: Structure) -> None:
        """Runs all windows of a batch: forward, loss and metrics.

        Args:
            data: As for `train`.
        """
        setup, mode, batch, state, _ = self._enter("evaluate", data)
        warm_up = self._warm_up(mode, mode.programs.predict)
        if setup.model.traits.sequence_output:
            rest, state = warm_up.burn_in(batch, state)
            outputs, state = mode.windows(rest, state)
            _show_whole(setup, rest, outputs)
        else:
            last, state = warm_up.before_last(batch, state)
            _, state = mode.windows.window(last, state)
        mode.carry.leave(state, batch)

    def predict(self, data: Structure) -> Structure:
        """Runs all windows of a batch and returns the outputs.

        Args:
            data: A batch as Keras passes it: `x` or `(x,)`.
        """
        setup, mode, batch, state, _ = self._enter("predict", data)
        warm_up = self._warm_up(mode, mode.programs.predict)
        if setup.model.traits.sequence_output:
            outputs, state = mode.windows(batch, state)
        else:
            last, state = warm_up.before_last(batch, state)
            outputs, state = mode.windows.window(last, state)
        mode.carry.leave(state, batch)
        return outputs

    def prepare(self, name: str, spec: Structure) -> None:
        """Creates what a mode needs, before its first batch runs.

        TensorFlow traces a function twice if its first trace creates variables.

        Args:
            name: `"fit"`, `"evaluate"` or `"predict"`.
            spec: Structure of `tf.TensorSpec` of a batch as Keras passes it.
        """
        flat = [leaf for leaf in tf.nest.flatten(spec) if leaf is not None]
        if not all(isinstance(leaf, tf.TensorSpec) for leaf in flat):
            return
        with empty_graph("prepare"):
            data = tf.nest.map_structure(
                lambda s: (
                    None if s is None else tf.compat.v1.placeholder(s.dtype, s.shape)
                ),
                spec,
            )
            self._enter(name, data)

    # --- The start of a batch -------------------------------------------------

    def _enter(
        self, name: str, data: Structure
    ) -> tuple[Setup, Mode, Batch, State, int | Tensor]:
        """Prepares a batch and, if it is the first, creates what it needs.

        Returns:
            `(setup, mode, batch, state, lead)`: the batch as checked tensors, the state
            that it starts from, and how many timesteps of the previous batch precede
            its own.
        """
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        if name == "predict":
            y = weights = None
        elif y is None:
            raise ValueError(
                f"`{name}` needs targets. Received: y=None. Pass `y`, or data that "
                f"yields `(x, y)`."
            )
        parts, call = split_inputs(x), self._calls.get(name, Call())
        if self.setup is None:
            inputs = Inputs(self._model, tensors(parts.inputs))
        else:
            inputs = self.setup.model.inputs
        batch = make_batch(parts, inputs, y, weights)
        with tf.init_scope():
            setup = self._set_up(inputs, batch)
        sequence_output = setup.model.traits.sequence_output
        if name != "predict":
            batch = setup.with_targets(
                batch, self._compute_metrics, weighs_classes=call.weighs_classes
            )
        batch = require_same_sizes(batch, sequence_output)
        if name != "predict":
            batch = spread_weights(batch, sequence_output)
        batch = only_what_counts(batch, sequence_output)
        group = None if name == "predict" else self.compilation.group
        if group is not None:
            batch = shared(batch, group)
            if name == "fit":
                group.rows.assign(batch.share.rows)
        with tf.init_scope():
            mode = self._made_mode(name, setup, batch, call)
        setup.allow_one_program(mode, batch)
        batch, state, lead = mode.carry.enter(batch)
        mode.programs.sizes.rows_vary = self.rows_vary(name)
        mode.programs.sizes.see(batch)
        return setup, mode, batch, state, lead

    def _set_up(self, inputs: Inputs, batch: Batch) -> Setup:
        check_one_replica()
        build_model(self._model, inputs, batch, self.options.schedule)
        if self.setup is None:
            model = examine_model(self._model, inputs, batch)
            self.setup = Setup(model, self.options, self.compilation)
        return self.setup

    def _made_mode(self, name: str, setup: Setup, batch: Batch, call: Call) -> Mode:
        if name not in setup.modes:
            rows = call.rows[0] if call.rows else None
            mode = setup.make_mode(name, batch, rows=rows, live=self._live)
            if name == "fit" and self._waiting is not None:
                if self._waiting.restored:
                    mode.carry.restore(self._waiting.snapshot)
                else:
                    mode.carry.adopt(self._waiting.snapshot)
                self._waiting = None
            setup.modes[name] = mode
        return setup.modes[name]

    def _warm_up(self, mode: Mode, program: Any) -> WarmUp:
        size, burn_in = self.options.schedule.evaluation_window, self.options.burn_in
        return WarmUp(program, mode.programs, size=size, burn_in=burn_in)


def _align_ends(model: ExaminedModel, programs: Programs, batch: Batch) -> Batch:
    """The batch with its rows shifted so that all of them end where it ends."""
    # Flags inside a batch belong to certain timesteps, which must not move.
    if batch.resets_inside:
        return batch
    mask = batch.valid
    if model.traits.all_masked:
        inputs = model.inputs.join(batch.inputs, batch.constants)
        mask = combine_masks(programs.mask(inputs), mask)
    return batch if mask is None else loop.align_ends(batch, mask)


def _show_whole(setup: Setup, batch: Batch, outputs: Structure) -> None:
    if setup.tally is not None:
        setup.tally.show_whole(batch, outputs)
