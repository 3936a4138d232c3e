"""`TruncatedBPTT`: a Keras model trained by truncated backpropagation through time."""

import keras
import tensorflow as tf

from bptt_keras.state import PureStep, check_carriable, discover
from bptt_keras.training import checks, loop
from bptt_keras.training.assertions import plain_errors
from bptt_keras.training.averages import check_reductions, samples
from bptt_keras.training.batch import check_targets, make_batch, spread_weights
from bptt_keras.training.carry import Carry, with_fresh_epochs
from bptt_keras.training.description import describe
from bptt_keras.training.programs import Programs
from bptt_keras.training.shards import check_shards, choose_shards, run_sharded
from bptt_keras.training.xla import compiles
from bptt_keras.truncation import FixedWindow


@keras.saving.register_keras_serializable(package="bptt_keras")
class TruncatedBPTT(keras.Model):
    """Trains a recurrent Keras model in windows that gradients do not leave.

    A sequence of `T` timesteps is cut into windows of `window` timesteps. Window by
    window the model runs forward, backpropagates, clips and updates; the state goes
    on to the next window as a value without a gradient:

        state_0 = initial
        outputs_j, state_{j+1} = model(x_j, stop_gradient(state_j))
        loss_j = sum(w * l(y_j, outputs_j)) / sum(w)       over valid timesteps
        weights <- optimizer(weights, d loss_j / d weights)

    The loop runs inside `train_step`, so memory depends on `window` and not on `T`.
    `compile`, `fit`, `evaluate`, `predict`, callbacks, `save` and `load_model` are
    Keras' own. The trained model is `trainer.model`.

    A model whose last recurrent layer has `return_sequences=True` has a loss at every
    timestep. Where it has `return_sequences=False` the loss stands at the end: the
    first `T - window` timesteps run without a tape and the last window alone is
    backpropagated, with one update for each batch.

    State: a batch without `reset` starts afresh. A batch
    `{"inputs": x, "reset": r}` continues the batch before it row by row, but for the
    rows that `r` flags: `(batch,)`, before the batch, or `(batch, time)`, before that
    timestep. `evaluate` and `predict` have a state of their own and start afresh.

    Averages: `loss` and metrics weigh timesteps, not rows, so windows, padding, masks
    and small batches cannot bias them. `grad_norm` is the mean over windows of the
    gradient's global norm, before clipping.

    Args:
        model: A `keras.Model` from `(batch, time, ...)`, built or not. See `PureStep`
            for what it may hold.
        window: Timesteps that gradients flow back through, an integer >= 1. A longer
            window than the sequence gives full backpropagation.
        shards: Parts that the rows of a batch are cut into, whose gradients are made
            side by side and summed: `"auto"` (default, see `summary()`) or an integer
            >= 1. The result is the same up to the order of summation; dropout draws
            other masks.
        **kwargs: `name` and `dtype`, as for every `keras.Model`.

    Call arguments:
        inputs: What `model` takes, or `{"inputs": ..., "reset": ...}`.
        training: Boolean, passed on. A plain call runs `model` once, without windows.

    Returns:
        The outputs of `model`.

    Raises:
        TypeError: If `model` is no `keras.Model` or `window` no integer.
        ValueError: If `window` is less than 1, or a layer cannot be cut in time.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential(
            [bk.layers.LSTM(8, return_sequences=True), keras.layers.Dense(1)]
        )
        trainer = bk.TruncatedBPTT(model, window=10)
        trainer.compile(keras.optimizers.Adam(global_clipnorm=1.0), loss="mse")
        x = np.random.normal(size=(4, 35, 2)).astype("float32")
        history = trainer.fit(x, x[..., :1], epochs=1, verbose=0)
        assert {"loss", "grad_norm"} <= set(history.history)

    Source: Williams & Peng, "An efficient gradient-based algorithm for on-line
    training of recurrent network trajectories" (1990).
    """

    def __init__(self, model, window, *, shards="auto", **kwargs):
        check_carriable(model)
        truncation = FixedWindow(window)
        check_shards(shards)
        kwargs.setdefault("dtype", model.dtype_policy)
        super().__init__(**kwargs)
        self.model = model
        self.window = truncation.window
        self.shards = shards
        self._truncation = truncation
        self._grad_norm = keras.metrics.Mean(name="grad_norm")
        self._requested_xla = "auto"
        self._forget()

    def _forget(self):
        """Drops what was made for one compilation: programs and carried states."""
        self._programs = None
        self._step = None
        self._findings = None
        self._carries = {}
        self._xla_refusal = None

    # --- Keras' interface -----------------------------------------------------

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
            metrics: As in Keras.
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
        if jit_compile not in (True, False, "auto"):
            raise ValueError(
                f"`jit_compile` must be True, False or 'auto'. Received: "
                f"jit_compile={jit_compile!r}."
            )
        if jit_compile is True and run_eagerly:
            raise ValueError(
                "`run_eagerly=True` runs without a graph, so nothing can be compiled. "
                "Received: jit_compile=True. Leave one of them out."
            )
        check_reductions(loss)
        # Keras would compile the whole step, the loop over windows included. Here
        # the loop is plain graph code and its programs are compiled.
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
        self._requested_xla = jit_compile
        self._forget()

    def get_compile_config(self):
        """Arguments of `compile`, for saving."""
        config = super().get_compile_config()
        if config:
            config["jit_compile"] = self._requested_xla
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
            x: Array `(rows, time, ...)`, dict `{"inputs": ..., "reset": ...}` of
                arrays, or a `tf.data.Dataset`, `PyDataset` or generator of batches.
            y: Targets, `(rows, time, ...)`, or `(rows, ...)` for one target at the
                end. `None` if `x` gives them.
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
            sample_weight: As in Keras: `(rows,)` or `(rows, time)`.
            initial_epoch: As in Keras.
            steps_per_epoch: As in Keras.
            **kwargs: The rest of Keras' arguments.

        Returns:
            Keras' `History`.

        Raises:
            ValueError: If the data cannot be trained on; the message says why.
        """
        checks.check_data(x, y, self.model, shuffle=shuffle)
        checks.check_fit(x, y, class_weight, steps_per_epoch)
        if isinstance(validation_data, tuple | list):
            checks.check_data(*validation_data[:2], self.model, shuffle=None)
        if shuffle is None:
            shuffle = not checks.keeps_order(x)
        self.reset_state()
        if steps_per_epoch is None:
            callbacks = with_fresh_epochs(self, callbacks)
        with plain_errors():
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

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Evaluates in windows, from the initial state; arguments as in Keras.

        Training's state is not touched. Memory depends on the window, not on the
        length of the sequences.
        """
        self._clear("evaluate")
        with plain_errors():
            return super().evaluate(x, y, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Predicts in windows, from the initial state; arguments as in Keras.

        Neither training's nor evaluation's state is touched.
        """
        self._clear("predict")
        with plain_errors():
            return super().predict(x, *args, **kwargs)

    def train_on_batch(self, *args, **kwargs):
        """One batch of training, as in Keras: a whole sequence, window by window."""
        with plain_errors():
            return super().train_on_batch(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
        """One batch of evaluation, as in Keras. `reset` flags say what continues."""
        with plain_errors():
            return super().test_on_batch(*args, **kwargs)

    def predict_on_batch(self, x):
        """One batch of prediction, as in Keras. `reset` flags say what continues."""
        with plain_errors():
            return super().predict_on_batch(x)

    def reset_state(self):
        """Forgets the carried state: the next training batch starts afresh."""
        self._clear("fit")

    def summary(self, *args, print_fn=None, **kwargs):
        """Prints the inner model's summary and then what runs.

        Args:
            *args: As for `keras.Model.summary`.
            print_fn: As for `keras.Model.summary`.
            **kwargs: As for `keras.Model.summary`.
        """
        if self.model.built:
            self.model.summary(*args, print_fn=print_fn, **kwargs)
        (print_fn or print)(describe(self))

    def build(self, input_shape=None):
        """Nothing to make: the weights are those of the inner model."""
        self.built = True

    def call(self, inputs, training=False):
        """Runs the inner model once over all timesteps."""
        if isinstance(inputs, dict):
            inputs = make_batch(inputs).inputs
        return self.model(inputs, training=training)

    def get_config(self):
        """Arguments of the constructor."""
        config = super().get_config()
        model = keras.saving.serialize_keras_object(self.model)
        return {
            **config,
            "model": model,
            "window": self.window,
            "shards": self.shards,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The trainer that `get_config` described."""
        model = keras.saving.deserialize_keras_object(
            config["model"], custom_objects=custom_objects
        )
        return cls(**{**config, "model": model})

    # --- The steps that Keras' loops call -------------------------------------

    def train_step(self, data):
        """All windows of one batch: forward, tape, clip, update, detach."""
        batch = self._batch(data, "fit")
        state = self._carries["fit"].enter(batch)
        if self._findings.sequence_output:
            state = loop.each_window(batch, state, self._truncation, self._train_window)
        else:
            state = self._train_end(batch, state)
        self._carries["fit"].leave(state, batch)
        return self.get_metrics_result()

    def _train_end(self, batch, state):
        """The last window alone is trained; the steps before run without a tape."""
        flags_inside = batch.reset is not None and batch.reset.shape.rank == 2
        if self._findings.masked and not flags_inside:
            batch = loop.align_ends(batch, self._programs.mask(batch.inputs))
        lead, last = loop.before_last(batch, self._truncation)
        if lead is not None:
            lead = lead._replace(targets=None, weights=None)
            state = loop.each_window(
                lead, state, self._truncation, self._advance_window
            )
        return self._train_window(last, state)

    def test_step(self, data):
        """All windows of one batch: forward and metrics."""
        batch = self._batch(data, "evaluate")
        state = self._carries["evaluate"].enter(batch)
        if self._findings.sequence_output:
            state = loop.each_window(batch, state, self._truncation, self._test_window)
        else:
            lead, last = loop.before_last(batch, self._truncation)
            if lead is not None:
                state = self._predict_windows(lead, state)
            state = self._test_window(last, state)
        self._carries["evaluate"].leave(state, batch)
        results = self.get_metrics_result()
        del results[self._grad_norm.name]
        return results

    def predict_step(self, data):
        """All windows of one batch: outputs."""
        batch = self._batch(data, "predict")
        state = self._carries["predict"].enter(batch)
        if self._findings.sequence_output:
            outputs, state = loop.collect_windows(
                batch,
                state,
                self._truncation,
                self._predict_window,
                self._findings.outputs,
            )
        else:
            lead, last = loop.before_last(batch, self._truncation)
            if lead is not None:
                state = self._predict_windows(lead, state)
            outputs, state = self._predict_window(last, state)
        self._carries["predict"].leave(state, batch)
        return outputs

    # --- One window -----------------------------------------------------------

    def _train_window(self, window, state):
        programs = self._programs
        window = window._replace(position=None)
        result = run_sharded(
            programs.gradients, window, state, programs.buffer_values(), self._shards
        )
        valid = tf.add_n([term.weight for term in result.terms]) > 0
        with tf.control_dependencies(checks.require_valid_window(result)):
            norm = tf.cond(
                valid,
                lambda: programs.update(result.gradients),
                lambda: tf.constant(0.0),
            )
        programs.keep_buffers(result.buffers)
        self._grad_norm.update_state(norm, sample_weight=tf.cast(valid, tf.float32))
        self._count(window, result)
        return result.state

    def _advance_window(self, window, state):
        programs = self._programs
        window = window._replace(position=None)
        state, buffers, ids_valid = programs.advance(
            window, state, programs.buffer_values()
        )
        with tf.control_dependencies(checks.require_ids(ids_valid)):
            programs.keep_buffers(buffers)
        return state

    def _test_window(self, window, state):
        programs = self._programs
        window = window._replace(position=None)
        result = run_sharded(
            programs.evaluate, window, state, programs.buffer_values(), self._shards
        )
        with tf.control_dependencies(checks.require_valid_window(result)):
            programs.keep_buffers(result.buffers)
            self._count(window, result)
        return result.state

    def _predict_window(self, window, state):
        programs = self._programs
        window = window._replace(position=None)
        outputs, state, buffers, ids_valid = programs.predict(
            window, state, programs.buffer_values()
        )
        with tf.control_dependencies(checks.require_ids(ids_valid)):
            programs.keep_buffers(buffers)
            outputs = tf.nest.map_structure(tf.identity, outputs)
        return outputs, state

    def _predict_windows(self, batch, state):
        return loop.each_window(
            batch._replace(targets=None, weights=None),
            state,
            self._truncation,
            lambda window, state: self._predict_window(window, state)[1],
        )

    def _count(self, window, result):
        """Adds a window to the averages that Keras reports."""
        weight = tf.add_n([term.weight for term in result.terms])
        self._loss_tracker.update_state(result.loss, sample_weight=weight)
        for metric, term in zip(self._compile_loss.metrics, result.terms, strict=False):
            metric.update_state(term.mean, sample_weight=term.weight)
        if self._compile_metrics is None:
            return
        self._compile_metrics.update_state(
            *samples(window, result, self._findings.sequence_output)
        )

    # --- What is made once, at the first batch --------------------------------

    def _batch(self, data, use):
        """The batch as checked tensors; makes what its windows need."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        batch = make_batch(x) if use == "predict" else make_batch(x, y, weights)
        if use != "predict" and y is None:
            raise ValueError(
                f"`{use}` needs targets. Received: y=None. Pass `y`, or data that "
                f"yields `(x, y)`."
            )
        with tf.init_scope():
            self._prepare(batch, use)
        if use != "predict":
            batch = spread_weights(batch, self._findings.sequence_output)
        return checks.finite_inputs(batch)

    def _prepare(self, batch, use):
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "TruncatedBPTT does not run under a distribution strategy yet. "
                "Create and fit it outside `strategy.scope()`."
            )
        self._build_model(batch)
        if self._step is None:
            self._step = PureStep(self.model)
            specs = tf.nest.map_structure(
                lambda t: tf.TensorSpec(t.shape, t.dtype), batch.inputs
            )
            self._findings = discover(self._step, specs)
            self._shards, self._shards_reason = choose_shards(
                self.shards, self._findings
            )
        if use != "predict":
            check_targets(batch, self._findings)
            self._symbolic_build(data_batch=_symbolic_batch(batch, with_targets=True))
        if use not in self._carries:
            self._carries[use] = Carry(self._step)
        if self._programs is None:
            self._programs = self._make_programs(batch, use)

    def _build_model(self, batch):
        _check_fixed_time(self.model, batch.known_length, self.window)
        if not all(layer.built for layer in self.model._flatten_layers()):
            self.model(_symbolic_batch(batch, with_targets=False)[0])
        self.built = True

    def _make_programs(self, batch, use):
        def programs(xla):
            return Programs(
                self._step,
                self._findings,
                self._compile_loss,
                # Keras sets it in `compile`, which prediction does not need.
                getattr(self, "optimizer", None),
                needs_outputs=self._compile_metrics is not None,
                xla=xla,
                eagerly=self.run_eagerly,
            )

        if self._requested_xla != "auto" or self.run_eagerly:
            return programs(self._requested_xla is True)
        compiled = programs(True)
        self._xla_refusal = compiles(compiled, self._step, batch, self._truncation, use)
        return compiled if self._xla_refusal is None else programs(False)

    def _clear(self, use):
        if use in self._carries:
            self._carries[use].clear()


def _symbolic_batch(batch, with_targets):
    """Keras tensors like those of a batch, with any number of rows and timesteps."""

    def symbolic(tensor):
        if tensor is None:
            return None
        shape = [None, *tensor.shape[1:]]
        if len(shape) > 1 and shape[1] == batch.known_length:
            shape[1] = None
        return keras.KerasTensor(shape, tensor.dtype.name)

    parts = [batch.inputs]
    parts += [batch.targets, batch.weights] if with_targets else []
    return tuple(
        None if part is None else tf.nest.map_structure(symbolic, part)
        for part in parts
    )


def _check_fixed_time(model, length, window):
    """Raises if the model's `Input` fixes a length that windows don't have."""
    lengths = {window}
    if length is not None:
        lengths = {n for n in (min(window, length), length % window) if n}
    for tensor in getattr(model, "inputs", None) or []:
        fixed = tensor.shape[1] if len(tensor.shape) > 1 else None
        if fixed is not None and lengths != {fixed}:
            raise ValueError(
                f"The model's input has a fixed number of timesteps, {fixed}, and runs "
                f"on windows of {sorted(lengths)}. Build it with "
                f"`keras.Input((None, ...))`."
            )
        if tensor.shape[0] is not None:
            raise ValueError(
                f"The model's input has a fixed batch size, {tensor.shape[0]}. State "
                f"needs none here: build it with `keras.Input((None, ...))`."
            )
