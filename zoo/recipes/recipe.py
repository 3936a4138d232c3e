"""How a model of the zoo is built and trained: the fields that all tasks share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

from zoo.recipes.clipping import KINDS, allows
from zoo.system import limits

# Name of a recurrent layer in recipes -> class in `bptt_keras.layers`.
RECURRENT = {
    "lstm": "LSTM",
    "gru": "GRU",
    "simple-rnn": "SimpleRNN",
    "layer-norm-lstm": "LayerNormLSTM",
    "ind-rnn": "IndRNN",
    "min-gru": "MinGRU",
    "lru": "LRU",
}
LAYERS = tuple(RECURRENT)
# Weights of a layer in multiples of units squared; other layers grow linearly.
SQUARES = {"lstm": 4, "gru": 3, "simple-rnn": 1, "layer-norm-lstm": 4, "lru": 2}


def one_of(choices: Sequence[str], default: str) -> Any:
    """A field of a recipe that takes one of a few names.

    A recipe refuses any other name, and the command line completes these names.

    Args:
        choices: The names.
        default: One of them.

    Example:
        import dataclasses
        from zoo.recipes.recipe import Recipe, one_of

        @dataclasses.dataclass(frozen=True)
        class Painted(Recipe):
            color: str = one_of(("red", "green"), "red")

        assert Painted(color="green").color == "green"
    """
    return dataclasses.field(default=default, metadata={"choices": tuple(choices)})


@dataclasses.dataclass(frozen=True)
class Training:
    """How a model is trained, whatever its kind.

    The annotation of a field describes it; `--help` shows that text.

    Raises:
        ValueError: If a value is out of range.
    """

    batch_size: Annotated[
        int, "Rows of a batch, or streams that are read side by side."
    ] = 32
    window: Annotated[
        int | None,
        "Timesteps that gradients flow back through; None: all of a sequence.",
    ] = None
    epochs: Annotated[
        int, "Passes over the training part, or over as many generated batches."
    ] = 10
    learning_rate: Annotated[
        float,
        "Peak of the schedule: a linear rise over the first 2 % of the updates, "
        "from a tenth, then a cosine down to 1 % of the peak.",
    ] = 1e-3
    clip: Annotated[
        float | None,
        "Bound of the gradients, > 0; None leaves them as they are. With the usual "
        "`clipping` the largest global norm.",
    ] = 1.0
    weight_decay: Annotated[
        float,
        "Decoupled, as a fraction of the learning rate (AdamW), on matrices alone.",
    ] = 0.0
    seed: Annotated[int, "Of weights, dropout, order and generated data."] = 0
    clipping: Annotated[
        str,
        "What `clip` bounds: global-norm, variable-norm, value, agc (a ratio to the "
        "weights), autoclip (a percentile of the norms so far) or zclip (standard "
        "deviations above them).",
    ] = one_of(tuple(KINDS), "global-norm")
    patience: Annotated[
        int | None,
        "Epochs without a better validation after which a training ends; None: it "
        "never ends early.",
    ] = None

    def __post_init__(self):
        big = float("inf")
        for name in ("batch_size", "epochs"):
            self.require(name, getattr(self, name) >= 1, "at least 1")
        self.require("window", self.window is None or self.window >= 1, "at least 1")
        self.require(
            "patience", self.patience is None or self.patience >= 1, "at least 1"
        )
        self.require("learning_rate", 0 < self.learning_rate < big, "positive")
        for field in dataclasses.fields(self):
            known = field.metadata.get("choices")
            if known is not None:
                rule = f"one of: {', '.join(known)}"
                self.require(field.name, getattr(self, field.name) in known, rule)
        rule = "positive" if self.clipping != "autoclip" else "in (0, 100]"
        self.require("clip", allows(self.clipping, self.clip), rule)
        self.require("weight_decay", 0 <= self.weight_decay < big, "at least 0")
        self.require("seed", 0 <= self.seed < 2**32, "in [0, 2**32)")
        self._require_small()

    def _require_small(self) -> None:
        """Refuses sizes that no machine has room for; a recipe may be untrusted."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "seed" or not isinstance(value, int | float):
                continue
            most = limits.RECIPE.get(field.name, limits.WHOLE)
            self.require(field.name, value <= most, f"at most {most:,}")

    @property
    def finite_window(self) -> int:
        """The window as an integer.

        Raises:
            ValueError: If `window` is None.
        """
        if self.window is None:
            raise ValueError("`window` must be a number of timesteps. Received: None")
        return self.window

    def require(self, name: str, holds: bool, rule: str) -> None:
        """Raises `ValueError` unless `holds`; `rule` says what the value must be."""
        if not holds:
            received = str(getattr(self, name))
            # It may come from a file, and control a terminal.
            received = received if received.isprintable() else repr(received)
            raise ValueError(
                f"`{name}` must be {rule}. Received: {name}={received:.60}"
            )


@dataclasses.dataclass(frozen=True)
class Recipe(Training):
    """`Training` with the fields of a model of recurrent layers.

    Raises:
        ValueError: If a value is out of range.
    """

    layer: Annotated[
        str,
        "Recurrent layer: lstm, gru, simple-rnn, layer-norm-lstm, ind-rnn, min-gru "
        "or lru.",
    ] = one_of(LAYERS, "lstm")
    units: Annotated[int, "Units of each recurrent layer."] = 128
    layers: Annotated[int, "Number of recurrent layers."] = 1
    dropout: Annotated[
        float, "Rate on the output of each recurrent layer, in `[0, 1)`."
    ] = 0.0

    def __post_init__(self):
        super().__post_init__()
        for name in ("units", "layers"):
            self.require(name, getattr(self, name) >= 1, "at least 1")
        self.require("dropout", 0 <= self.dropout < 1, "in [0, 1)")
        # The limit of a preset. The last layer of a model may be smaller.
        least = SQUARES.get(self.layer, 0) * self.units**2 * max(1, self.layers - 1)
        rule = f"so small that {self.layers} layers have {limits.WEIGHTS:,} weights"
        self.require("units", least <= limits.WEIGHTS, rule)
