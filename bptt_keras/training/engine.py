"""What runs under `TruncatedBPTT`: the windows of a batch, one after the other."""

import warnings
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.state import PureStep, both, check_by_running, discover
from bptt_keras.training.assertions import require
from bptt_keras.training.batches import checks
from bptt_keras.training.batches.batch import make_batch, tensors
from bptt_keras.training.batches.counting import only_what_counts
from bptt_keras.training.batches.inputs import Inputs
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.batches.targets import fit_targets, spread_weights
from bptt_keras.training.building import build_model
from bptt_keras.training.measures.losses import (
    build_losses,
    outputs_with_loss,
    require_targets,
)
from bptt_keras.training.measures.metrics import Metrics
from bptt_keras.training.programs import loop
from bptt_keras.training.programs.allocator import keep_freed_memory
from bptt_keras.training.programs.padding import Sizes
from bptt_keras.training.programs.shards import choose_shards, is_small
from bptt_keras.training.programs.window import Programs
from bptt_keras.training.programs.xla import why_batch_refused, why_window_refused
from bptt_keras.training.windows.carry import Carry
from bptt_keras.training.windows.evaluation import Evaluation, Prediction, run_forward
from bptt_keras.training.windows.learning import Learning
from bptt_keras.training.windows.updates import Updates

# Numbers of rows: those of full batches and of the last one.
_FEW = 2


class Use(NamedTuple):
    """What training, evaluation and prediction each have of their own.

    Fields:
        programs: `Programs`, compiled or not as their own probe says, or that of a
            whole batch.
        windows: `Learning`, `Evaluation` or `Prediction`, which runs them.
        why_one_shard: `None`, or why there is only one.
        carry: `Carry`, the state between two batches.
        refusal: `None`, or why XLA does not compile the programs.
    """

    programs: Any
    windows: Any
    why_one_shard: Any
    carry: Any = None
    refusal: Any = None


