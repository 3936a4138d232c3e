"""`ClippedOptimizer`: a Keras optimizer with rules that bound its gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.keras_internals import trained_by
from bptt_keras.training.clipping.base import Clipping
from bptt_keras.training.clipping.norms import global_norm
from bptt_keras.training.clipping.value import Value
from bptt_keras.training.clipping.variable_norm import VariableNorm
from bptt_keras.types import Tensor

# A norm that was scaled by 1 differs by less than this, through rounding.
_ROUNDING = 1e-5


@keras.saving.register_keras_serializable(package="bptt_keras")
class ClippedOptimizer(keras.optimizers.Optimizer):
    """Bounds gradients by rules, and skips updates that are not finite.

        g <- rule_n(... rule_1(g))              if ||g|| is finite
        weights <- inner_optimizer(weights, g)
        nothing changes                         otherwise

    It can replace its inner optimizer anywhere: in `compile` of any Keras model, in
    `TruncatedBPTT` or in a custom training loop. What the rules remember is saved with
    the optimizer. The inner optimizer's own clipping, such as `clipnorm`, comes after
    the rules.

    With `skip_nonfinite`, `TruncatedBPTT` also resets the rows whose state is not
    finite after a window; the others continue.

    Args:
        inner_optimizer: `keras.optimizers.Optimizer`.
        clipping: A `Clipping` rule, a sequence of rules that are applied in order, or
            `None` (default): no rule.
        skip_nonfinite: `True` (default): skip updates whose gradient is not finite.
            `False`: apply them, as Keras does.
        stop_after: Number of skipped updates in a row after which `fit` ends: an
            integer >= 1 (default: 10), or `None`: never. `TruncatedBPTT.fit` does this
            itself; for other models pass `bptt_keras.callbacks.StopOnSkipped()` to
            `fit`.
        name: As for every Keras optimizer.

    Attributes:
        updates: Number of updates that were applied.
        clipped_updates: How many of them were shortened by a rule or by the inner
            optimizer's own clipping.
        skipped: Number of updates that were skipped.
        skipped_in_a_row: Number of skipped updates since the last one applied.
        norm: Global norm of the latest gradient that was applied, before clipping.
        clipped_norm: The same after clipping.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `stop_after` is below 1, a rule is given twice, or the inner
            optimizer scales its gradients or is a `ClippedOptimizer` itself.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([keras.layers.Dense(1)])
        optimizer = bk.clipping.ClippedOptimizer(
            keras.optimizers.Adam(1e-3),
            [bk.clipping.ZClip(), bk.clipping.GlobalNorm(1.0)],
        )
        model.compile(optimizer, loss="mse")
        x = np.ones((8, 2), "float32")
        model.fit(x, x[:, :1], verbose=0)
        assert int(optimizer.updates) == 1 and int(optimizer.skipped) == 0
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        clipping: Clipping | Sequence[Clipping] | None = None,
        *,
        skip_nonfinite: bool = True,
        stop_after: int | None = 10,
        name: str | None = None,
    ):
        self._check_inner(inner_optimizer)
        rules = _as_rules(clipping)
        if not isinstance(skip_nonfinite, bool):
            raise TypeError(
                f"`skip_nonfinite` must be True or False. Received: "
                f"skip_nonfinite={skip_nonfinite!r}."
            )
        if stop_after is not None:
            stop_after = whole("stop_after", stop_after, unit="updates")
        # As in Keras' own wrapper, this learning rate is never used.
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.clipping = tuple(rules)
        self.skip_nonfinite = skip_nonfinite
        self.stop_after = stop_after if skip_nonfinite else None

    def _check_inner(self, optimizer: Any) -> None:
        _check_inner(optimizer)

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the variables of rules, counters and the inner optimizer.

        Args:
            variables: List of the model's trainable variables.
        """
        if self.built:
            return
        for name, dtype in _COUNTERS.items():
            setattr(self, name, self.add_variable((), dtype=dtype, name=name))
        for index, rule in enumerate(self.clipping):
            rule.build(variables, self._adder(f"{index}_{type(rule).__name__.lower()}"))
        self.inner_optimizer.build(variables)
        super().build(variables)

    def _adder(self, prefix: str) -> Callable[..., Any]:
        def add_variable(
            name: str, shape: tuple[int, ...] = (), dtype: str = "float32"
        ) -> Any:
            return self.add_variable(shape, dtype=dtype, name=f"{prefix}_{name}")

        return add_variable

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[Any] | None = None,
    ) -> None:
        """Clips the gradients and lets the inner optimizer apply them.

        Args:
            grads: List of gradients, `None` where there is none. Sparse gradients of
                embeddings are made dense.
            trainable_variables: List of the variables that they belong to. Default
                (`None`): those that the optimizer was built with.
        """
        present, variables = self._present(grads, trainable_variables)
        if not present:
            # Keras warns or raises.
            self.inner_optimizer.apply(grads, trainable_variables)
            return
        norm = global_norm(present)

        def update() -> Tensor:
            self._update(present, variables, norm)
            return tf.constant(0)

        def skip() -> Tensor:
            self.count_skipped()
            return tf.constant(0)

        if self.skip_nonfinite:
            tf.cond(tf.math.is_finite(norm), update, skip)
        else:
            update()

    def apply_finite(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[Any],
        norm: Tensor,
    ) -> None:
        """Like `apply`, for gradients that are known to be finite.

        Args:
            grads: As for `apply`.
            trainable_variables: List of the variables that they belong to.
            norm: Global norm of the gradients, a scalar.
        """
        present, variables = self._present(grads, trainable_variables)
        if present:
            self._update(present, variables, norm)
        else:
            self.inner_optimizer.apply(grads, trainable_variables)

    def _present(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[Any] | None,
    ) -> tuple[list[Tensor], list[Any]]:
        """The gradients that are there, and their variables."""
        _check_one_replica()
        if not self.built:
            if trainable_variables is None:
                raise ValueError(
                    "The optimizer has no variables yet. Received: "
                    "trainable_variables=None. Pass them, or call "
                    "`optimizer.build(variables)` first."
                )
            self.build(list(trainable_variables))
        variables = list(trainable_variables or trained_by(self))
        pairs = [
            (tf.convert_to_tensor(gradient), variable)
            for gradient, variable in zip(grads, variables, strict=True)
            if gradient is not None
        ]
        return [gradient for gradient, _ in pairs], [v for _, v in pairs]

    def _update(
        self, gradients: Sequence[Tensor], variables: Sequence[Any], norm: Tensor
    ) -> None:
        after = norm
        for rule in self.clipping:
            gradients = rule.clip(gradients, variables)
        self.inner_optimizer.apply(gradients, variables)
        if self.clipping:
            after = global_norm(gradients)
        self._note(norm, clipped_norm(self.inner_optimizer, gradients, after))

    def _note(self, norm: Tensor, after: Tensor) -> None:
        """Counts an update with these norms before and after clipping."""
        self.norm.assign(norm)
        self.clipped_norm.assign(after)
        self.clipped_updates.assign_add(tf.cast(is_shorter(after, norm), tf.int64))
        self.updates.assign_add(1)
        self.skipped_in_a_row.assign(0)

    def count_skipped(self) -> None:
        """Counts an update that is skipped because its gradient is not finite."""
        self.skipped.assign_add(1)
        self.skipped_in_a_row.assign_add(1)

    @property
    def variables(self) -> list[Any]:
        """The optimizer's own variables and those of the inner optimizer."""
        return super().variables + self.inner_optimizer.variables

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> Any:
        """The inner optimizer's number of updates, without those that were skipped."""
        return self.inner_optimizer.iterations

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """As for every Keras optimizer.

        Args:
            var_list: List of the model's trainable variables.
        """
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "inner_optimizer": serialize(self.inner_optimizer),
            "clipping": [serialize(rule) for rule in self.clipping],
            "skip_nonfinite": self.skip_nonfinite,
            "stop_after": self.stop_after,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> ClippedOptimizer:
        """The optimizer that `get_config` described.

        Args:
            config: What it returned.
            custom_objects: As for every Keras optimizer.
        """

        def made(part: Any) -> Any:
            return keras.saving.deserialize_keras_object(
                part, custom_objects=custom_objects
            )

        inner = made(config["inner_optimizer"])
        rules = [made(part) for part in config["clipping"]]
        return cls(**{**config, "inner_optimizer": inner, "clipping": rules})


