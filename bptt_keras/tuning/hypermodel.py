"""`TruncatedHyperModel`: a Keras model with the hyperparameters of truncated BPTT."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from bptt_keras.keras_internals import compile_arguments
from bptt_keras.training.trainer import TruncatedBPTT
from bptt_keras.tuning.clipping import kinds_of, optimizer_with, tuned_rule
from bptt_keras.tuning.jobs.objective import asks_to_validate
from bptt_keras.tuning.ranges import Range, check_numbers, declared


class TruncatedHyperModel(keras_tuner.HyperModel):
    """Your own function that builds a model, trained by `TruncatedBPTT` and tuned.

    Each of `window`, `stride`, `burn_in`, `rows` and `learning_rate` is one value, a
    list of values, or a `Range`. A list or `Range` makes it a hyperparameter of that
    name, in addition to those that `build` declares.

    Args:
        build: Function of `keras_tuner.HyperParameters` that returns a `keras.Model`
            with inputs `(batch, time, ...)`. The model may be compiled; then leave
            `compile` out.
        window: As for `TruncatedBPTT`, timesteps.
        stride: As for `TruncatedBPTT`, timesteps; floats in `(0, 1]` are fractions of
            the window.
        burn_in: As for `TruncatedBPTT`, timesteps.
        rows: Rows of a batch: the `batch_size` of `fit`, or as `data` uses it.
        learning_rate: Learning rate of the optimizer, above 0.
        clipping: Kinds of clipping to try, with their thresholds: a sequence of
            `"none"`, `"global_norm"`, `"variable_norm"`, `"value"`, `"agc"`,
            `"autoclip"` and `"zclip"`; a dict `{kind: Range, list or value}` for other
            thresholds; `"all"`; or `None` (default): the optimizer is left unchanged.
            The hyperparameters are `clipping` and `clip_<kind>`.
        compile: Arguments of `compile`, or a function of `HyperParameters` that returns
            them for each trial, with a new optimizer each time.
        data: Function of `HyperParameters` that returns arguments of `fit`, called for
            each trial, for example to make streams with the trial's `rows` and
            `window`. `hp.get("window")` is the trial's value, even if it is fixed.
        **options: More arguments of `TruncatedBPTT`, such as `update`.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a value is out of range, or a stride exceeds a window.

    Example:
        import keras, numpy as np, bptt_keras as bk

        def build(hp):
            units = hp.Int("units", 4, 8)
            return keras.Sequential(
                [bk.layers.GRU(units, return_sequences=True), keras.layers.Dense(1)]
            )

        x = np.random.default_rng(0).normal(size=(8, 24, 2)).astype("float32")
        y = x.sum(2, keepdims=True).cumsum(1)
        hypermodel = bk.tuning.TruncatedHyperModel(
            build,
            window=[6, 12],
            learning_rate=bk.tuning.Range(1e-3, 1e-1, log=True),
            clipping=["none", "global_norm"],
            compile={"loss": "mse"},
        )
        tuner = bk.tuning.RandomSearch(
            hypermodel, "val_loss", max_trials=2, directory="runs", project_name="sums",
            overwrite=True,
        )
        tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
        trainer = tuner.get_best_models()[0]
        assert trainer.window in (6, 12)
    """

    def __init__(
        self,
        build: Callable[[keras_tuner.HyperParameters], keras.Model],
        *,
        window: Any = None,
        stride: Any = None,
        burn_in: Any = 0,
        rows: Any = None,
        learning_rate: Any = None,
        clipping: Any = None,
        compile: dict[str, Any] | Callable | None = None,
        data: Callable[[keras_tuner.HyperParameters], dict[str, Any]] | None = None,
        name: str | None = None,
        **options: Any,
    ):
        if not callable(build) or isinstance(build, keras.Model):
            raise TypeError(
                f"`build` must be a function of hyperparameters. Received: {build!r}."
            )
        check_numbers("window", window, least=1)
        check_numbers("burn_in", burn_in, least=0)
        check_numbers("rows", rows, least=1)
        check_numbers("learning_rate", learning_rate, above=0, whole=False)
        _check_stride(stride, window)
        _check_options(options)
        if data is not None and not callable(data):
            raise TypeError(
                "`data` must be a function of hyperparameters that returns arguments "
                f"of `fit`. Received: {type(data).__name__}."
            )
        self._model = build
        self._timing = {"window": window, "stride": stride, "burn_in": burn_in}
        self.rows, self.learning_rate = rows, learning_rate
        self.clipping = kinds_of(clipping)
        self._compile, self._data, self._options = compile, data, options
        super().__init__(name=name)

    def build(self, hp: keras_tuner.HyperParameters) -> TruncatedBPTT:
        """Builds the compiled trainer of a trial."""
        values = {k: declared(hp, k, v) for k, v in self._timing.items()}
        if isinstance(values["stride"], float):
            values["stride"] = max(1, round(values["stride"] * values["window"]))
        rows = declared(hp, "rows", self.rows)
        rate = declared(hp, "learning_rate", self.learning_rate)
        rule = tuned_rule(hp, self.clipping)
        # `hp.get` gives fixed values too, which are not part of the space.
        for name, value in {**values, "rows": rows}.items():
            if value is not None:
                hp.values.setdefault(name, value)
        model = self._model(hp)
        if isinstance(model, TruncatedBPTT):
            trainer = self._set(model, values)
        elif isinstance(model, keras.Model):
            trainer = TruncatedBPTT(model, **values, **self._options)
        else:
            raise keras_tuner.errors.FatalTypeError(
                f"`build` must return a keras.Model. Received: {model!r}."
            )
        arguments = self._arguments(hp, model)
        if arguments is None:
            if rate is not None or rule is not None:
                trainer.optimizer = optimizer_with(trainer.optimizer, rate, rule)
            return trainer
        arguments["optimizer"] = optimizer_with(arguments.get("optimizer"), rate, rule)
        trainer.compile(**arguments)
        return trainer

    def _set(self, trainer: TruncatedBPTT, values: dict[str, Any]) -> TruncatedBPTT:
        names = [name for name in values if self._timing[name] not in (None, 0)]
        if {"window", "stride"} <= {*names} and values["window"] < trainer.stride:
            # Each must be valid with the trainer's current value of the other.
            names.sort(key=lambda name: name != "stride")
        for name in names:
            setattr(trainer, name, values[name])
        for name, value in self._options.items():
            setattr(trainer, name, value)
        return trainer

    def _arguments(
        self, hp: keras_tuner.HyperParameters, model: keras.Model
    ) -> dict[str, Any] | None:
        """Arguments of `compile`; `None` if the model is a compiled trainer."""
        given = self._compile(hp) if callable(self._compile) else self._compile
        if given is not None:
            arguments = dict(given)
            optimizer = arguments.get("optimizer")
            if isinstance(optimizer, keras.optimizers.Optimizer):
                # Each trial needs its own optimizer.
                config = keras.optimizers.serialize(optimizer)
                arguments["optimizer"] = keras.optimizers.deserialize(config)
            return arguments
        if not model.compiled:
            raise keras_tuner.errors.FatalValueError(
                "`build` has returned a model that is not compiled. Compile it there, "
                "or pass `compile`, such as {'loss': 'mse'}."
            )
        if isinstance(model, TruncatedBPTT):
            return None
        # As given, because the user's functions cannot be restored from a config.
        given = compile_arguments(model)
        return {**given, "optimizer": model.optimizer, "loss": model.loss}

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Trains the trainer of a trial on its data."""
        if self._data is not None:
            kwargs |= self._data(hp)
        elif self.rows is not None:
            kwargs["batch_size"] = hp.get("rows")
        return model.fit(*args, **kwargs)

    # --- For durable jobs -------------------------------------------------------------

    def validates(self, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether trials validate, according to one call of `data`."""
        given = kwargs
        if self._data is not None:
            hp = keras_tuner.HyperParameters()
            self.build(hp)
            given = {**kwargs, **self._data(hp)}
        return asks_to_validate(given)

    def check_search(
        self, space: keras_tuner.HyperParameters, args: tuple, kwargs: dict[str, Any]
    ) -> None:
        """Refuses arguments of `search` that conflict with tuned values.

        Raises:
            ValueError: If some would have no effect.
        """
        if self._data is not None:
            if args or kwargs.get("x") is not None:
                raise ValueError("`data` makes the data, and `search` was given some.")
            return
        first = args[0] if args else kwargs.get("x")
        batched = not hasattr(first, "shape") and not isinstance(first, list | dict)
        if self.rows is not None and (batched or "batch_size" in kwargs):
            raise ValueError(
                "`rows` cannot be tuned with data that are batched, or a `batch_size` "
                "of `search`. Give `TruncatedHyperModel` a function `data` that makes "
                "them for each trial."
            )


def _check_stride(stride: Any, window: Any) -> None:
    if stride is None:
        return
    fractions = isinstance(stride, float) or (
        isinstance(stride, Range)
        and not stride.whole
        or isinstance(stride, tuple | list)
        and any(isinstance(value, float) for value in stride)
    )
    if fractions:
        check_numbers("stride", stride, above=0, whole=False)
        if window is None:
            raise ValueError(
                "`stride` is a fraction of the window, so `window` must be given. "
                f"Received: stride={stride!r}, window=None."
            )
        if _highest(stride) > 1:
            raise ValueError(
                "`stride` must be fractions of the window, in (0, 1], or integers. "
                f"Received: {_highest(stride)}."
            )
        return
    check_numbers("stride", stride, least=1)
    if window is not None and _highest(stride) > _lowest(window):
        raise ValueError(
            f"`stride` must not exceed the window. Received: stride up to "
            f"{_highest(stride)}, window from {_lowest(window)}. Fractions of the "
            "window, such as 0.5, always fit."
        )


def _highest(allowed: Any) -> float:
    if isinstance(allowed, Range):
        return allowed.high
    return max(allowed) if isinstance(allowed, tuple | list) else allowed


def _lowest(allowed: Any) -> float:
    if isinstance(allowed, Range):
        return allowed.low
    return min(allowed) if isinstance(allowed, tuple | list) else allowed


def _check_options(options: dict[str, Any]) -> None:
    known = inspect.signature(TruncatedBPTT).parameters
    for name in options:
        if name not in known or name in ("model", "kwargs"):
            raise TypeError(f"`TruncatedBPTT` has no argument {name!r}.")