class Engine:
    """Runs batches through a model window by window.

    It is made for one compilation of a trainer and filled at the first batch, when
    the shapes are known.

    Args:
        trainer: The `TruncatedBPTT`: its model, optimizer, losses, metrics, options.
        jit_compile: True, False or `"auto"`.
        loss: The `loss` that the trainer was compiled with.

    Attributes:
        step: `PureStep` of the model, `None` before the first batch.
        inputs: `Inputs` of the model, likewise.
        findings: `state.Findings` of the model, likewise.
        losses: List of `losses.OutputLoss`, `None` before the first batch with targets.
        metrics: `Metrics`, `None` before that, and if there are none.
        unchecked: `None`, or why cutting its time was not tried out.
        rows: Rows of the batches of the call that runs, or `None` where only their
            tensors know.
        rows_seen: `{"fit" | "evaluate" | "predict": set}`: numbers of rows of batches,
            as far as they were known beforehand.
        weighs_classes: True while data come with `class_weight`.
        uses: `{"fit" | "evaluate" | "predict": Use}`, as far as they have been used.
        keeps_memory: True if memory that a window frees is kept for the next one.
    """

    def __init__(self, trainer, jit_compile, loss=None):
        self.trainer = trainer
        self.jit_compile = jit_compile
        self._loss = loss
        self.step = self.inputs = self.findings = self.unchecked = None
        self.losses = self.metrics = None
        self.rows = None
        self.rows_seen = {name: set() for name in ("fit", "evaluate", "predict")}
        self.uses = {}
        self.weighs_classes = False
        self.keeps_memory = False
        # Where a window that is shown to metrics counts.
        self._counted = None
        # A state that was restored before there is a carry to hold it.
        self._restored = None
        # A state that another engine of the same trainer carried, likewise.
        self._adopted = None

    def renewed(self):
        """An `Engine` that knows the same model, losses and state, and no programs."""
        other = Engine(self.trainer, self.jit_compile, self._loss)
        for name in ("step", "inputs", "findings", "unchecked", "losses", "metrics"):
            setattr(other, name, getattr(self, name))
        other.rows, other.weighs_classes = self.rows, self.weighs_classes
        other.rows_seen = self.rows_seen
        other._adopted = self.snapshot()
        return other

    @property
    def learning(self):
        """`Learning`, `None` before the first batch of training."""
        return self.uses["fit"].windows if "fit" in self.uses else None

    @property
    def schedule(self):
        """The trainer's schedule of windows."""
        return self.trainer.truncation

    # --- Between batches ------------------------------------------------------

    def clear(self, use):
        """Forgets the state that `"fit"`, `"evaluate"` or `"predict"` carries."""
        if use in self.uses:
            self.uses[use].carry.clear()
        if use == "fit":
            self._restored = self._adopted = None
            if self.learning is not None:
                self.learning.updates.clear()

    def begin_epoch(self, epoch):
        """Tells the schedule that an epoch starts."""
        self.schedule.begin_epoch(epoch)

    def flush(self):
        """Applies gradients that wait for more windows until an update."""
        if self.learning is not None:
            self.learning.flush()

    def snapshot(self):
        """The state that training carries, or `None` if it carries none."""
        if "fit" not in self.uses:
            return self._restored or self._adopted
        return self.uses["fit"].carry.snapshot()

    def restore(self, snapshot):
        """Lets training go on from a snapshot."""
        if "fit" not in self.uses:
            self._restored, self._adopted = snapshot, None
        elif snapshot is None:
            self.clear("fit")
        else:
            self.uses["fit"].carry.restore(snapshot)

    # --- Batches ---------------------------------------------------------------

    def train(self, data):
        """All windows of one batch: forward, tape, clip, update, detach."""
        began = tf.timestamp()
        use, whole, state, lead = self._enter("fit", data)

        def warm_up(lead, state):
            return self._warm_up(use.programs.advance, use.programs, lead, state)

        if self.findings.sequence_output:
            batch, state = self._burn_in(whole, state, warm_up)
            state, resume, outputs = self.learning.train(batch, state, lead)
            self._show_whole(batch, outputs)
        else:
            burn_in = self.trainer.burn_in
            state = self._beyond_burn_in(whole, state)
            batch = self._align_ends(use.programs, whole)
            state = self.learning.train_end(
                batch, state, burn_in=burn_in, warm_up=warm_up
            )
            resume = None
        use.carry.leave(state, whole, lead=lead, resume=resume)
        if self.trainer._live is not None:
            with tf.control_dependencies(tf.nest.flatten(state)):
                steps = whole.rows * (whole.length - lead)
                self.trainer._live.speed.update_state(steps, began)

    def test(self, data):
        """All windows of one batch: forward, loss and metrics."""
        use, batch, state, _ = self._enter("evaluate", data)
        programs, size = use.programs, self.schedule.evaluation_window

        def warm_up(lead, state):
            return self._warm_up(programs.predict, programs, lead, state)

        if self.findings.sequence_output:
            rest, state = self._burn_in(batch, state, warm_up)
            outputs, state = use.windows(rest, state)
            self._show_whole(rest, outputs)
        else:
            lead, last = loop.before_last(batch, _last_start(batch.length, size))
            if lead is not None:
                state = warm_up(lead, state)
            state = use.windows.window(last, state)
        use.carry.leave(state, batch)

    def predict(self, data):
        """All windows of one batch: outputs."""
        use, batch, state, _ = self._enter("predict", data)
        programs, size = use.programs, self.schedule.evaluation_window

        if self.findings.sequence_output:
            outputs, state = use.windows(batch, state)
        else:
            lead, last = loop.before_last(batch, _last_start(batch.length, size))
            if lead is not None:
                state = self._warm_up(programs.predict, programs, lead, state)
            outputs, state = use.windows.window(last, state)
        use.carry.leave(state, batch)
        return outputs

    def _burn_in(self, batch, state, warm_up):
        """The batch without its first timesteps, and the state after them."""
        steps = self.trainer.burn_in
        if steps == 0:
            return batch, state
        state = self._beyond_burn_in(batch, state)
        first = batch.without_targets().steps(0, steps)
        state = warm_up(first, state)
        return batch.steps(steps, batch.length - steps), state

    def _beyond_burn_in(self, batch, state):
        """The state, with a check that timesteps are left to learn from."""
        steps = self.trainer.burn_in
        if steps == 0:
            return state
        message = (
            f"A batch must be longer than `burn_in`, or no timestep is left to learn "
            f"from. Received: burn_in={steps} and a batch of "
        )
        if isinstance(batch.length, int):
            if batch.length <= steps:
                raise ValueError(f"{message}{batch.length} timesteps.")
        else:
            check = require(batch.length > steps, message + "fewer timesteps.")
            with tf.control_dependencies([check]):
                state = tf.nest.map_structure(tf.identity, state)
        return state

    # --- One window -----------------------------------------------------------

    def _warm_up(self, program, programs, lead, state):
        """State after the timesteps that come before the first loss."""

        def body(window, state):
            return run_forward(program, programs, window, state)[1]

        return loop.each_window(lead, state, self.schedule.evaluation_window, body)

    def _align_ends(self, programs, batch):
        # Flags inside a batch stand at their timesteps: those must not move.
        if batch.resets_inside:
            return batch
        mask = batch.valid
        if self.findings.all_masked:
            inputs = self.inputs.join(batch.inputs, batch.constants)
            mask = both(programs.mask(inputs), mask)
        return batch if mask is None else loop.align_ends(batch, mask)

    def _count(self, window, result):
        """Adds a window to the averages that Keras reports."""
        trainer = self.trainer
        weight = tf.add_n([term.weight for term in result.terms])
        trainer._loss_tracker.update_state(result.loss, sample_weight=weight)
        for own, term in zip(self.losses, result.terms, strict=True):
            if own.metric is not None:
                own.metric.update_state(term.mean, sample_weight=term.weight)
        if self.metrics is None:
            return
        outputs = tf.nest.flatten(result.outputs)
        for output, mask in zip(outputs, result.masks, strict=True):
            if mask is not None:
                # A program hands back tensors alone: the mask is attached again.
                output._keras_mask = mask
        self._counted = window.counts
        trainer.compute_metrics(
            self.inputs.join(window.inputs, window.constants),
            self._like_outputs(window.targets),
            result.outputs,
            self._like_outputs(window.weights),
        )

    def show_metrics(self, targets, outputs, weights):
        """Shows a window to the metrics, what of it counts.

        Args:
            targets: Targets at the new timesteps, structured like the outputs.
            outputs: The outputs there.
            weights: Weights likewise, or `None`.
        """
        flat = tf.nest.flatten(outputs)
        masks = [getattr(output, "_keras_mask", None) for output in flat]
        targets = tf.nest.flatten(targets)
        weights = None if weights is None else tf.nest.flatten(weights)
        arguments = targets, flat, masks, weights, self._counted
        self.metrics.update(*arguments)
        if not self.findings.sequence_output:
            self.metrics.update(*arguments, whole=True)
        else:
            self.metrics.require_unmasked(masks)

    def _show_whole(self, batch, outputs):
        """Shows whole sequences to the metrics that look along time."""
        if outputs is not None:
            flat = tf.nest.flatten(outputs)
            self.metrics.update(
                batch.targets,
                flat,
                [None for _ in flat],
                batch.weights,
                batch.counts,
                whole=True,
            )

    def _like_outputs(self, flat):
        outputs = self.findings.outputs
        return None if flat is None else tf.nest.pack_sequence_as(outputs, flat)

    # --- What is made at the first batch --------------------------------------

    def expect(self, name, rows):
        """Notes the numbers of rows of the batches to come.

        Args:
            name: `"fit"`, `"evaluate"` or `"predict"`.
            rows: List of integers, the usual number first; empty where nobody knows.
        """
        self.rows = rows[0] if rows else None
        self.rows_seen[name] |= set(rows)

    def rows_vary(self, name):
        """Whether there are more numbers of rows than XLA should compile one by one."""
        return len(self.rows_seen[name]) > _FEW

    def prepare(self, name, spec):
        """Makes what `"fit"`, `"evaluate"` or `"predict"` needs, before any batch.

        TensorFlow traces a function twice if its first trace makes variables.

        Args:
            name: Which of the three.
            spec: Structure of `tf.TensorSpec` of a batch as Keras hands it over.
        """
        flat = [leaf for leaf in tf.nest.flatten(spec) if leaf is not None]
        if not all(isinstance(leaf, tf.TensorSpec) for leaf in flat):
            return
        with tf.__internal__.FuncGraph("prepare").as_default():
            data = tf.nest.map_structure(
                lambda s: (
                    None if s is None else tf.compat.v1.placeholder(s.dtype, s.shape)
                ),
                spec,
            )
            self._enter(name, data)

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
        parts = split_inputs(x)
        if self.inputs is None:
            self.inputs = Inputs(self.trainer.model, tensors(parts.inputs))
        batch = make_batch(parts, self.inputs, y, weights)
        with tf.init_scope():
            self._examine(batch)
        sequence_output = self.findings.sequence_output
        if name != "predict":
            batch = self._with_targets(batch)
        batch = checks.same_lengths(batch, sequence_output)
        if name != "predict":
            batch = spread_weights(batch, sequence_output)
        batch = only_what_counts(batch, sequence_output)
        with tf.init_scope():
            if name not in self.uses:
                self.uses[name] = self._make_use(name, batch)
        use = self.uses[name]
        if use.windows.in_one is not None:
            # What was found out of one kind of data need not hold for another.
            selects = self.metrics is not None and self.metrics.select_from(batch)
            use.windows.in_one.serves = not selects
        batch, state, lead = use.carry.enter(batch)
        use.programs.sizes.rows_vary = self.rows_vary(name)
        use.programs.sizes.see(batch)
        return use, batch, state, lead

    def _with_targets(self, batch):
        """The batch with targets and weights output by output; losses are built."""
        trainer, outputs = self.trainer, self.findings.outputs
        if trainer._compile_loss is None:
            raise ValueError(
                "There is nothing to minimise. Received: loss=None. Give `compile` a "
                "`loss`."
            )
        if self.weighs_classes and self.findings.sequence_output:
            raise ValueError(
                "`class_weight` weighs rows, but these targets have a time axis. Give "
                "`sample_weight` of shape (rows, time) instead."
            )
        names = trainer.output_names
        partial = outputs_with_loss(self._loss, outputs, names)
        batch = fit_targets(batch, self.findings, names, partial)
        with tf.init_scope():
            if self.losses is None:
                _warn_of_short_batches(batch, self.schedule)
                self._build_losses(batch.targets)
        require_targets(self.losses, batch.targets)
        return batch

    def _examine(self, batch):
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "TruncatedBPTT does not run under a distribution strategy yet. "
                "Create and fit it outside `strategy.scope()`."
            )
        trainer = self.trainer
        build_model(trainer.model, self.inputs, batch, self.schedule)
        trainer.built = True
        if self.step is not None:
            return
        step = PureStep(trainer.model)
        specs = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype),
            self.inputs.join(batch.inputs, batch.constants),
        )
        self.unchecked = check_by_running(step, specs)
        self.findings = discover(step, specs)
        self.step = step

    def _build_losses(self, targets):
        trainer, findings = self.trainer, self.findings
        specs = [
            None if target is None else tf.TensorSpec(target.shape, target.dtype)
            for target in targets
        ]
        losses = build_losses(trainer._compile_loss, specs, findings.outputs)
        if trainer._compile_metrics is not None:
            self.metrics = Metrics(
                trainer._compile_metrics,
                specs,
                findings.outputs,
                findings.sequence_output,
            )
        if trainer.optimizer is not None and not trainer.optimizer.built:
            trainer.optimizer.build(trainer.trainable_variables)
        self.losses = losses

    def _make_use(self, name, batch):
        trainer, training = self.trainer, name == "fit"
        self.keeps_memory = keep_freed_memory()
        if training:
            checks.check_options(trainer, self.findings)
        shards, reason = choose_shards(trainer.shards, self.findings)
        xla = self.jit_compile in (True, "auto") and not trainer.run_eagerly
        use = self._in_one(name, batch, reason) if xla else None
        refusal = None
        if use is None:
            use = self._use(name, xla=xla, shards=shards, reason=reason)
            if self.jit_compile == "auto" and xla:
                size = self.schedule.evaluation_window
                refusal = why_window_refused(use.programs, self.step, batch, size, name)
            if refusal is not None:
                use = self._use(name, xla=False, shards=shards, reason=reason)
        overlaps = training and self.findings.sequence_output and not trainer.burn_in
        carry = Carry(
            self.step, batch, reaches_back=overlaps and self.schedule.lead > 0
        )
        if training and self._restored is not None:
            carry.restore(self._restored)
        elif training and self._adopted is not None:
            carry.adopt(self._adopted)
        if training:
            self._restored = self._adopted = None
        return use._replace(carry=carry, refusal=refusal)

    def _in_one(self, name, batch, reason):
        """The `Use` that runs many windows as one program, or `None`.

        There is none where it would not be faster, or where XLA does not compile it.
        """
        trainer, length = self.trainer, batch.known_length
        rows = batch.inputs[0].shape[0] or self.rows
        # Without a state nothing would wait for the checks.
        serves = self.findings.sequence_output and self.step.layers
        wanted = trainer.shards in ("auto", 1) and is_small(trainer.model, rows, name)
        if not (serves and wanted):
            return None
        if trainer.shards == "auto":
            reason = reason or "a timestep is little work"
        use = self._use(name, xla=True, shards=1, reason=reason)
        in_one = use.windows.in_one
        if in_one is None:
            return None
        if length is not None and name != "predict":
            length = max(length - trainer.burn_in, 0)
        steps = in_one.steps(length)
        if self.metrics is not None:
            self.metrics.selected = False
        if not steps or why_batch_refused(in_one, self.step, batch, steps):
            return None
        if self.metrics is not None and self.metrics.selected:
            return None
        in_one.on = True
        return use

    def _use(self, name, *, xla, shards, reason):
        trainer, size = self.trainer, self.schedule.evaluation_window
        programs = Programs(
            self.step,
            self.inputs,
            self.findings,
            self.losses,
            # Keras sets it in `compile`, which prediction does not need.
            getattr(trainer, "optimizer", None),
            needs_outputs=self.metrics is not None,
            apart=name == "fit" and self._gradients_apart(),
            xla=xla,
            eagerly=trainer.run_eagerly,
            shards=shards,
            sizes=Sizes(
                size,
                # Training alone has windows of random length.
                self.schedule.longest if name == "fit" else size,
                on=xla and self.findings.why_padding_counts is None,
            ),
        )
        collected = self._collected(name)
        if name == "fit":
            windows = Learning(
                programs,
                self.schedule,
                trainer._recomputation,
                Updates(programs, trainer.update, trainer._live),
                perturb=trainer._perturbation,
                count=self._count,
                collected=collected,
            )
        elif name == "evaluate":
            windows = Evaluation(programs, size, self._count, collected)
        else:
            windows = Prediction(programs, size, self.findings.outputs)
        return Use(programs, windows, reason)

    def _collected(self, name):
        """Specification of the outputs that metrics want of whole batches, if any."""
        whole = self.metrics.whole if self.metrics is not None else []
        if not whole or not self.findings.sequence_output:
            return None
        if name == "fit" and (self.schedule.random or self.schedule.lead):
            raise ValueError(
                f"Metrics that look along time need whole sequences, and windows that "
                f"overlap or have random lengths have their outputs in pieces. "
                f"Received: {whole}. Write them for single timesteps, or give them to "
                f"a trainer that evaluates."
            )
        return self.findings.outputs

    def _gradients_apart(self):
        """True if averages over several windows need the outputs one by one."""
        several = len(tf.nest.flatten(self.findings.outputs)) > 1
        return several and self.trainer.update != "window"


def _last_start(length, size):
    """First timestep of the last window of a size, `None` being the whole batch."""
    if size is None:
        return 0
    known = isinstance(length, int)
    return max(length - size, 0) if known else tf.maximum(length - size, 0)


def _warn_of_short_batches(batch, schedule):
    """Warns if a stream comes in batches shorter than a window that ends with them."""
    window, length = schedule.window, batch.known_length
    ends = window is not None and schedule.lead == 0
    if batch.position is not None and ends and (length or window) < window:
        warnings.warn(
            f"The batches of this stream have {length} timesteps, so gradients never "
            f"reach the {window} of the trainer's `window`. Make both the same.",
            stacklevel=2,
        )
