"""`TruncatedHyperModel`: any Keras model, and what truncated BPTT is tuned by."""

import inspect

import keras
import keras_tuner

from bptt_keras.keras_internals import compile_arguments, schedule_of
from bptt_keras.training import clipping as rules
from bptt_keras.training.trainer import TruncatedBPTT
from bptt_keras.tuning.ranges import (
    CLIPPINGS,
    Range,
    check_numbers,
    declared,
    is_tuned,
)

_RULES = {
    "global_norm": rules.GlobalNorm,
    "variable_norm": rules.VariableNorm,
    "value": rules.Value,
    "agc": rules.AGC,
    "autoclip": rules.AutoClip,
    "zclip": rules.ZClip,
}


class TruncatedHyperModel(keras_tuner.HyperModel):
    """A model function of one's own, trained by `TruncatedBPTT` with tuned values.

    Each of `window`, `stride`, `burn_in`, `rows` and `learning_rate` is one value, a
    list of values, or a `Range`; the last two make it a hyperparameter of that name,
    beside those that `build` asks for itself.

    Args:
        build: Function of `keras_tuner.HyperParameters` that returns a `keras.Model`
            from `(batch, time, ...)`. It may be compiled; `compile` is not given then.
        window: As for `TruncatedBPTT`, timesteps.
        stride: As for `TruncatedBPTT`, timesteps; floats in `(0, 1]` are parts of the
            window.
        burn_in: As for `TruncatedBPTT`, timesteps.
        rows: Batch rows: the `batch_size` of `fit`, or what `data` makes of it.
        learning_rate: Of the optimizer, above 0.
        clipping: Kinds of clipping that are tried, with their thresholds: a sequence
            of `"none"`, `"global_norm"`, `"variable_norm"`, `"value"`, `"agc"`,
            `"autoclip"` and `"zclip"`; a dict `{kind: Range, list or value}` for other
            thresholds; `"all"`; or `None` (default): the optimizer is left alone.
            The hyperparameters are `clipping` and `clip_<kind>`.
        compile: Arguments of `compile`, or a function of `HyperParameters` that returns
            them, fresh for each trial; an optimizer is then made for each, too.
        data: Function of `HyperParameters` that returns arguments of `fit`, called for
            each trial: streams of the trial's `rows` and `window`, for instance.
            `hp.get("window")` is what the trial has, also where it is fixed.
        **options: More arguments of `TruncatedBPTT`, such as `update`.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a value is out of its bounds, or a stride exceeds a window.

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
        build,
        *,
        window=None,
        stride=None,
        burn_in=0,
        rows=None,
        learning_rate=None,
        clipping=None,
        compile=None,
        data=None,
        name=None,
        **options,
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
        self.clipping = _kinds(clipping)
        self._compile, self._data, self._options = compile, data, options
        super().__init__(name=name)

    def build(self, hp):
        """The trial's trainer, compiled."""
        values = {k: declared(hp, k, v) for k, v in self._timing.items()}
        if isinstance(values["stride"], float):
            values["stride"] = max(1, round(values["stride"] * values["window"]))
        rows = declared(hp, "rows", self.rows)
        rate = declared(hp, "learning_rate", self.learning_rate)
        rule = self._rule(hp)
        # What is fixed can be asked for by `hp.get`, too, and is no part of the space.
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
                trainer.optimizer = _optimizer(trainer.optimizer, rate, rule)
            return trainer
        arguments["optimizer"] = _optimizer(arguments.get("optimizer"), rate, rule)
        trainer.compile(**arguments)
        return trainer

    def _set(self, trainer, values):
        names = [name for name in values if self._timing[name] not in (None, 0)]
        if {"window", "stride"} <= {*names} and values["window"] < trainer.stride:
            # Each alone must go with what the trainer has of the other.
            names.sort(key=lambda name: name != "stride")
        for name in names:
            setattr(trainer, name, values[name])
        for name, value in self._options.items():
            setattr(trainer, name, value)
        return trainer

    def _rule(self, hp):
        if self.clipping is None:
            return None
        kind = declared(hp, "clipping", list(self.clipping))
        thresholds = {}
        # All are declared, so that the space is known from the start.
        for other, allowed in self.clipping.items():
            if not is_tuned(allowed) or len(self.clipping) == 1:
                thresholds[other] = declared(hp, f"clip_{other}", allowed)
                continue
            with hp.conditional_scope("clipping", [other]):
                thresholds[other] = declared(hp, f"clip_{other}", allowed)
        return None if kind == "none" else _RULES[kind](thresholds[kind])

    def _arguments(self, hp, model):
        """What to compile with; `None`: the model is a trainer that is compiled."""
        given = self._compile(hp) if callable(self._compile) else self._compile
        if given is not None:
            arguments = dict(given)
            optimizer = arguments.get("optimizer")
            if isinstance(optimizer, keras.optimizers.Optimizer):
                # Each trial needs one of its own.
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
        # As they were given: functions of one's own cannot be read from a config.
        given = compile_arguments(model)
        return {**given, "optimizer": model.optimizer, "loss": model.loss}

    def fit(self, hp, model, *args, **kwargs):
        """Trains the trial's trainer on its data."""
        if self._data is not None:
            kwargs |= self._data(hp)
        elif self.rows is not None:
            kwargs["batch_size"] = hp.get("rows")
        return model.fit(*args, **kwargs)

    # --- What a durable job asks ------------------------------------------------------

    def validates(self, args, kwargs):
        """Whether trials validate; what `data` returns is looked at once."""
        given = kwargs
        if self._data is not None:
            hp = keras_tuner.HyperParameters()
            self.build(hp)
            given = {**kwargs, **self._data(hp)}
        return asks_to_validate(given)

    def check_search(self, space, args, kwargs):
        """Refuses arguments of `search` that do not go with what is tuned.

        Raises:
            ValueError: If there is no way to give them effect.
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


def asks_to_validate(arguments):
    """Whether `fit` with these arguments validates."""
    return bool(
        arguments.get("validation_data") is not None
        or arguments.get("validation_split")
    )


def _check_stride(stride, window):
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
                "`stride` is parts of the window, so `window` must be given. Received: "
                f"stride={stride!r}, window=None."
            )
        if _most(stride) > 1:
            raise ValueError(
                "`stride` is parts of the window, in (0, 1], or integers. Received: "
                f"{_most(stride)}."
            )
        return
    check_numbers("stride", stride, least=1)
    if window is not None and _most(stride) > _least(window):
        raise ValueError(
            f"`stride` must not exceed the window. Received: stride up to "
            f"{_most(stride)}, window from {_least(window)}. Parts of the window, such "
            "as 0.5, always fit."
        )


def _most(allowed):
    if isinstance(allowed, Range):
        return allowed.high
    return max(allowed) if isinstance(allowed, tuple | list) else allowed


def _least(allowed):
    if isinstance(allowed, Range):
        return allowed.low
    return min(allowed) if isinstance(allowed, tuple | list) else allowed


def _check_options(options):
    known = inspect.signature(TruncatedBPTT).parameters
    for name in options:
        if name not in known or name in ("model", "kwargs"):
            raise TypeError(f"`TruncatedBPTT` has no argument {name!r}.")


def _kinds(clipping):
    """`{kind: Range, value or None}` of the argument `clipping`."""
    if clipping is None:
        return None
    if clipping == "all":
        clipping = list(CLIPPINGS)
    if isinstance(clipping, str):
        clipping = [clipping]
    if not isinstance(clipping, list | tuple | dict):
        raise TypeError(
            "`clipping` must be a kind, a list of kinds, or a dict of thresholds. "
            f"Received: {clipping!r}."
        )
    unknown = [kind for kind in clipping if kind not in CLIPPINGS]
    if unknown or not clipping:
        raise ValueError(
            f"`clipping` must be of {', '.join(CLIPPINGS)}. Received: {clipping}."
        )
    kinds = {}
    for kind in clipping:
        given = clipping[kind] if isinstance(clipping, dict) else CLIPPINGS[kind]
        if kind == "none":
            if given is not None:
                raise ValueError(
                    f"`clipping['none']` has no threshold. Received: {given!r}."
                )
            kinds[kind] = None
        elif isinstance(given, tuple) and given == CLIPPINGS[kind]:
            low, high, log = given
            middle = (low * high) ** 0.5 if log else (low + high) / 2
            kinds[kind] = Range(low, high, log=log, default=middle)
        else:
            check_numbers(f"clipping[{kind!r}]", given, above=0, whole=False)
            kinds[kind] = given
    return kinds


def _optimizer(optimizer, rate, rule):
    """An optimizer with a trial's learning rate, behind its rule."""
    optimizer = keras.optimizers.get("adam" if optimizer is None else optimizer)
    if rate is not None:
        if schedule_of(optimizer) is not None:
            raise keras_tuner.errors.FatalValueError(
                "`learning_rate` cannot be tuned over a schedule. Make the schedule "
                'with `hp.Float("learning_rate", ...)` where the model is compiled.'
            )
        optimizer.learning_rate = rate
    if rule is None:
        return optimizer
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        if getattr(optimizer, name, None) is not None:
            raise keras_tuner.errors.FatalValueError(
                f"The optimizer clips as well ({name}), so the tuned clipping would "
                "not be the only one. Leave it out."
            )
    return rules.ClippedOptimizer(optimizer, rule)
