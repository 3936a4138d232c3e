"""The kinds of layer that a preset's model may have, one row each.

A row says which arguments a file may give, how many weights the layer has, and how wide
its outputs are. This takes only integers and no TensorFlow: an untrusted config is
checked in milliseconds, before anything is built or allocated. `zoo.models.config`
finds the classes by the names of the rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from zoo.recipes.recipe import RECURRENT
from zoo.system import limits

# The types of plain values: anything else could be code.
PLAIN = (str, int, float, bool, type(None))
# Names of Keras' activations: anything else could be a class to import.
ACTIVATIONS = frozenset(
    "linear relu relu6 leaky_relu elu selu celu gelu silu swish softplus softsign tanh "
    "sigmoid hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid mish exponential "
    "softmax log_softmax squareplus sparse_plus sparsemax tanh_shrink threshold glu "
    "soft_shrink hard_shrink sparse_sigmoid".split()
)

Config: TypeAlias = Mapping[str, Any]
"""Arguments of a layer, by name."""
Check: TypeAlias = Callable[[str, str, Any], None]
"""Function of a layer's name, an argument and its value, which raises `ValueError`."""
Count: TypeAlias = Callable[[Config, int, Config], int]
"""Function of the config of a layer, the width of its inputs and the config of the
model's first layer."""


def require_size(name: str, value: Any, most: int) -> None:
    """Raises unless a value is an integer from 1 to `most`.

    Args:
        name: Name of the value, for the message.
        value: The value in a file.
        most: The largest allowed value.

    Raises:
        ValueError: Names the value.
    """
    if type(value) is not int or value < 1:
        raise ValueError(f"`{name}` must be an integer, at least 1")
    if value > most:
        raise ValueError(f"`{name}` must be at most {most:,}")


# Checks of arguments. Each takes the name of the layer, that of the argument, and a
# value.


def plain(name: str, key: str, value: Any) -> None:
    """A number, a text, a boolean or None; this is checked for all arguments."""


def flag(name: str, key: str, value: Any) -> None:
    """True or False: any other value would be counted as a number of biases."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}: {key}` must be true or false")


def size(name: str, key: str, value: Any) -> None:
    """An integer >= 1 that affects the number of weights."""
    require_size(f"{name}: {key}", value, limits.WEIGHTS)


def rate(name: str, key: str, value: Any) -> None:
    """A dropout rate, in [0, 1)."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 <= value < 1):
        raise ValueError(f"{name}: {key} must be in [0, 1)")


def activation(name: str, key: str, value: Any) -> None:
    """The name of a Keras activation, or None."""
    if value is not None and (not isinstance(value, str) or value not in ACTIVATIONS):
        raise ValueError(f"{name} has no {key} {value!r:.100} here")