_COUNTERS = {
    "updates": "int64",
    "clipped_updates": "int64",
    "skipped": "int64",
    "skipped_in_a_row": "int64",
    "norm": "float32",
    "clipped_norm": "float32",
}


def find_clipped(optimizer: Any) -> ClippedOptimizer | None:
    """The `ClippedOptimizer` in a chain of wrappers, or `None`."""
    while optimizer is not None and not isinstance(optimizer, ClippedOptimizer):
        optimizer = getattr(optimizer, "inner_optimizer", None)
    return optimizer


def innermost(optimizer: Any) -> Any:
    """The optimizer inside all wrappers."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def own_clipping(optimizer: Any) -> str | None:
    """Name of the argument that makes a Keras optimizer clip by itself, or `None`."""
    names = ("clipnorm", "clipvalue", "global_clipnorm")
    given = (name for name in names if getattr(optimizer, name, None) is not None)
    return next(given, None)


def clipped_norm(optimizer: Any, gradients: Sequence[Tensor], norm: Tensor) -> Tensor:
    """Global norm of gradients after a Keras optimizer's own clipping.

    Args:
        optimizer: Keras optimizer without a wrapper.
        gradients: List of tensors.
        norm: Their global norm, a scalar.
    """
    rule: Clipping
    if optimizer.clipnorm:
        rule = VariableNorm(optimizer.clipnorm)
    elif optimizer.global_clipnorm:
        return tf.minimum(norm, optimizer.global_clipnorm)
    elif optimizer.clipvalue:
        rule = Value(optimizer.clipvalue)
    else:
        return norm
    return global_norm(rule.clip(gradients, []))


def is_shorter(after: Tensor, before: Tensor) -> Tensor:
    """Whether clipping has changed a norm, a scalar boolean."""
    return after < before * (1 - _ROUNDING)


def _as_rules(clipping: Any) -> list[Clipping]:
    if clipping is None:
        return []
    rules = [clipping] if isinstance(clipping, Clipping) else clipping
    if not isinstance(rules, list | tuple) or not all(
        isinstance(rule, Clipping) for rule in rules
    ):
        raise TypeError(
            f"`clipping` must be a rule from `bptt_keras.clipping` or a sequence of "
            f"them. Received: clipping={clipping!r}."
        )
    if len({id(rule) for rule in rules}) < len(rules):
        raise ValueError(
            "`clipping` has the same rule twice, which would share what it remembers. "
            f"Received: clipping={clipping!r}. Make two of them."
        )
    return list(rules)


def _check_inner(optimizer: Any) -> None:
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise TypeError(
            f"`inner_optimizer` must be a Keras optimizer. Received: "
            f"inner_optimizer={optimizer!r}."
        )
    if isinstance(optimizer, ClippedOptimizer):
        raise ValueError(
            "`inner_optimizer` clips by rules already. Give one `ClippedOptimizer` all "
            "of them, as a list."
        )
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if scales or optimizer.loss_scale_factor is not None:
        raise ValueError(
            "`inner_optimizer` scales its gradients, and rules would bound them before "
            "the scale is taken away. Put the loss scale outside: "
            "`keras.optimizers.LossScaleOptimizer(ClippedOptimizer(...))`; under the "
            "policy mixed_float16 Keras does so by itself."
        )


def _check_one_replica() -> None:
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise ValueError(
            "`ClippedOptimizer` does not run under a distribution strategy of several "
            "replicas: each would clip its own part of the gradient."
        )
