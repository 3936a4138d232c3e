"""A Keras model that an engine runs, batch by batch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.keras_internals import compiled_loss, compiled_metrics, loss_tracker
from bptt_keras.process_group import current, together
from bptt_keras.training.assertions import plain_errors
from bptt_keras.training.clipping.guard import guarded
from bptt_keras.training.clipping.optimizer import find_clipped
from bptt_keras.training.engine import Engine
from bptt_keras.training.intake.checks import check_fit
from bptt_keras.training.intake.expected import Expected
from bptt_keras.training.intake.order import rows_of_batches
from bptt_keras.training.intake.pipeline import PromptStrategy
from bptt_keras.training.intake.ragged_padding import pad_dataset
from bptt_keras.training.intake.shapes import check_shapes
from bptt_keras.training.intake.taking import take_batch
from bptt_keras.training.measures.live import Live, results_of
from bptt_keras.training.measures.summed import summed
from bptt_keras.training.modes import Call
from bptt_keras.training.options import Compilation, Options
from bptt_keras.training.steps import Apart, Fit, Lead, StepFunction, known_spec
from bptt_keras.training.wrapper import ModelWrapper
from bptt_keras.turns import Turns, in_turn
from bptt_keras.types import Structure


class EngineModel(ModelWrapper):
    """A Keras model whose steps are those of an `Engine`.

    A subclass sets the engine in its constructor and replaces it when options change.
    """

    _options: Options
    _engine: Engine
    _live: Live | None
    _live_metrics: dict[str, keras.metrics.Metric]
    # Keras sets these to `None` in `compile`.
    train_function: Callable[..., Any] | None
    test_function: Callable[..., Any] | None
    predict_function: Callable[..., Any] | None

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._turns = Turns()
        self._step_functions: dict[str, StepFunction] = {}
        # True from `restore_state` until the next `fit`, which then resumes.
        self._keeps_state = False
        # Decides what happens with the batches of a `fit`, while one runs.
        self._lead: Lead | None = None
        self._evaluates = False
        # The processes that it trains in, from now on.
        self._group = current()

    # --- The engine ------------------------------------------------------------

    def _compilation(self, jit_compile: bool | str, loss: Any) -> Compilation:
        return Compilation(
            jit_compile=jit_compile,
            run_eagerly=self.run_eagerly,
            loss=loss,
            optimizer=self._guarded_optimizer(),
            losses=compiled_loss(self),
            metrics=compiled_metrics(self),
            loss_tracker=loss_tracker(self),
            group=self._group,
        )

    def _guarded_optimizer(self) -> Any:
        made = "_engine" in vars(self)
        return guarded(
            # Keras sets it in `compile`, which prediction does not need.
            getattr(self, "optimizer", None),
            skips=self._options.skip_nonfinite,
            known=self._engine.compilation.optimizer if made else None,
        )

    def _new_engine(self, jit_compile: bool | str, loss: Any) -> Engine:
        return Engine(
            self.model,
            self._options,
            self._compilation(jit_compile, loss),
            live=self._live,
            compute_metrics=self.compute_metrics,
        )

    def _renew(self, **changes: Any) -> None:
        """Makes the next batch be traced again, with the current options."""
        known = self._engine.compilation
        asked = {"jit_compile": known.jit_compile, "loss": known.loss, **changes}
        self._engine = self._engine.renewed(self._options, self._compilation(**asked))
        for function in self._step_functions.values():
            function.clear()

    # --- Single batches --------------------------------------------------------

    @in_turn
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Trains on one batch, as in Keras: whole sequences, window by window.

        Args:
            x: Inputs of one batch: arrays `(rows, time, ...)`, sequences of different
                lengths, or `{"inputs": ..., "reset": ...}` and the like.
            y: Targets of the batch, as for `fit`.
            sample_weight: Weights of the batch, as for `fit`.
            class_weight: As for `fit`.
            return_dict: As in Keras.

        Returns:
            As in Keras: the loss, or a list or dict of loss and metrics.

        Raises:
            ValueError: If the data cannot be trained on; the message says why.
        """
        check_fit(self._expected(), x, y, class_weight=class_weight)
        x, y, sample_weight = take_batch(self._expected(), x, y, sample_weight)
        self._expect("fit", x, None, class_weight)
        with self._recovering():
            return super().train_on_batch(
                x, y, sample_weight, class_weight, return_dict
            )

    @in_turn
    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Evaluates one batch, as in Keras. `reset` flags say which rows continue.

        Args:
            x: As for `train_on_batch`.
            y: As for `train_on_batch`.
            sample_weight: As for `train_on_batch`.
            return_dict: As in Keras.

        Returns:
            As in Keras: the loss, or a list or dict of loss and metrics.

        Raises:
            ValueError: If the data cannot be evaluated on; the message says why.
        """
        x, y, sample_weight = take_batch(self._expected(), x, y, sample_weight)
        self._expect("evaluate", x, None)
        with self._recovering():
            return super().test_on_batch(x, y, sample_weight, return_dict)

    @in_turn
    def predict_on_batch(self, x: Any) -> Any:
        """Predicts on one batch, as in Keras. `reset` flags say which rows continue.

        Args:
            x: As for `train_on_batch`.

        Returns:
            The outputs. For sequences of different lengths, outputs at each timestep
            are padded.

        Raises:
            ValueError: If the data cannot be predicted on; the message says why.
        """
        x, _, _ = take_batch(self._expected(), x)
        self._expect("predict", x, None)
        with self._recovering():
            return super().predict_on_batch(x)

    # --- State -----------------------------------------------------------------

    def reset_state(self) -> None:
        """Forgets the carried state: the next training batch starts afresh.

        Gradients that are still waiting for an update (`update` other than `"window"`)
        are discarded as well.
        """
        self._keeps_state = False
        self._engine.clear("fit")

    def snapshot_state(self) -> Structure:
        """What training carries from batch to batch, without the weights.

        Returns:
            Structure of NumPy arrays, or `None` before the first batch: the state of
            each row, its position in its stream, its key and, with a `stride` below
            the window, the timesteps that later windows reach back to.
        """
        return self._engine.snapshot()

    def restore_state(self, snapshot: Structure) -> None:
        """Makes training resume from a snapshot.

        The next batch with `reset` or `key` continues from there, even if it is the
        first of the next `fit`, which would otherwise start from the initial state.

        Args:
            snapshot: What `snapshot_state` of this trainer or one like it returned.

        Raises:
            ValueError: If it does not fit this trainer.
        """
        self._engine.restore(snapshot)
        self._keeps_state = snapshot is not None

    # --- What Keras calls ------------------------------------------------------

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """As in Keras: a function of an iterator, with one trace per kind of data.

        Args:
            force: Whether to make it again if it exists.
        """
        if self.train_function is None or force:
            self.train_function = self._function_of("fit", self.train_step)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Callable[..., Any]:
        """Like `make_train_function`.

        Args:
            force: Whether to make it again if it exists.
        """
        if self.test_function is None or force:
            self.test_function = self._function_of("evaluate", self.test_step)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Callable[..., Any]:
        """Like `make_train_function`, but a function of a list of batches.

        Args:
            force: Whether to make it again if it exists.
        """
        if self.predict_function is None or force:
            made = self._function_of("predict", self.predict_step)
            self.predict_function = made.on_each
        return self.predict_function

    def _function_of(self, name: str, step: Callable[..., Any]) -> StepFunction:
        self._step_functions[name] = StepFunction(
            step,
            lambda spec: self._prepare(name, spec),
            repeats=lambda: self.steps_per_execution,
            eager=lambda: self.run_eagerly,
            variant=lambda: self._engine.rows_vary(name),
            lead=lambda: self._lead if name == "fit" else None,
        )
        return self._step_functions[name]

    def _prepare(self, name: str, spec: Structure) -> None:
        group = self._group
        if group is None and self.run_eagerly:
            return
        self._engine.prepare(name, spec)
        if group is not None and name == "fit":
            holders = [self.model, self.optimizer, self._engine.compilation.optimizer]
            variables = {id(v): v for h in holders for v in h.variables}
            group.share_first([v.value for v in variables.values()])

    def train_step(self, data: Structure) -> dict[str, Any]:
        """Runs all windows of a batch: forward, backward, clip, update, detach.

        Args:
            data: `(x, y)` or `(x, y, sample_weight)`, tensors.

        Returns:
            `{name: value}` of the loss and all metrics.
        """
        self._engine.train(data)
        self.built = True
        return self.get_metrics_result()

    def test_step(self, data: Structure) -> dict[str, Any]:
        """Runs all windows of a batch: forward, loss and metrics.

        Args:
            data: As for `train_step`.

        Returns:
            `{name: value}` of the loss and the metrics.
        """
        self._engine.test(data)
        self.built = True
        with summed(self._group, self._metrics_of_rows(evaluating=True)):
            results = self.get_metrics_result()
        return {k: v for k, v in results.items() if k not in self._live_metrics}

    def predict_step(self, data: Structure) -> Structure:
        """Runs all windows of a batch and returns the outputs.

        Args:
            data: `x` or `(x,)`, tensors.

        Returns:
            The outputs, `(rows, time, ...)` or `(rows, ...)`.
        """
        outputs = self._engine.predict(data)
        self.built = True
        return outputs

    def compute_metrics(
        self, x: Structure, y: Structure, y_pred: Structure, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the compiled metrics, as in Keras, with timesteps as samples.

        Args:
            x: Inputs of a window.
            y: Targets at its new timesteps, structured like the outputs.
            y_pred: The outputs there.
            sample_weight: Weights of those timesteps, structured like the outputs, or
                `None`.

        Returns:
            `{name: value}` of all metrics.
        """
        self._engine.show_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """`{name: value}` of the loss and all metrics, as in Keras."""
        # Within a step of training, those of other processes would cost too much.
        group = self._group if tf.executing_eagerly() else None
        with summed(group, self._metrics_of_rows(evaluating=self._evaluates)):
            return self._metrics_result()

    def _metrics_of_rows(self, *, evaluating: bool) -> list[keras.metrics.Metric]:
        """Metrics that have only seen the rows of this process."""
        setup = self._engine.setup
        everywhere = [*self._live_metrics.values()]
        if not evaluating and setup is not None and setup.tally is not None:
            of_losses = [loss.metric for loss in setup.tally.losses]
            everywhere += [self._engine.compilation.loss_tracker, *of_losses]
        return [m for m in self.metrics if not any(m is one for one in everywhere)]

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Within: losses are those of evaluation."""
        self._evaluates = True
        try:
            yield
        finally:
            self._evaluates = False

    def _metrics_result(self) -> dict[str, Any]:
        known = self._engine.compilation
        clipped = find_clipped(known.optimizer)
        others = [m for m in self.metrics if m.name not in self._live_metrics]
        results = results_of(others)
        if clipped is None or not clipped.skip_nonfinite or not clipped.built:
            clipped = None
        elif "loss" in results and known.loss_tracker is not None:
            # The mean of no windows at all is not 0.
            nothing = (known.loss_tracker.count == 0) & (clipped.skipped_in_a_row > 0)
            results["loss"] = keras.ops.where(nothing, math.nan, results["loss"])
        if self._live is not None:
            results |= self._live.results(skips=clipped is not None)
        return results

    @property
    def answers_at_each_step(self) -> bool | None:
        """Whether outputs have a time axis; `None` before the first batch."""
        setup = self._engine.setup
        return None if setup is None else setup.model.traits.sequence_output

    def _expected(self) -> Expected:
        """What the data must fit."""
        setup = self._engine.setup
        return Expected(
            model=self.model,
            output_names=self.output_names,
            outputs=None if setup is None else setup.model.traits.outputs,
            sequence_output=self.answers_at_each_step,
            window=self._options.schedule.evaluation_window,
            burn_in=self._options.burn_in,
        )

    @property
    def distribute_strategy(self) -> Any:
        """Keras' strategy, which Keras uses to make iterators of data."""

        def prepared(dataset: tf.data.Dataset) -> tf.data.Dataset:
            dataset = pad_dataset(dataset, self.model, self._expected().window)
            data = keras.utils.unpack_x_y_sample_weight(dataset.element_spec)
            check_shapes(self._expected(), *data)
            return dataset

        lead = self._lead
        followed = {} if lead is None else {"followed": lead.follow}
        return PromptStrategy(super().distribute_strategy, prepared, **followed)

    def _fit(self, x: Any, arguments: dict[str, Any]) -> Fit:
        """A call of `fit`, for the callback that leads it."""
        return Fit(
            self,
            x,
            arguments,
            prepare=lambda spec: self._engine.prepare("fit", known_spec(spec)),
            holders=lambda: [
                self.model,
                self.optimizer,
                *self.metrics,
                *self._engine.holders(),
            ],
            schedule=lambda: self._options.schedule,
            apart=self._apart,
            group=self._group,
        )

    def _apart(self) -> Apart:
        counts, sums = self._engine.apart()
        metrics = self._metrics_of_rows(evaluating=False)
        return Apart(counts, [*sums, *(v.value for m in metrics for v in m.variables)])

    @contextlib.contextmanager
    def _led(self, lead: Lead | None) -> Iterator[None]:
        """Within: a callback decides what happens with the batches of `fit`."""
        self._lead = lead
        try:
            yield
        finally:
            self._lead = None
            if lead is not None:
                lead.end()

    @contextlib.contextmanager
    def _recovering(self) -> Iterator[None]:
        """Within: errors are plain, and a step that failed is traced again next time.

        TensorFlow does not retrace a function whose first trace failed, so an error
        raised there would outlast its cause.
        """
        try:
            with plain_errors(), together(self._group):
                yield
        except BaseException:
            self.train_function = self.test_function = self.predict_function = None
            raise

    def _expect(
        self, name: str, x: Any, batch_size: int | None, class_weight: Any = None
    ) -> None:
        """Tells the engine what is known about the coming batches."""
        rows = tuple(rows_of_batches(x, batch_size))
        self._engine.expect(name, Call(rows, class_weight is not None))
