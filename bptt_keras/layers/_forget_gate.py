"""Which argument sets the bias of a forget gate."""

from __future__ import annotations

from typing import Any


def check_forget_gate(cell: Any) -> None:
    """Raises if both the cell and its bias initializer set the forget gate's bias."""
    sets_forget_gate = getattr(cell.bias_initializer, "sets_forget_gate", False)
    if cell.use_bias and cell.unit_forget_bias and sets_forget_gate:
        raise ValueError(
            "`unit_forget_bias=True` sets the bias of the forget gate to 1, and the "
            "`bias_initializer` sets it, too. Received: bias_initializer="
            f"{cell.bias_initializer!r}. Set `unit_forget_bias=False`."
        )
