"""Computes the size of the model in a config, before anything is built."""

from __future__ import annotations

import dataclasses
from typing import Any

from zoo.models.kinds import KINDS, PLAIN, require_size
from zoo.system import limits

DTYPES = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The sizes of a model, from its config.

    Args:
        weights: Number of weights.
        features: Number of inputs per timestep; None: it reads ids.
        ids: Number of ids; None: it reads numbers.
        outputs: Number of outputs.
    """

    weights: int
    features: int | None
    ids: int | None
    outputs: int


def sizes_of(config: dict[str, Any]) -> Sizes:
    """Checks the config of a model, and computes its sizes.

    Args:
        config: What `zoo.models.config.to_config` returned, possibly read from a file.

    Raises:
        ValueError: If the config is invalid, names a layer or an argument that is not
            in the table, holds values that are not plain, or describes a model above
            the limits of `zoo.system.limits`.

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


def _sizes_of(config: dict[str, Any]) -> Sizes:
    rows = config["layers"]
    if config["class_name"] != "Sequential" or not rows or type(rows) is not list:
        raise ValueError("it is not a Sequential model with layers")
    if len(rows) > limits.LAYERS:
        raise ValueError(f"it has {len(rows):,} layers; {limits.LAYERS} are the most")
    for row in rows:
        _check(row["class_name"], row["config"])
    features, first = config.get("features"), rows[0]["config"]
    reads_ids = KINDS[rows[0]["class_name"]].embeds
    if reads_ids != (features is None):
        raise ValueError("it must read either ids or `features`")
    if features is not None:
        require_size("features", features, limits.FEATURES)
    total, width = 0, features or 1
    for place, row in enumerate(rows):
        name, values = row["class_name"], row["config"]
        kind = KINDS[name]
        if place and kind.embeds or kind.tied and not reads_ids:
            raise ValueError(f"layer {name} is at the wrong place")
        if kind.tied and width != first["output_dim"]:
            raise ValueError(f"{name} is {width} wide, its embedding is not")
        total += kind.weights(values, width, first)
        width = kind.width(values, width, first)
        if total > limits.WEIGHTS:
            raise ValueError(f"it has more than {limits.WEIGHTS:,} weights")
    return Sizes(total, features, first["input_dim"] if reads_ids else None, width)


def _check(name: str, config: dict[str, Any]) -> None:
    """Checks the name and the arguments of a layer."""
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"layer {name!r:.100} is not one of: {', '.join(KINDS)}")
    arguments = KINDS[name].arguments
    for key, value in config.items():
        if key not in (*arguments, "dtype"):
            raise ValueError(f"{name} has no argument {key!r:.100} here")
        if not isinstance(value, PLAIN):
            raise ValueError(f"argument {key!r} of {name} is no plain value")
        if key in arguments:
            arguments[key](name, key, value)
    if config.get("dtype", "float32") not in DTYPES:
        raise ValueError(f"{name} cannot compute in {config['dtype']!r:.100}")
