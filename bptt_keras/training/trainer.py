"""`TruncatedBPTT`: a Keras model trained by truncated backpropagation through time."""

import contextlib
import functools

import keras

from bptt_keras.state import check_carriable
from bptt_keras.training.assertions import plain_errors
from bptt_keras.training.batches import checks
from bptt_keras.training.batches.handed import is_sequences, split_off, take, take_batch
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.batches.pipeline import PromptStrategy
from bptt_keras.training.batches.ragged import peeked, predicted
from bptt_keras.training.batches.ragged_tensors import pad_dataset
from bptt_keras.training.batches.shapes import check_shapes
from bptt_keras.training.clipping.optimizer import find_clipped
from bptt_keras.training.description import describe
from bptt_keras.training.engine import Engine
from bptt_keras.training.epochs import with_epochs
from bptt_keras.training.measures.averages import check_reductions
from bptt_keras.training.measures.live import SKIPPED, Live
from bptt_keras.training.options import ARGUMENTS, check_jit_compile, configured
from bptt_keras.training.steps import StepFunction
from bptt_keras.truncation.serialization import from_config, to_config


@keras.saving.register_keras_serializable(package="bptt_keras")
class TruncatedBPTT(keras.Model):
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
    timestep. Where it has `return_sequences=False` the loss stands at the end: the
    timesteps before the last window run without a tape and the last window alone is
    backpropagated, with one update for each batch.

    State: a batch without `reset` and `key` starts afresh. A batch
    `{"inputs": x, "reset": r}` continues the batch before it row by row, but for the
    rows that `r` flags: `(batch,)`, before the batch, or `(batch, time)`, before that
    timestep. A batch `{"inputs": x, "key": k}` does so for the rows whose key, an
    integer or a string, is the same as there. `evaluate` and `predict` have a state of
    their own and start afresh.

    Padding: `"lengths"`, `(batch,)`, or `"mask"`, `(batch, time)`, beside the inputs
    say which timesteps are valid. Others hold the state and weigh nothing.

    Averages: `loss` and metrics weigh timesteps, not rows, so windows, padding, masks
    and small batches cannot bias them.

    Beside them the logs of `fit` say, as means over the updates of an epoch:
    `grad_norm`, the gradient's global norm; `clipped_norm`, the same after clipping;
    `clipped_fraction`, the part of the updates that clipping shortened;
    `update_ratio`, the norm of an update over that of the weights; `state_norm`, the
    norm of a row's state, all layers together, after the window, as mean over rows.
    `timesteps_per_second` counts all rows. With a `clipping.ClippedOptimizer` that
    skips what is not finite, `skipped_windows` is their number.

    Args:
        model: A `keras.Model` from `(batch, time, ...)`, built or not. See `PureStep`
            for what it may hold.
        window: Timesteps that gradients flow back through: an integer >= 1, `None` for
            all timesteps of a batch (full backpropagation), or a schedule from
            `bptt_keras.truncation`.
        stride: New timesteps between two windows, an integer from 1 to `window`.
            Default (`None`): `window`. With less, windows overlap: each runs again
            from the state that stands `window - stride` timesteps back, also across
            the border of two batches, and has its loss on the new timesteps.
        update: When weights change: `"window"` (default), after each window;
            `"sequence"`, after each batch; or after so many windows, an integer >= 1.
            The gradient is that of the loss averaged over the timesteps of all those
            windows. What waits at the end of an epoch is applied then.
        burn_in: Timesteps at the start of each batch that only warm the state up:
            they have no loss, and no gradient reaches them. Evaluation leaves them out
            of the loss as well. Default: 0.
        recompute: `None` (default): keep what the backward pass of a window needs.
            `"sqrt"` or a number of segments: keep only the states between segments,
            and run each segment again. `truncation.Revolve(slots)`: keep so many
            states at most. The result is the same, random draws included.
        state_noise: Standard deviation of normal noise that is added to the state
            between two windows, in training. Default: 0.
        state_dropout: Part of the carried state that is dropped between two windows,
            in training, from 0 to below 1. Default: 0.
        shards: Parts that the rows of a batch are cut into, whose gradients are made
            side by side and summed: an integer >= 1, or `"auto"` (default): two on a
            CPU. Where a timestep is little work, XLA compiles all windows of a batch
            as one program instead (8 at a time if its length is not known), if they
            are `window` apart and each timestep has its loss. The first batch
            decides, and `summary()` says what runs. The result is the same up to the
            order of summation; random draws differ.
        live_metrics: `True` (default): the logs of `fit` tell of gradients, state and
            speed, too, see above. `False`: of losses and metrics alone, which makes a
            noticeable difference to models of a few units.
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
        TypeError: If `model` is no `keras.Model`, or an argument of the wrong type.
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
        model,
        window,
        *,
        stride=None,
        update="window",
        burn_in=0,
        recompute=None,
        state_noise=0.0,
        state_dropout=0.0,
        shards="auto",
        live_metrics=True,
        **kwargs,
    ):
        check_carriable(model)
        checks.check_overrides(self, model)
        given = dict(
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
        options = configured(**given)
        kwargs.setdefault("dtype", model.dtype_policy)
        super().__init__(**kwargs)
        self.model = model
        self._take_options(options)
        self._live = Live() if live_metrics else None
        # By this Keras finds and resets them.
        self._live_metrics = self._live.metrics if live_metrics else {}
        # True from `restore_state` until the next `fit`, which then goes on.
        self._keeps_state = False
        self._steps = {}
        self._engine = Engine(self, "auto")
        if all(layer.built for layer in model._flatten_layers()):
            self.built = True

    def _take_options(self, options):
        for name, value in options.items():
            super().__setattr__(name, value)

    def __setattr__(self, name, value):
        """Sets an attribute; an argument of the constructor takes effect at once.

        Raises:
            AttributeError: If it can only be chosen when a trainer is made.
            TypeError: As the constructor.
            ValueError: As the constructor.
        """
        made = "_engine" in self.__dict__
        if made and name in ("model", "truncation", "live_metrics"):
            raise AttributeError(
                f"`{name}` is settled when a trainer is made. Make another "
                f"`TruncatedBPTT`"
                + (", or set `window` and `stride`." * (name == "truncation") or ".")
            )
        if made and name in ARGUMENTS:
            given = {argument: getattr(self, argument) for argument in ARGUMENTS}
            options = configured(**{**given, name: value})
            self._engine.flush()
            self._take_options(options)
            self._renew()
            return
        super().__setattr__(name, value)
        if made and name in ("optimizer", "run_eagerly"):
            self._renew()

    def _renew(self):
        """Lets the next batch be traced anew, with options as they are now."""
        self._engine = self._engine.renewed()
        for steps in self._steps.values():
            steps.clear()

    @property
    def jit_compile(self):
        """Whether windows are compiled with XLA: True, False or `"auto"`."""
        return self._engine.jit_compile

    @jit_compile.setter
    def jit_compile(self, value):
        check_jit_compile(value, self.run_eagerly)
        self._engine.jit_compile = value
        self._renew()

    @property
    def output_names(self):
        """Names of the model's outputs, where it has some, as in Keras."""
        return getattr(self.model, "output_names", None)

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
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
        # Keras would compile the whole step with XLA; the engine chooses what of it.
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
        self._engine = Engine(self, jit_compile, loss)

    def get_compile_config(self):
        """Arguments of `compile`, for saving."""
        config = super().get_compile_config()
        if config:
            config["jit_compile"] = self._engine.jit_compile
        return config

    def compile_from_config(self, config):
        """Compiles as `get_compile_config` says, for loading."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.model.built:
            self.optimizer.build(self.model.trainable_variables)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=None,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        **kwargs,
    ):
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
        if validation_split and is_sequences(self.model, x):
            (x, y, sample_weight), validation_data = split_off(
                validation_split, x, y, sample_weight
            )
            validation_split = 0.0
        drawn = shuffle is not False
        x, y, sample_weight, sequences = take(
            self, x, y, sample_weight, batch_size=batch_size, shuffle=drawn
        )
        if sequences:
            batch_size, shuffle = None, False  # They draw their order themselves.
        checks.check_data(self, x, y, sample_weight, shuffle=shuffle)
        checks.check_fit(
            self, x, y, class_weight=class_weight, steps_per_epoch=steps_per_epoch
        )
        validation_data = self._taken_validation(validation_data)
        if shuffle is None:
            shuffle = not checks.order_is_fixed(x)
        keep_first, self._keeps_state = self._keeps_state, False
        if not keep_first:
            self.reset_state()
        callbacks = with_epochs(
            self,
            callbacks,
            fresh=steps_per_epoch is None,
            keep_first=keep_first,
            stops=self._stops_on_skipped(),
        )
        self._engine.weighs_classes = class_weight is not None
        self._expect("fit", x, batch_size or checks.BATCH_SIZE)
        with self._recovering():
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                **kwargs,
            )

    def _taken_validation(self, data):
        if data is None:
            return None
        whole = not isinstance(data, tuple | list)
        x, y, weights = keras.utils.unpack_x_y_sample_weight((data,) if whole else data)
        x, y, weights, sequences = take(self, x, y, weights)
        checks.check_data(self, x, y, weights)
        return (
            x
            if whole or sequences
            else keras.utils.pack_x_y_sample_weight(x, y, weights)
        )

    def _stops_on_skipped(self):
        clipped = find_clipped(getattr(self, "optimizer", None))
        return clipped is not None and clipped.stop_after is not None

    @property
    def distribute_strategy(self):
        """Keras' strategy; by it, Keras makes the iterators of its data."""
        return PromptStrategy(super().distribute_strategy, self._padded)

    def _padded(self, dataset):
        """The dataset, checked, and padded where it is ragged."""
        dataset = pad_dataset(dataset, self.model, self.truncation.evaluation_window)
        data = keras.utils.unpack_x_y_sample_weight(dataset.element_spec)
        check_shapes(self, *data)
        return dataset

    def make_train_function(self, force=False):
        """As in Keras: a function of an iterator, one trace a kind of data."""
        if self.train_function is None or force:
            self.train_function = self._function_of("fit", self.train_step)
        return self.train_function

    def make_test_function(self, force=False):
        """As `make_train_function`."""
        if self.test_function is None or force:
            self.test_function = self._function_of("evaluate", self.test_step)
        return self.test_function

    def make_predict_function(self, force=False):
        """As `make_train_function`, of a list of batches."""
        if self.predict_function is None or force:
            made = self._function_of("predict", self.predict_step)
            self.predict_function = made.on_each
        return self.predict_function

    def _expect(self, use, x, batch_size):
        self._engine.expect(use, checks.rows_of_batches(x, batch_size))

    def _function_of(self, use, step):
        self._steps[use] = StepFunction(
            step,
            lambda spec: self.run_eagerly or self._engine.prepare(use, spec),
            repeats=lambda: self.steps_per_execution,
            eager=lambda: self.run_eagerly,
            variant=lambda: self._engine.rows_vary(use),
        )
        return self._steps[use]

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        **kwargs,
    ):
        """Evaluates in windows, from the initial state; arguments as in Keras.

        Training's state is not touched. Memory depends on the window, not on the
        length of the sequences. `x` and `y` may be lists of sequences, as for `fit`.
        """
        # Validation in `fit` brings what that has taken and checked.
        if not kwargs.get("_use_cached_eval_dataset"):
            x, y, sample_weight, sequences = take(
                self, x, y, sample_weight, batch_size=batch_size
            )
            batch_size = None if sequences else batch_size
            checks.check_data(self, x, y, sample_weight)
        self._engine.clear("evaluate")
        self._expect("evaluate", x, batch_size or checks.BATCH_SIZE)
        with self._recovering():
            return super().evaluate(
                x,
                y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                **kwargs,
            )

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """Predicts in windows, from the initial state; arguments as in Keras.

        Neither training's nor evaluation's state is touched. For a list of sequences
        the outputs at each timestep come as a list, too, each as long as its sequence.
        """
        self._engine.clear("predict")
        x, _, _, sequences = take(self, x, batch_size=batch_size)
        batches, x = (x, None) if sequences else peeked(x)
        if batches is not None:
            return predicted(self, batches, verbose, **kwargs)
        checks.check_data(self, x)
        self._expect("predict", x, batch_size or checks.BATCH_SIZE)
        with self._recovering():
            return super().predict(x, batch_size=batch_size, verbose=verbose, **kwargs)

    @property
    def answers_at_each_step(self):
        """Whether outputs have a time axis; `None` before the first batch."""
        findings = self._engine.findings
        return None if findings is None else findings.sequence_output

    def train_on_batch(
        self, x, y=None, sample_weight=None, class_weight=None, return_dict=False
    ):
        """One batch of training, as in Keras: a whole sequence, window by window."""
        checks.check_fit(self, x, y, class_weight=class_weight)
        x, y, sample_weight = take_batch(self, x, y, sample_weight)
        self._expect("fit", x, None)
        self._engine.weighs_classes = class_weight is not None
        with self._recovering():
            return super().train_on_batch(
                x, y, sample_weight, class_weight, return_dict
            )

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """One batch of evaluation, as in Keras. `reset` flags say what continues."""
        x, y, sample_weight = take_batch(self, x, y, sample_weight)
        self._expect("evaluate", x, None)
        with self._recovering():
            return super().test_on_batch(x, y, sample_weight, return_dict)

    def predict_on_batch(self, x):
        """One batch of prediction, as in Keras. `reset` flags say what continues.

        Of sequences of different lengths the outputs at each timestep come padded.
        """
        x, _, _ = take_batch(self, x)
        self._expect("predict", x, None)
        with self._recovering():
            return super().predict_on_batch(x)

    def reset_state(self):
        """Forgets the carried state: the next training batch starts afresh.

        Gradients of windows that still wait for an update (`update` other than
        `"window"`) are forgotten as well.
        """
        self._keeps_state = False
        self._engine.clear("fit")

    def snapshot_state(self):
        """What training carries from batch to batch, apart from all weights.

        Returns:
            Structure of NumPy arrays, `None` before the first batch: the state of
            each row, its place in its stream and its key, and with a `stride` less
            than the window the timesteps that later windows reach.
        """
        return self._engine.snapshot()

    def restore_state(self, snapshot):
        """Lets training go on from a snapshot.

        The next batch with `reset` or `key` continues from there, also if it is the
        first of the next `fit`, which otherwise starts afresh.

        Args:
            snapshot: What `snapshot_state` returned, of this trainer or one like it.

        Raises:
            ValueError: If it does not fit.
        """
        self._engine.restore(snapshot)
        self._keeps_state = snapshot is not None

    @contextlib.contextmanager
    def _recovering(self):
        """Within: errors are plain, and a step that failed is traced anew next time.

        TensorFlow does not trace a function again that failed in its first trace, and
        a refusal there would outlast its cause.
        """
        try:
            with plain_errors():
                yield
        except BaseException:
            self.train_function = self.test_function = self.predict_function = None
            raise

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the compiled metrics, as in Keras, with timesteps for samples."""
        if self._engine.metrics is not None:
            self._engine.show_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self):
        """Results of all metrics, as in Keras."""
        if self._live is None:
            return super().get_metrics_result()
        live = self._live.results()
        clipped = find_clipped(self.optimizer)
        if clipped is None or not clipped.skip_nonfinite:
            del live[SKIPPED]
        results = {}
        for metric in self.metrics:
            if metric.name in self._live_metrics:
                continue
            result = metric.result()
            results |= result if isinstance(result, dict) else {metric.name: result}
        return results | live

    def summary(self, *args, print_fn=None, **kwargs):
        """Prints the inner model's summary and then what runs.

        Args:
            *args: As for `keras.Model.summary`.
            print_fn: As for `keras.Model.summary`.
            **kwargs: As for `keras.Model.summary`.
        """
        if self.model.built:
            self.model.summary(*args, print_fn=print_fn, **kwargs)
        (print_fn or print)(describe(self._engine))

    def build(self, input_shape=None):
        """Nothing to make: the weights are those of the inner model."""
        self.built = True

    def get_build_config(self):
        """How the inner model is built; for one without an input, once it is."""
        return self.model.get_build_config()

    def build_from_config(self, config):
        """Builds the inner model as `get_build_config` says."""
        if config and not self.model.built:
            self.model.build_from_config(config)
        self.built = True

    def call(self, inputs, training=False):
        """Runs the inner model once over all timesteps."""
        return self.model(split_inputs(inputs).inputs, training=training)

    def get_config(self):
        """Arguments of the constructor."""
        config = super().get_config()
        serialize = keras.saving.serialize_keras_object
        return {
            **config,
            "model": serialize(self.model),
            "window": to_config(self.window, others=serialize),
            "stride": self.stride,
            "update": self.update,
            "burn_in": self.burn_in,
            "recompute": to_config(self.recompute, others=serialize),
            "state_noise": self.state_noise,
            "state_dropout": self.state_dropout,
            "shards": self.shards,
            "live_metrics": self.live_metrics,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The trainer that `get_config` described."""
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

    def export(self, *args, **kwargs):
        """Refuses: what is exported is the inner model, by `trainer.model.export`.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "A trainer is not exported, for it trains and holds no weights of its own. "
            "Export its model: `trainer.model.export(...)`. That one starts each call "
            "from the initial state, since no state is carried from call to call."
        )

    def train_step(self, data):
        """All windows of one batch: forward, tape, clip, update, detach."""
        self._engine.train(data)
        return self.get_metrics_result()

    def test_step(self, data):
        """All windows of one batch: forward, loss and metrics."""
        self._engine.test(data)
        results = self.get_metrics_result()
        return {k: v for k, v in results.items() if k not in self._live_metrics}

    def predict_step(self, data):
        """All windows of one batch: outputs."""
        return self._engine.predict(data)