def recurrent_name(name: str, key: str, value: Any) -> None:
    """The name of a recurrent layer, as in recipes."""
    if value not in RECURRENT:
        raise ValueError(f"{name} has no {key} {value!r:.100} here")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Args:
        arguments: `{argument: check}` of the arguments that a file may give. Those that
            only matter for training (initialisers, regularisers, constraints) are left
            out.
        weights: Function that counts its weights. Default: no weights.
        width: Function that returns the width of its outputs. Default: the width of its
            inputs.
        embeds: Whether it reads ids. It is then the first layer of a model, and has
            the arguments `input_dim` and `output_dim`.
        tied: Whether its only argument is that first layer.
    """

    arguments: Mapping[str, Check] = dataclasses.field(default_factory=dict)
    weights: Count = lambda config, width, first: 0
    width: Count = lambda config, width, first: width
    embeds: bool = False
    tied: bool = False


def _recurrent(weights: Count, **more: Check) -> Kind:
    arguments: dict[str, Check] = {
        "units": size,
        "use_bias": flag,
        "activation": activation,
        "recurrent_activation": activation,
        "reset_after": flag,
        "dropout": rate,
        "recurrent_dropout": rate,
        "return_sequences": flag,
        "go_backwards": flag,
        "zero_output_for_mask": flag,
    }
    return Kind(arguments | more, weights, _units)


def _gated(
    gates: int, more: int = 0, biases: Callable[[Config], int] | None = None
) -> Count:
    """A cell with `gates` gates: kernels, bias, and `more` weights per unit."""

    def weights(config: Config, width: int, first: Config) -> int:
        units = config["units"]
        bias = (biases(config) if biases else 1) if _biased(config) else 0
        return units * (gates * (width + units + bias) + more)

    return weights


def _biased(config: Config) -> bool:
    return config.get("use_bias", True)


def _units(config: Config, width: int, first: Config) -> int:
    return config["units"]


def _dense(config: Config, width: int, first: Config) -> int:
    return config["units"] * (width + _biased(config))


def _embedding(config: Config, width: int, first: Config) -> int:
    return config["input_dim"] * config["output_dim"]


def _output_dim(config: Config, width: int, first: Config) -> int:
    return config["output_dim"]


def _input_dim(config: Config, width: int, first: Config) -> int:
    return first["input_dim"]


def _layer_norm_lstm(config: Config, width: int, first: Config) -> int:
    return _gated(4, more=9 + _biased(config))(config, width, first)


def _ind_rnn(config: Config, width: int, first: Config) -> int:
    return config["units"] * (width + 1 + _biased(config))


def _min_gru(config: Config, width: int, first: Config) -> int:
    return 2 * config["units"] * (width + _biased(config))


def _lru(config: Config, width: int, first: Config) -> int:
    units = config["units"]
    return units * (3 + 3 * width + 2 * units)


def _convolution(config: Config, width: int, first: Config) -> int:
    return config["filters"] * (config["kernel_size"] * width + 1)


def _filters(config: Config, width: int, first: Config) -> int:
    return config["filters"]


def _beside(config: Config, width: int, first: Config) -> int:
    kind = KINDS[f"bptt_keras>{RECURRENT[config.get('layer', 'lstm')]}"]
    return kind.weights({"units": config["units"]}, width, first)


def _beside_width(config: Config, width: int, first: Config) -> int:
    return width + config["units"]


def _one(config: Config, width: int, first: Config) -> int:
    return 1


KINDS: dict[str, Kind] = {
    "Embedding": Kind(
        {"input_dim": size, "output_dim": size, "mask_zero": flag},
        _embedding,
        _output_dim,
        embeds=True,
    ),
    "zoo>WordEmbedding": Kind(
        {"input_dim": size, "output_dim": size, "dropout": rate},
        _embedding,
        _output_dim,
        embeds=True,
    ),
    "zoo>TiedLogits": Kind({}, _input_dim, _input_dim, tied=True),
    "Dropout": Kind({"rate": rate}),
    "SpatialDropout1D": Kind({"rate": rate}),
    "Dense": Kind(
        {"units": size, "use_bias": flag, "activation": activation}, _dense, _units
    ),
    "bptt_keras>LSTM": _recurrent(_gated(4)),
    "bptt_keras>GRU": _recurrent(
        _gated(3, biases=lambda config: 1 + config.get("reset_after", True))
    ),
    "bptt_keras>SimpleRNN": _recurrent(_gated(1)),
    "bptt_keras>LayerNormLSTM": _recurrent(_layer_norm_lstm),
    "bptt_keras>IndRNN": _recurrent(_ind_rnn),
    "bptt_keras>MinGRU": _recurrent(_min_gru),
    "bptt_keras>LRU": _recurrent(_lru),
    "bptt_keras>WeightDropLSTM": _recurrent(_gated(4), weight_dropout=rate),
    "bptt_keras>ActivationRegularization": Kind({"alpha": plain, "beta": plain}),
    "zoo>Influence": Kind({}, _one, _one),
    "zoo>CausalConvolution": Kind(
        {"filters": size, "kernel_size": size}, _convolution, _filters
    ),
    "zoo>Beside": Kind(
        {"units": size, "layer": recurrent_name}, _beside, _beside_width
    ),
    "zoo>MeanAndMax": Kind({}, width=lambda config, width, first: 2 * width),
    "BatchNormalization": Kind(
        {"momentum": plain, "epsilon": plain}, lambda config, width, first: 4 * width
    ),
    "Activation": Kind({"activation": activation}),
}
