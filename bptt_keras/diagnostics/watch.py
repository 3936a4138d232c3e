"""`TrainingWatch`: looks at a training every few epochs and says what it sees."""

from pathlib import Path

import keras

from bptt_keras.diagnostics import findings
from bptt_keras.diagnostics.activity import prepare_activity
from bptt_keras.diagnostics.bias import prepare_bias
from bptt_keras.diagnostics.looks import Look, write_looks
from bptt_keras.diagnostics.measure import prepare_flow
from bptt_keras.training.clipping.optimizer import find_clipped, innermost
from bptt_keras.training.trainer import TruncatedBPTT
from bptt_keras.truncation.arguments import whole


class TrainingWatch(keras.callbacks.Callback):
    """Diagnoses a training every few epochs and warns in words.

    It looks before the first update (or, if the model has no weights yet, after the
    first batch), and then after every `every` epochs: how gradients flow
    (`gradient_flow`), whether the gradient of a window points the wrong way
    (`truncation_bias` of the trainer's window), what units and gates do (`activity`),
    and what the logs tell of gradient norms and clipping. What it finds is printed
    when it is new: each kind once, and again if it was gone in between.

    Args:
        data: `(x, y)`, arrays `(rows, time, ...)`, or a `tf.data.Dataset` of such
            batches, as for `gradient_flow`. A few rows are enough; they must be
            longer than the window if its direction is to be judged.
        every: Epochs between two looks, an integer >= 1. Default: 1.
        longest: Largest lag that is measured, as for `gradient_flow`.
        path: JSON file that is written anew after each look, or `None`: none.
        print_fn: Function of a string. Default: `print`.

    Attributes:
        looks: List of `bptt_keras.diagnostics.Look`.

    Raises:
        ValueError: If the data or the model cannot be diagnosed (when training
            begins).

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([
            keras.layers.Input((None, 1)),
            bk.layers.SimpleRNN(4, return_sequences=True, activation="linear",
                recurrent_initializer=keras.initializers.Identity(1.5)),
            keras.layers.Dense(1),
        ])
        trainer = bk.TruncatedBPTT(model, window=10)
        trainer.compile(keras.optimizers.SGD(1e-9), "mse")
        x = np.random.default_rng(0).normal(size=(4, 40, 1)).astype("float32")
        watch = bk.callbacks.TrainingWatch((x, x))
        trainer.fit(x, x, verbose=0, callbacks=[watch])
        assert "exploding" in [found.kind for found in watch.looks[0].findings]
    """

    def __init__(self, data, *, every=1, longest=None, path=None, print_fn=print):
        super().__init__()
        self.data = data
        self.every = whole("every", every, unit="epochs")
        self.longest = longest
        self.path = None if path is None else Path(path)
        self.print_fn = print_fn
        self.looks = []
        self._measures = None
        self._known = set()

    def on_train_begin(self, logs=None):
        """The first look, if there are weights."""
        self.looks, self._measures, self._known = [], None, set()
        if _inner(self.model).built:
            self._look(0, {})

    def on_train_batch_end(self, batch, logs=None):
        """The first look at a model that had no weights before."""
        if not self.looks:
            self._look(0, {})

    def on_epoch_end(self, epoch, logs=None):
        """A look, if it is time."""
        if (epoch + 1) % self.every == 0:
            self._look(epoch + 1, {k: float(v) for k, v in (logs or {}).items()})

    def _look(self, epoch, logs):
        if self._measures is None:
            self._measures = self._prepared()
        flow, bias, activity = (m and m() for m in self._measures)
        before = self.looks[-1].logs if self.looks else {}
        found = [
            *findings.of_flow(flow, self._window),
            *([] if bias is None else findings.of_bias(bias)),
            *findings.of_activity(activity),
            *findings.of_logs(logs, before, _clips(self.model.optimizer)),
        ]
        # Gradients and logs may tell of the same.
        found = list({finding.kind: finding for finding in reversed(found)}.values())
        found.reverse()
        self.looks.append(Look(epoch, flow, bias, activity, logs, found))
        kinds = {finding.kind for finding in found}
        for finding in found:
            if finding.kind not in self._known:
                when = f"after epoch {epoch}" if epoch else "before training"
                # The progress bar's line is not finished yet.
                self.print_fn(f"\n{when}, {finding}")
        self._known = kinds
        if self.path is not None:
            write_looks(self.path, self.looks)

    def _prepared(self):
        """Functions that measure; that of the bias is `None` without a window."""
        window = None
        if isinstance(self.model, TruncatedBPTT):
            window = self.model.truncation.window
        self._window = window
        flow = prepare_flow(self.model, self.data, longest=self.longest)
        bias = None
        if window is not None and window < flow.timesteps:
            bias = prepare_bias(
                self.model, self.data, [window], longest=flow.timesteps, cost=False
            )
        return flow, bias, prepare_activity(self.model, self.data)


def _inner(model):
    return model.model if isinstance(model, TruncatedBPTT) else model


def _clips(optimizer):
    clipped = find_clipped(optimizer)
    if clipped is not None:
        return bool(clipped.clipping)
    inner = innermost(optimizer)
    names = ("clipnorm", "global_clipnorm", "clipvalue")
    return any(getattr(inner, name, None) is not None for name in names)
