"""Conditions and checks inside the graph, and how messages reach the user."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from bptt_keras.types import Tensor

_MARK = "bptt_keras refuses:"
_MESSAGE = re.compile(re.escape(_MARK) + r" (.*?) \[end\]", re.DOTALL)


def require(condition: Tensor, message: str) -> tf.Operation:
    """An operation that stops the step unless `condition` holds.

    Args:
        condition: Scalar boolean tensor.
        message: Full sentences; they become the text of a `ValueError`.

    Returns:
        An operation for `tf.control_dependencies`; in eager mode it does nothing,
        because the check has already run.
    """
    operation = tf.debugging.Assert(condition, [f"{_MARK} {message} [end]"])
    return tf.no_op() if operation is None else operation


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Within: a failed `require` raises a `ValueError` with only its message."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = _MESSAGE.search(str(error))
        if found is None:
            raise
        raise ValueError(found.group(1)) from None


def run_if(
    condition: Tensor,
    function: Callable[[], Any],
    *,
    otherwise: Callable[[], Any] = lambda: None,
) -> None:
    """Runs one of two functions for its side effects.

    Args:
        condition: Scalar boolean tensor.
        function: Runs if it is True.
        otherwise: Runs if it is False. Default: nothing.
    """

    def and_nothing(run: Callable[[], Any]) -> Callable[[], Tensor]:
        def branch() -> Tensor:
            run()
            return tf.constant(0)

        return branch

    tf.cond(condition, and_nothing(function), and_nothing(otherwise))
