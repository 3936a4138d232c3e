"""`TruncatedBPTT`: a Keras model trained by truncated backpropagation through time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from bptt_keras.keras_internals import all_layers, is_validation
from bptt_keras.state import check_carriable
from bptt_keras.training.description import describe
from bptt_keras.training.engine_model import EngineModel
from bptt_keras.training.epochs import with_epochs
from bptt_keras.training.intake.calls import for_evaluation, for_fit
from bptt_keras.training.intake.checks import check_data
from bptt_keras.training.intake.order import BATCH_SIZE
from bptt_keras.training.intake.ragged_predictions import peeked, predicted
from bptt_keras.training.intake.taking import take
from bptt_keras.training.measures.averages import check_reductions
from bptt_keras.training.measures.live import Live, number
from bptt_keras.training.options import (
    ARGUMENTS,
    Options,
    check_jit_compile,
    checked_options,
    warn_if_shared,
)
from bptt_keras.training.steps import find_lead
from bptt_keras.training.wrapper import check_overrides
from bptt_keras.truncation.serialization import from_config, to_config
from bptt_keras.turns import in_turn


@keras.saving.register_keras_serializable(package="bptt_keras")
class TruncatedBPTT(EngineModel):
    """Trains a recurrent Keras model by truncated backpropagation through time.

    A sequence of `T` timesteps is cut into windows. For each window the trainer runs
    the model forward and backward, clips the gradient and updates the weights. The
    state is carried into the next window as a value, detached from its gradient:

        state_0 = initial
        outputs_j, state_{j+1} = model(x_j, stop_gradient(state_j))
        loss_j = sum(w * l(y_j, outputs_j)) / sum(w)       over valid timesteps
        weights <- optimizer(weights, d loss_j / d weights)

    The loop runs inside `train_step`, so memory depends on `window` and not on `T`.
    `compile`, `fit`, `evaluate`, `predict`, callbacks, `save` and `load_model` work as
    in Keras. The trained model is `trainer.model`.

    A model whose last recurrent layer has `return_sequences=True` has a loss at every
    timestep. With `return_sequences=False` there is one loss, at the end: the timesteps
    before the last window run without a gradient tape, and only the last window is
    backpropagated through, with one update per batch.

    State: a batch without `reset` and `key` starts from the initial state. A batch
    `{"inputs": x, "reset": r}` continues the previous one row by row, except in the
    rows that `r` flags. `r` has the shape `(batch,)`, to reset before the batch, or
    `(batch, time)`, to reset before that timestep. A batch `{"inputs": x, "key": k}`
    continues the rows whose key, an integer or a string, is the same as in the previous
    batch. `evaluate` and `predict` each keep their own state, and each call starts from
    the initial one.

    Padding: `"lengths"`, `(batch,)`, or `"mask"`, `(batch, time)`, passed with the
    inputs, says which timesteps are valid. At all others the state does not change and
    nothing counts.

    Averages: `loss` and metrics are averaged over timesteps, not rows, so windows,
    padding, masks and small batches do not bias them.

    The logs of `fit` also contain, averaged over the updates of an epoch:
    `grad_norm`, the gradient's global norm; `clipped_norm`, the same after clipping;
    `clipped_fraction`, the fraction of updates that clipping shortened;
    `update_ratio`, the norm of an update divided by the norm of the weights;
    `state_norm`, the norm of a row's state after the window, over all layers, averaged
    over rows. `timesteps_per_second` counts the timesteps of all rows, and
    `skipped_windows` the windows that were left out because they were not finite.

    A window whose gradient contains NaN or infinity is left out: weights and optimizer
    stay as they were. Rows whose state is no longer finite start afresh, and the others
    continue. An epoch with such windows ends with a warning, and `fit` ends after ten
    of them in a row. `skip_nonfinite` chooses.

    Args:
        model: A `keras.Model` whose inputs are `(batch, time, ...)`, built or not. See
            `PureStep` for the layers that it may contain.
        window: Timesteps that gradients flow back through: an integer >= 1, `None` for
            all timesteps of a batch (full backpropagation), or a schedule from
            `bptt_keras.truncation`.
        stride: New timesteps in each window, an integer from 1 to `window`. Default
            (`None`): `window`. With a smaller stride windows overlap, also across two
            batches: each starts from the state `window - stride` timesteps before the
            end of the previous one, and its loss covers only the new timesteps.
        update: When the weights are updated: `"window"` (default), after each window;
            `"sequence"`, after each batch; or an integer >= 1, after that many windows.
            The gradient is that of the loss averaged over the timesteps of all those
            windows. Gradients still pending at the end of an epoch are applied then.
        burn_in: Timesteps at the start of each batch that only warm up the state:
            they have no loss, and no gradient reaches them. Evaluation excludes them
            from the loss as well. Default: 0.
        recompute: `None` (default): keep everything that the backward pass of a window
            needs. `"sqrt"` or a number of segments: keep only the states between
            segments, and run each segment again. `truncation.Revolve(slots)`: keep at
            most that many states. The result is the same, random draws included.
        state_noise: Standard deviation of the Gaussian noise that is added to the state
            between two windows in training. Default: 0.
        state_dropout: Fraction of the carried state that is dropped between two
            windows in training, at least 0 and below 1. Default: 0.
        shards: Number of shards into which the rows of a batch are split; their
            gradients are computed in parallel and summed. An integer >= 1, or `"auto"`
            (default): two on a CPU. Where a timestep takes little work, or the kernel
            of every recurrent layer uses all cores, XLA instead compiles all windows of
            a batch into one program (8 at a time if the length is unknown), provided
            that windows start `window` timesteps apart and every timestep has a loss.
            The first batch decides; `summary()` shows the choice. The result is the
            same up to the order of summation; random draws differ.
        live_metrics: `True` (default): the logs of `fit` include the norms of gradients
            and state and the speed, see above. `False`: only losses and metrics, which
            makes models of a few units noticeably faster.
        skip_nonfinite: `True` (default): windows whose gradient is not finite are left
            out, see above. `False`: they are applied, as Keras does. The
            `skip_nonfinite` and `stop_after` of a `clipping.ClippedOptimizer` come
            first, and under the policy `mixed_float16` the loss scale decides.
        **kwargs: `name` and `dtype`, as for every `keras.Model`.

    Call arguments:
        inputs: The inputs of `model`, or `{"inputs": ..., "reset": ...}`.
        training: Boolean, passed on. A plain call runs `model` once, without windows.

    Returns:
        The outputs of `model`.

    Attributes:
        truncation: The schedule that `window` and `stride` describe.

    The arguments are also attributes. All except `model` and `live_metrics` can be set
    later, for example by a callback; a change takes effect at the next batch and leaves
    the carried state as it is.

    Raises:
        TypeError: If `model` is not a `keras.Model`, or an argument has the wrong type.
        ValueError: If an argument is out of range, two of them contradict each other, a
            layer cannot be cut along time, or `model` overrides one of Keras' training
            steps, which would never run.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential(
            [bk.layers.LSTM(8, return_sequences=True), keras.layers.Dense(1)]
        )
        trainer = bk.TruncatedBPTT(model, window=10, stride=5)
        trainer.compile(keras.optimizers.Adam(global_clipnorm=1.0), loss="mse")
        x = np.random.normal(size=(4, 35, 2)).astype("float32")
        history = trainer.fit(x, x[..., :1], epochs=1, verbose=0)
        assert {"loss", "grad_norm"} <= set(history.history)

    Source: Williams & Peng, "An efficient gradient-based algorithm for on-line
    training of recurrent network trajectories" (1990). Schedules and recomputation give
    their own sources.
    """

    def __init__(
        self,
        model: keras.Model,
        window: Any,
        *,
        stride: int | None = None,
        update: str | int = "window",
        burn_in: int = 0,
        recompute: Any = None,
        state_noise: float = 0.0,
        state_dropout: float = 0.0,
        shards: str | int = "auto",
        live_metrics: bool = True,
        skip_nonfinite: bool = True,
        **kwargs: Any,
    ):
        check_carriable(model)
        check_overrides(self, model)
        options = checked_options(
            window=window,
            stride=stride,
            update=update,
            burn_in=burn_in,
            recompute=recompute,
            state_noise=state_noise,
            state_dropout=state_dropout,
            shards=shards,
            live_metrics=live_metrics,
            skip_nonfinite=skip_nonfinite,
        )
        kwargs.setdefault("dtype", model.dtype_policy)
        super().__init__(**kwargs)
        self.model = model
        self._take_options(options)
        self._live = None
        if live_metrics:
            self._live = Live(exchanges=self._group is not None)
        # Keras finds and resets the metrics through this attribute.
        self._live_metrics = {} if self._live is None else self._live.metrics
        self._engine = self._new_engine("auto", None)
        if all(layer.built for layer in all_layers(model)):
            self.built = True

    # --- Options ---------------------------------------------------------------

    def _take_options(self, options: Options) -> None:
        self._options = options
        for name, value in options.arguments().items():
            super().__setattr__(name, value)
        super().__setattr__("truncation", options.schedule)
        warn_if_shared(options.schedule, self)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; constructor arguments take effect at the next batch.

        Args:
            name: Name of the attribute.
            value: Its new value.

        Raises:
            AttributeError: If the attribute is fixed at construction.
            TypeError: As in the constructor.
            ValueError: As in the constructor.
        """
        made = "_engine" in vars(self)
        if made and name in ("model", "truncation", "live_metrics"):
            raise AttributeError(
                f"`{name}` is fixed when a trainer is made. Make another "
                f"`TruncatedBPTT`"
                + (", or set `window` and `stride`." * (name == "truncation") or ".")
            )
        if made and name in ARGUMENTS:
            options = checked_options(**{**self._options.arguments(), name: value})
            self._engine.flush()
            self._take_options(options)
            self._renew()
            return
        super().__setattr__(name, value)
        if made and name in ("optimizer", "run_eagerly"):
            self._renew()

    @property
    def jit_compile(self) -> bool | str:
        """Whether windows are compiled with XLA: True, False or `"auto"`."""
        return self._engine.compilation.jit_compile

    @jit_compile.setter
    def jit_compile(self, value: bool | str) -> None:
        check_jit_compile(value, self.run_eagerly)
        self._renew(jit_compile=value)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configures training; the arguments are those of `keras.Model.compile`.

        Args:
            optimizer: As in Keras. `clipnorm`, `global_clipnorm` and `clipvalue` clip
                the gradient of each window.
            loss: As in Keras, with one value for each timestep. It is averaged over
                valid timesteps.
            loss_weights: As in Keras.
            metrics: As in Keras. Each sees only the timesteps that count; one that
                looks along time sees whole sequences, or is refused.
            weighted_metrics: As in Keras.
            run_eagerly: As in Keras.
            steps_per_execution: As in Keras.
            jit_compile: `True`: compile windows with XLA. `False`: do not.
                `"auto"` (default): use XLA if it can compile the model; `summary()`
                shows the choice.
            auto_scale_loss: As in Keras.

        Raises:
            ValueError: If `jit_compile` is none of these, if it is `True` together with
                `run_eagerly=True`, or if a loss has the reduction `"sum"` or `"none"`.
        """
        check_jit_compile(jit_compile, run_eagerly)
        check_reductions(loss)
        # Keras would compile the whole step with XLA; the engine chooses which parts.
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False,
            auto_scale_loss=auto_scale_loss,
        )
        self._engine = self._new_engine(jit_compile, loss)

    def get_compile_config(self) -> dict[str, Any]:
        """Arguments of `compile`, for saving."""
        config = super().get_compile_config()
        if config:
            config["jit_compile"] = self.jit_compile
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles from what `get_compile_config` returned, for loading.

        Args:
            config: What it returned.
        """
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.model.built:
            self.optimizer.build(self.model.trainable_variables)

    # --- Data ------------------------------------------------------------------

    @in_turn
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | None = None,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model; arguments and result are those of `keras.Model.fit`.

        Each call and each epoch starts from the initial state. With `steps_per_epoch`,
        an epoch continues where the last one stopped, in both data and state.

        Args:
            x: Array `(rows, time, ...)`; sequences of different lengths, as a list of
                arrays `(time, ...)` or a `tf.RaggedTensor`; a dict of arrays,
                `{"inputs": ..., "reset": ...}` and the like; or a `tf.data.Dataset`,
                `PyDataset` or generator of batches.
            y: Targets, `(rows, time, ...)`, or `(rows, ...)` for one target at the
                end. For a list of sequences: a list of arrays of the same lengths, or
                one target per sequence. For several outputs: a dict keyed by their
                names or a list in their order; outputs without a loss may be left
                out. `None` if `x` provides the targets.
            batch_size: As in Keras.
            epochs: As in Keras.
            verbose: As in Keras.
            callbacks: As in Keras.
            validation_split: As in Keras.
            validation_data: As in Keras.
            shuffle: Whether to shuffle the rows of arrays before each epoch. Default
                (`None`): yes, unless `x` has `reset`.
            class_weight: As in Keras, for one target at the end. For targets at each
                timestep, pass `sample_weight` of shape (rows, time).
            sample_weight: `(rows,)` or `(rows, 1)`, which applies to every timestep of
                a row, or `(rows, time)`. For several outputs: a dict or list like `y`;
                outputs that are left out have weight 1.
            initial_epoch: As in Keras.
            steps_per_epoch: As in Keras.
            **kwargs: Keras' other arguments.

        Returns:
            Keras' `History`.

        Raises:
            ValueError: If the data cannot be trained on; the message says why.
        """
        data = for_fit(
            self._expected(),
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            validation_data=validation_data,
            validation_split=validation_split,
            class_weight=class_weight,
            steps_per_epoch=steps_per_epoch,
        )
        resumes, self._keeps_state = self._keeps_state, False
        if not resumes:
            self.reset_state()
        callbacks = with_epochs(
            lambda: self._engine,
            callbacks,
            fresh=steps_per_epoch is None,
            keep_first=resumes,
        )
        self._expect("fit", data.x, data.batch_size or BATCH_SIZE, class_weight)
        arguments = {
            **data._asdict(),
            "epochs": epochs,
            "verbose": verbose,
            "callbacks": callbacks,
            "class_weight": class_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            **kwargs,
        }
        group = self._group
        if group is not None and self.compiled:
            arguments |= group.begin_fit(self._fit(data.x, arguments))
            callbacks = arguments["callbacks"]
        # Keras says it if there was no `compile`.
        lead = find_lead(callbacks) if self.compiled else None
        with self._recovering(), self._led(lead):
            if lead is not None:
                arguments |= lead.begin(self._fit(data.x, arguments))
            return super().fit(**arguments)

    @in_turn
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Evaluates in windows, from the initial state; arguments as in Keras.

        The state of training is left alone. Memory depends on the window, not on the
        length of the sequences.

        Args:
            x: As for `fit`.
            y: As for `fit`.
            batch_size: As in Keras.
            verbose: As in Keras.
            sample_weight: As for `fit`.
            **kwargs: Keras' other arguments.

        Returns:
            As in Keras: the loss, or a list or dict of loss and metrics.

        Raises:
            ValueError: If the data cannot be evaluated on; the message says why.
        """
        # Validation within `fit` passes data that `fit` has converted and checked.
        if is_validation(kwargs):
            if self._lead is not None and self._lead.passes_over:
                return {}
        else:
            x, y, sample_weight, batch_size = for_evaluation(
                self._expected(), x, y, sample_weight, batch_size
            )
        if self._group is not None and not self._group.is_first:
            verbose = 0
        self._engine.clear("evaluate")
        self._expect("evaluate", x, batch_size or BATCH_SIZE)
        with self._recovering(), self._evaluating():
            found = super().evaluate(
                x,
                y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                **kwargs,
            )
        # Keras 3.12 would leave tensors, where later ones make numbers of them.
        return keras.tree.map_structure(number, found)

    @in_turn
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        **kwargs: Any,
    ) -> Any:
        """Predicts in windows, from the initial state; arguments as in Keras.

        The states of training and evaluation are left alone.

        Args:
            x: As for `fit`.
            batch_size: As in Keras.
            verbose: As in Keras.
            **kwargs: Keras' other arguments.

        Returns:
            The outputs, `(rows, time, ...)` or `(rows, ...)`, structured like those of
            the model. For a list of sequences, outputs at each timestep are also a list
            of arrays, each as long as its sequence.

        Raises:
            ValueError: If the data cannot be predicted on; the message says why.
        """
        self._engine.clear("predict")
        x, _, _, sequences = take(self._expected(), x, batch_size=batch_size)
        batches, x = (x, None) if sequences else peeked(x)
        if batches is not None:
            return predicted(self, batches, verbose, **kwargs)
        check_data(self._expected(), x)
        self._expect("predict", x, batch_size or BATCH_SIZE)
        with self._recovering():
            return super().predict(x, batch_size=batch_size, verbose=verbose, **kwargs)

    # --- Saving ----------------------------------------------------------------

    def summary(
        self, *args: Any, print_fn: Callable[[str], Any] | None = None, **kwargs: Any
    ) -> None:
        """Prints the inner model's summary, then how it is trained.

        Args:
            *args: As for `keras.Model.summary`.
            print_fn: As for `keras.Model.summary`.
            **kwargs: As for `keras.Model.summary`.
        """
        if self.model.built:
            self.model.summary(*args, print_fn=print_fn, **kwargs)
        (print_fn or print)(describe(self._engine))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "model": serialize(self.model),
            **self._options.arguments(),
            "window": to_config(self.window, others=serialize),
            "recompute": to_config(self.recompute, others=serialize),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> TruncatedBPTT:
        """The trainer that `get_config` described.

        Args:
            config: What it returned.
            custom_objects: As for `keras.Model.from_config`.
        """
        deserialize = functools.partial(
            keras.saving.deserialize_keras_object, custom_objects=custom_objects
        )
        return cls(
            **{
                **config,
                "model": deserialize(config["model"]),
                "window": from_config(config["window"], others=deserialize),
                "recompute": from_config(config.get("recompute"), others=deserialize),
            }
        )
