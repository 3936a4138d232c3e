"""A program in StableHLO that is one custom call."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

# A size: a number, or where it is read: (operand, axis).
Size = int | tuple[int, int]


class Array(NamedTuple):
    """The type of an operand or a result.

    Fields:
        sizes: one for each axis. Of an operand whose size is not known, it is
            `(operand, axis)` of that very axis.
        element: "f32", "bf16" or "i1".
    """

    sizes: tuple[Size, ...]
    element: str

    def __str__(self) -> str:
        sizes = (f"{s if isinstance(s, int) else '?'}x" for s in self.sizes)
        return f"tensor<{''.join(sizes)}{self.element}>"

    @property
    def layout(self) -> str:
        """Row-major: XLA must not pass a transposed array."""
        rank = len(self.sizes)
        order = ", ".join(map(str, reversed(range(rank))))
        return f"dense<[{order}]> : tensor<{rank}xindex>"


@functools.lru_cache(maxsize=256)
def custom_call(
    target: str, operands: tuple[Array, ...], results: tuple[Array, ...]
) -> str:
    """The text of a module whose `main` calls a target of XLA's typed FFI.

    Where the size of a result is not known, each result needs one more operand: its
    shape, which XLA refines to constants once it knows all sizes.

    Args:
        target: the name that the target is registered under.
        operands: types of the operands.
        results: types of the results.
    """
    lines: list[str] = []
    shapes: list[tuple[str, Array]] = []
    if not all(isinstance(s, int) for r in results for s in r.sizes):
        shapes = [_shape(lines, operands, result.sizes) for result in results]
    first = len(operands)
    arguments = [f"%a{i}" for i in range(first)]
    names = ", ".join([*arguments, *(name for name, _ in shapes)])
    given = [*operands, *(kind for _, kind in shapes)]
    attributes = [
        "api_version = 4 : i32",
        "backend_config = {}",
        f"operand_layouts = [{', '.join(a.layout for a in given)}]",
        f"result_layouts = [{', '.join(a.layout for a in results)}]",
    ]
    if shapes:
        places = ", ".join(str(first + i) for i in range(len(shapes)))
        attributes.append(
            f"indices_of_shape_operands = dense<[{places}]> : tensor<{len(shapes)}xi64>"
        )
    made = ", ".join(map(str, results))
    lines += [
        f"%r:{len(results)} = stablehlo.custom_call @{target}({names}) "
        f"{{{', '.join(attributes)}}} : ({', '.join(map(str, given))}) -> ({made})",
        f"return {', '.join(f'%r#{i}' for i in range(len(results)))} : {made}",
    ]
    signature = ", ".join(f"%a{i}: {a}" for i, a in enumerate(operands))
    body = "\n".join(f"    {line}" for line in lines)
    # XLA refines unknown sizes only in a module that says it has some.
    return (
        "module @native attributes {jax.uses_shape_polymorphism = true} {\n"
        f"  func.func public @main({signature}) -> ({made}) {{\n{body}\n  }}\n}}\n"
    )


def _shape(
    lines: list[str], operands: Sequence[Array], sizes: Sequence[Size]
) -> tuple[str, Array]:
    """Adds the lines that compute a shape; returns its name and type."""

    def line(operation: str) -> str:
        name = f"%v{len(lines)}"
        lines.append(f"{name} = stablehlo.{operation}")
        return name

    parts = []
    for size in sizes:
        if isinstance(size, int):
            scalar = line(f"constant dense<{size}> : tensor<i32>")
        else:
            operand, axis = size
            scalar = line(
                f"get_dimension_size %a{operand}, dim = {axis} : "
                f"({operands[operand]}) -> tensor<i32>"
            )
        parts.append(line(f"reshape {scalar} : (tensor<i32>) -> tensor<1xi32>"))
    kind = Array((len(parts),), "i32")
    if len(parts) == 1:
        return parts[0], kind
    types = ", ".join(["tensor<1xi32>"] * len(parts))
    joined = f"concatenate {', '.join(parts)}, dim = 0 : ({types}) -> {kind}"
    return line(joined), kind
