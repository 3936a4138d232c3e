"""The kinds of layer that a preset's model may have, and how many weights they make.

Plain integers, without TensorFlow: a config from elsewhere is judged before anything is
built or allocated, in milliseconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from zoo.system import limits

RECURRENT = (
    "units use_bias activation recurrent_activation reset_after dropout "
    "recurrent_dropout return_sequences go_backwards zero_output_for_mask"
).split()
# Those of Keras, by name: anything else in their place could be a class to import.
ACTIVATIONS = frozenset(
    "linear relu relu6 leaky_relu elu selu celu gelu silu swish softplus softsign tanh "
    "sigmoid hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid mish exponential "
    "softmax log_softmax squareplus sparse_plus sparsemax tanh_shrink threshold glu "
    "soft_shrink hard_shrink sparse_sigmoid".split()
)
DTYPES = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
PLAIN = (str, int, float, bool, type(None))
EMBEDDINGS = ("Embedding", "zoo>WordEmbedding")
_SIZES = ("units", "input_dim", "output_dim", "filters", "kernel_size")


# Function of a layer's arguments, the width of its inputs and the arguments of the
# model's first layer.
Count = Callable[[dict, int, dict], int]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Args:
        arguments: Which ones a file may give. What only concerns training
            (initialisers, regularisers, constraints) is left out.
        weights: Function of the layer's config, the width of its inputs and the config
            of the model's first layer: how many weights it has.
        width: Function of the same: how wide its outputs are.
    """

    arguments: tuple[str, ...] | list[str]
    weights: Count = lambda config, width, first: 0
    width: Count = lambda config, width, first: width


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a model's config says of its sizes.

    Args:
        weights: Number of weights.
        features: Numbers that it reads a timestep; None: it reads ids.
        ids: How many ids it knows; None: it reads numbers.
        outputs: Numbers that it answers with.
    """

    weights: int
    features: int | None
    ids: int | None
    outputs: int


def _gated(
    gates: int, more: int = 0, biases: Callable[[dict], int] | None = None
) -> Count:
    """A cell of so many gates: kernels, bias, and `more` numbers a unit."""

    def weights(config: dict, width: int, first: dict) -> int:
        units = config["units"]
        bias = (biases(config) if biases else 1) if _biased(config) else 0
        return units * (gates * (width + units + bias) + more)

    return weights


def _biased(config: dict) -> bool:
    return config.get("use_bias", True)


def _recurrent(weights: Count, *more: str) -> Kind:
    return Kind([*RECURRENT, *more], weights, _units)


def _units(config: dict, width: int, first: dict) -> int:
    return config["units"]


def _dense(config: dict, width: int, first: dict) -> int:
    return config["units"] * (width + _biased(config))


def _embedding(config: dict, width: int, first: dict) -> int:
    return config["input_dim"] * config["output_dim"]


def _output_dim(config: dict, width: int, first: dict) -> int:
    return config["output_dim"]


def _input_dim(config: dict, width: int, first: dict) -> int:
    return first["input_dim"]


def _layer_norm_lstm(config: dict, width: int, first: dict) -> int:
    return _gated(4, more=9 + _biased(config))(config, width, first)


def _ind_rnn(config: dict, width: int, first: dict) -> int:
    return config["units"] * (width + 1 + _biased(config))


def _min_gru(config: dict, width: int, first: dict) -> int:
    return 2 * config["units"] * (width + _biased(config))


def _lru(config: dict, width: int, first: dict) -> int:
    units = config["units"]
    return units * (3 + 3 * width + 2 * units)


def _convolution(config: dict, width: int, first: dict) -> int:
    return config["filters"] * (config["kernel_size"] * width + 1)


def _filters(config: dict, width: int, first: dict) -> int:
    return config["filters"]


# Layers of a recipe by their names there.
_RECURRENT = {
    "lstm": "LSTM",
    "gru": "GRU",
    "simple-rnn": "SimpleRNN",
    "layer-norm-lstm": "LayerNormLSTM",
    "ind-rnn": "IndRNN",
    "min-gru": "MinGRU",
    "lru": "LRU",
}


def _beside(config: dict, width: int, first: dict) -> int:
    kind = KINDS[f"bptt_keras>{_RECURRENT[config.get('layer', 'lstm')]}"]
    return kind.weights({"units": config["units"]}, width, first)


def _beside_width(config: dict, width: int, first: dict) -> int:
    return width + config["units"]


# Name -> kind. `zoo.models.config` has their classes.
KINDS: dict[str, Kind] = {
    "Embedding": Kind(
        ["input_dim", "output_dim", "mask_zero"], _embedding, _output_dim
    ),
    "zoo>WordEmbedding": Kind(
        ["input_dim", "output_dim", "dropout"], _embedding, _output_dim
    ),
    # Its argument, the embedding, is the model's first layer.
    "zoo>TiedLogits": Kind([], _input_dim, _input_dim),
    "Dropout": Kind(["rate"]),
    "SpatialDropout1D": Kind(["rate"]),
    "Dense": Kind(["units", "use_bias", "activation"], _dense, _units),
    "bptt_keras>LSTM": _recurrent(_gated(4)),
    "bptt_keras>GRU": _recurrent(
        _gated(3, biases=lambda config: 1 + config.get("reset_after", True))
    ),
    "bptt_keras>SimpleRNN": _recurrent(_gated(1)),
    "bptt_keras>LayerNormLSTM": _recurrent(_layer_norm_lstm),
    "bptt_keras>IndRNN": _recurrent(_ind_rnn),
    "bptt_keras>MinGRU": _recurrent(_min_gru),
    "bptt_keras>LRU": _recurrent(_lru),
    "bptt_keras>WeightDropLSTM": _recurrent(_gated(4), "weight_dropout"),
    "bptt_keras>ActivationRegularization": Kind(["alpha", "beta"]),
    "zoo>Influence": Kind(
        [], lambda config, width, first: 1, lambda config, width, first: 1
    ),
    "zoo>CausalConvolution": Kind(["filters", "kernel_size"], _convolution, _filters),
    "zoo>Beside": Kind(["units", "layer"], _beside, _beside_width),
    "zoo>MeanAndMax": Kind([], width=lambda config, width, first: 2 * width),
    "BatchNormalization": Kind(
        ["momentum", "epsilon"], lambda config, width, first: 4 * width
    ),
    "Activation": Kind(["activation"]),
}


def sizes_of(config: dict) -> Sizes:
    """Judges the config of a model, and counts.

    Args:
        config: What `zoo.models.config.to_config` returned, perhaps read from a file.

    Raises:
        ValueError: If it is no such config, names a layer or an argument that is not in
            the table, holds something else than plain values, or describes a model
            above the limits of `zoo.system.limits`.

    Example:
        from zoo.models.sizes import sizes_of

        dense = {"class_name": "Dense", "config": {"units": 5}}
        config = {"class_name": "Sequential", "layers": [dense], "features": 3}
        assert sizes_of(config).weights == 20
    """
    try:
        return _sizes_of(config)
    except KeyError as error:
        raise ValueError(f"{error} is missing") from None
    except (AttributeError, TypeError) as error:
        raise ValueError(str(error)) from None


def _sizes_of(config: dict) -> Sizes:
    rows = config["layers"]
    if config["class_name"] != "Sequential" or not rows or type(rows) is not list:
        raise ValueError("it is not a Sequential model with layers")
    if len(rows) > limits.LAYERS:
        raise ValueError(f"it has {len(rows):,} layers; {limits.LAYERS} are the most")
    for row in rows:
        _check(row["class_name"], row["config"])
    features, first = config.get("features"), rows[0]["config"]
    reads_ids = rows[0]["class_name"] in EMBEDDINGS
    if reads_ids != (features is None):
        raise ValueError("it must read either ids or `features`")
    if features is not None:
        _require_size("features", features, limits.FEATURES)
    total, width = 0, features or 1
    for place, row in enumerate(rows):
        name, values = row["class_name"], row["config"]
        tied = name == "zoo>TiedLogits"
        if place and name in EMBEDDINGS or tied and not reads_ids:
            raise ValueError(f"layer {name} is at the wrong place")
        if tied and width != first["output_dim"]:
            raise ValueError(f"{name} is {width} wide, its embedding is not")
        kind = KINDS[name]
        total += kind.weights(values, width, first)
        width = kind.width(values, width, first)
        if total > limits.WEIGHTS:
            raise ValueError(f"it has more than {limits.WEIGHTS:,} weights")
    return Sizes(total, features, first["input_dim"] if reads_ids else None, width)


def _check(name: str, config: dict) -> None:
    """Looks at the name and the arguments of a layer."""
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"layer {name!r:.100} is not one of: {', '.join(KINDS)}")
    for key, value in config.items():
        if key not in (*KINDS[name].arguments, "dtype"):
            raise ValueError(f"{name} has no argument {key!r:.100} here")
        if not isinstance(value, PLAIN):
            raise ValueError(f"argument {key!r} of {name} is no plain value")
        if key in _SIZES:
            _require_size(f"{name}: {key}", value, limits.WEIGHTS)
        elif key == "layer":
            if value not in _RECURRENT:
                raise ValueError(f"{name} has no {key} {value!r:.100} here")
        elif key.endswith("activation") and not _is_activation(value):
            raise ValueError(f"{name} has no {key} {value!r:.100} here")
        elif key.endswith(("dropout", "rate")) and not _is_rate(value):
            raise ValueError(f"{name}: {key} must be in [0, 1)")
    if config.get("dtype", "float32") not in DTYPES:
        raise ValueError(f"{name} cannot compute in {config['dtype']!r:.100}")


def _require_size(name: str, value: object, most: int) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"`{name}` must be an integer, at least 1")
    if value > most:
        raise ValueError(f"`{name}` must be at most {most:,}")


def _is_activation(value: object) -> bool:
    return value is None or isinstance(value, str) and value in ACTIVATIONS


def _is_rate(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < 1
