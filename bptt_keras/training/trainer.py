"""`TruncatedBPTT`: a Keras model trained by truncated backpropagation through time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from bptt_keras.keras_internals import all_layers, is_validation
from bptt_keras.state import check_carriable
from bptt_keras.training.clipping.optimizer import find_clipped
from bptt_keras.training.description import describe
from bptt_keras.training.engine_model import EngineModel
from bptt_keras.training.epochs import with_epochs
from bptt_keras.training.intake.calls import for_evaluation, for_fit
from bptt_keras.training.intake.checks import check_data
from bptt_keras.training.intake.order import BATCH_SIZE
from bptt_keras.training.intake.ragged_predictions import peeked, predicted
from bptt_keras.training.intake.taking import take
from bptt_keras.training.measures.averages import check_reductions
from bptt_keras.training.measures.live import Live
from bptt_keras.training.options import (
    ARGUMENTS,
    Options,
    check_jit_compile,
    checked_options,
)
from bptt_keras.training.wrapper import check_overrides
from bptt_keras.truncation.serialization import from_config, to_config


@keras.saving.register_keras_serializable(package="bptt_keras")
class TruncatedBPTT(EngineModel):
    """Trains a recurrent Keras model in windows that gradients do not leave.

    A sequence of `T` timesteps is cut into windows. Window by window the model runs
    forward, backpropagates, clips and updates; the state goes on to the next window
    as a value without a gradient:

        state_0 = initial
        outputs_j, state_{j+1} = model(x_j, stop_gradient(state_j))
        loss_j = sum(w * l(y_j, outputs_j)) / sum(w)       over valid timesteps
        weights <- optimizer(weights, d loss_j / d weights)

    The loop runs inside `train_step`, so memory depends on `window` and not on `T`.
    `compile`, `fit`, `evaluate`, `predict`, callbacks, `save` and `load_model` are
    Keras' own. The trained model is `trainer.model`.

    A model whose last recurrent layer has `return_sequences=True` has a loss at every
    timestep. Where it has `return_sequences=False` the loss is at the end: the
    timesteps before the last window run without a tape and the last window alone is
    backpropagated, with one update for each batch.

    State: a batch without `reset` and `key` starts afresh. A batch
    `{"inputs": x, "reset": r}` continues the previous one row by row, except for the
    rows that `r` flags: `(batch,)`, before the batch, or `(batch, time)`, before that
    timestep. A batch `{"inputs": x, "key": k}` continues the rows whose key, an integer
    or a string, is the same as in the previous batch. `evaluate` and `predict` have a
    state of their own and start afresh.

    Padding: `"lengths"`, `(batch,)`, or `"mask"`, `(batch, time)`, beside the inputs
    say which timesteps are valid. At the others the state stays as it is, and nothing
    counts.

    Averages: `loss` and metrics weigh timesteps, not rows, so windows, padding, masks
    and small batches cannot bias them.

    The logs of `fit` also contain, averaged over the updates of an epoch:
    `grad_norm`, the gradient's global norm; `clipped_norm`, the same after clipping;
    `clipped_fraction`, the fraction of the updates that clipping shortened;
    `update_ratio`, the norm of an update over that of the weights; `state_norm`, the
    norm of a row's state, all layers together, after the window, averaged over rows.
    `timesteps_per_second` counts all rows. With a `clipping.ClippedOptimizer` that
    skips gradients that are not finite, `skipped_windows` is their number.

    Args:
        model: A `keras.Model` from `(batch, time, ...)`, built or not. See `PureStep`
            for what it may hold.
        window: Timesteps that gradients flow back through: an integer >= 1, `None` for
            all timesteps of a batch (full backpropagation), or a schedule from
            `bptt_keras.truncation`.
        stride: New timesteps between two windows, an integer from 1 to `window`.
            Default (`None`): `window`. With less, windows overlap: each starts again
            from the state `window - stride` timesteps earlier, also across the border
            of two batches, and has its loss on the new timesteps.
        update: When weights change: `"window"` (default), after each window;
            `"sequence"`, after each batch; or an integer >= 1, after that many windows.
            The gradient is that of the loss averaged over the timesteps of all those
            windows. Gradients that still wait at the end of an epoch are applied then.
        burn_in: Timesteps at the start of each batch that only warm the state up:
            they have no loss, and no gradient reaches them. Evaluation leaves them out
            of the loss as well. Default: 0.
        recompute: `None` (default): keep what the backward pass of a window needs.
            `"sqrt"` or a number of segments: keep only the states between segments,
            and run each segment again. `truncation.Revolve(slots)`: keep at most that
            many states. The result is the same, random draws included.
        state_noise: Standard deviation of normal noise that is added to the state
            between two windows, in training. Default: 0.
        state_dropout: Fraction of the carried state that is dropped between two
            windows, in training, from 0 to below 1. Default: 0.
        shards: Parts that the rows of a batch are cut into, whose gradients are
            computed side by side and summed: an integer >= 1, or `"auto"` (default):
            two on a CPU. Where a timestep is little work, XLA compiles all windows of a
            batch as one program instead (8 at a time if its length is not known), if
            they are `window` apart and each timestep has its loss. The first batch
            decides, and `summary()` says what runs. The result is the same up to the
            order of summation; random draws differ.
        live_metrics: `True` (default): the logs of `fit` include gradients, state and
            speed, see above. `False`: only losses and metrics, which makes models of a
            few units noticeably faster.
        **kwargs: `name` and `dtype`, as for every `keras.Model`.

    Call arguments:
        inputs: What `model` takes, or `{"inputs": ..., "reset": ...}`.
        training: Boolean, passed on. A plain call runs `model` once, without windows.

    Returns:
        The outputs of `model`.

    Attributes:
        truncation: The schedule that `window` and `stride` describe.

    The arguments are attributes, too. All but `model` and `live_metrics` may be set
    later, also by a callback, and take effect at the next batch; the carried state
    stays.

    Raises:
        TypeError: If `model` is no `keras.Model`, or an argument has the wrong type.
        ValueError: If an argument is out of its bounds, two of them contradict each
            other, a layer cannot be cut in time, or `model` overrides a step of Keras'
            training, which would not run.

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
    training of recurrent network trajectories" (1990). For schedules and recomputation
    see there.
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
        )
        kwargs.setdefault("dtype", model.dtype_policy)
        super().__init__(**kwargs)
        self.model = model
        self._take_options(options)
        self._live = Live() if live_metrics else None
        # By this Keras finds and resets them.
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

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; an argument of the constructor takes effect at once.

        Args:
            name: Name of the attribute.
            value: What it becomes.

        Raises:
            AttributeError: If it can only be chosen when a trainer is made.
            TypeError: As the constructor.
            ValueError: As the constructor.
        """
        made = "_engine" in vars(self)
        if made and name in ("model", "truncation", "live_metrics"):
            raise AttributeError(
                f"`{name}` is settled when a trainer is made. Make another "
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
            metrics: As in Keras. Each sees the timesteps that count and no others; one
                that looks along time sees whole sequences, or is refused.
            weighted_metrics: As in Keras.
            run_eagerly: As in Keras.
            steps_per_execution: As in Keras.
            jit_compile: `True`: compile windows with XLA. `False`: don't.
                `"auto"` (default): with XLA wherever the model compiles; `summary()`
                says which one runs.
            auto_scale_loss: As in Keras.

        Raises:
            ValueError: If `jit_compile` is none of these, is `True` beside
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
        """Compiles as `get_compile_config` says, for loading.

        Args:
            config: What it returned.
        """
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.model.built:
            self.optimizer.build(self.model.trainable_variables)

    # --- Data ------------------------------------------------------------------

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
        """Trains; the arguments and the result are those of `keras.Model.fit`.

        Each call and each epoch start from the initial state. With `steps_per_epoch`
        an epoch goes on where the last one stopped, in the data as in the state.

        Args:
            x: Array `(rows, time, ...)`; sequences of different lengths, as a list of
                arrays `(time, ...)` or a `tf.RaggedTensor`; a dict of arrays,
                `{"inputs": ..., "reset": ...}` and the like; or a `tf.data.Dataset`,
                `PyDataset` or generator of batches.
            y: Targets, `(rows, time, ...)`, or `(rows, ...)` for one target at the
                end; beside a list of sequences a list of the same lengths, or one
                target for each. For several outputs a dict by their names or a list
                in their order; one without a loss may be left out. `None` if `x`
                gives them.
            batch_size: As in Keras.
            epochs: As in Keras.
            verbose: As in Keras.
            callbacks: As in Keras.
            validation_split: As in Keras.
            validation_data: As in Keras.
            shuffle: Whether to shuffle the rows of arrays before each epoch. Default
                (`None`): yes, unless `x` has `reset`.
            class_weight: As in Keras, for one target at the end. For targets at each
                timestep give `sample_weight` of shape (rows, time).
            sample_weight: `(rows,)` or `(rows, 1)`, which holds for each timestep of a
                row, or `(rows, time)`. For several outputs a dict or list like `y`;
                an output that is left out weighs 1.
            initial_epoch: As in Keras.
            steps_per_epoch: As in Keras.
            **kwargs: The rest of Keras' arguments.

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
        goes_on, self._keeps_state = self._keeps_state, False
        if not goes_on:
            self.reset_state()
        clipped = find_clipped(getattr(self, "optimizer", None))
        callbacks = with_epochs(
            lambda: self._engine,
            callbacks,
            fresh=steps_per_epoch is None,
            keep_first=goes_on,
            stops=clipped is not None and clipped.stop_after is not None,
        )
        self._expect("fit", data.x, data.batch_size or BATCH_SIZE, class_weight)
        with self._recovering():
            return super().fit(
                **data._asdict(),
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                class_weight=class_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                **kwargs,
            )

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

        Training's state is not touched. Memory depends on the window, not on the
        length of the sequences.

        Args:
            x: As for `fit`.
            y: As for `fit`.
            batch_size: As in Keras.
            verbose: As in Keras.
            sample_weight: As for `fit`.
            **kwargs: The rest of Keras' arguments.

        Returns:
            As in Keras: the loss, or a list or dict of loss and metrics.

        Raises:
            ValueError: If the data cannot be evaluated on; the message says why.
        """
        # Validation in `fit` brings what that has taken and checked.
        if not is_validation(kwargs):
            x, y, sample_weight, batch_size = for_evaluation(
                self._expected(), x, y, sample_weight, batch_size
            )
        self._engine.clear("evaluate")
        self._expect("evaluate", x, batch_size or BATCH_SIZE)
        with self._recovering():
            return super().evaluate(
                x,
                y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                **kwargs,
            )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        **kwargs: Any,
    ) -> Any:
        """Predicts in windows, from the initial state; arguments as in Keras.

        Neither training's nor evaluation's state is touched.

        Args:
            x: As for `fit`.
            batch_size: As in Keras.
            verbose: As in Keras.
            **kwargs: The rest of Keras' arguments.

        Returns:
            The outputs, `(rows, time, ...)` or `(rows, ...)`, structured like those of
            the model. For a list of sequences outputs at each timestep come as a list,
            too, each as long as its sequence.

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
        """Prints the inner model's summary and then what runs.

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
