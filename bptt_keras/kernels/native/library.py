"""The native library: found beside this module, loaded once."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

PATH = Path(__file__).with_name("bptt_native.so")
SWITCH = "BPTT_KERAS_NATIVE"
# The interface that this package was written for.
INTERFACE = 1
# The sets of instructions that the library may be built for, in words.
SETS = {
    "amx": "AMX",
    "avx512_bf16": "AVX-512 with bfloat16",
    "avx512": "AVX-512",
    "avx2": "AVX2",
    "baseline": "no special instructions",
}
_NOT_REGISTERED = {
    1: "this TensorFlow does not offer XLA's interface for calls",
    2: "this TensorFlow has another version of XLA's interface for calls",
    3: "XLA has refused to register it",
}


class Unavailable(Exception):
    """The library cannot be used; the message is the reason, in words."""


class Library:
    """The functions of the library.

    Raises:
        Unavailable: it is missing, cannot be loaded, or has another interface.
    """

    def __init__(self) -> None:
        if not PATH.exists():
            raise Unavailable("it was not built when the package was installed")
        try:
            # When it is loaded, it registers its operations with TensorFlow.
            self._operations: Any = tf.load_op_library(str(PATH))
            self._c = ctypes.CDLL(str(PATH))
            interface = self._c.bptt_native_interface()
        except (OSError, tf.errors.OpError, AttributeError, RuntimeError) as error:
            raise Unavailable(f"it cannot be loaded: {error}") from error
        if interface != INTERFACE:
            raise Unavailable(
                f"it is of another version of the package: its interface is "
                f"{interface}, and {INTERFACE} is needed"
            )
        for name in ("sets", "chosen"):
            self._function(name).restype = ctypes.c_char_p
        self._function("choose").argtypes = [ctypes.c_char_p]
        self._function("calls").restype = ctypes.c_int64

    def _function(self, name: str) -> Any:
        return getattr(self._c, f"bptt_native_{name}")

    def sets(self) -> tuple[str, ...]:
        """The sets of instructions that it has and the processor knows, best first."""
        return tuple(self._function("sets")().decode().split())

    def chosen(self) -> str:
        """The set of instructions in use."""
        return self._function("chosen")().decode()

    def choose(self, name: str) -> None:
        """Uses a set of instructions from now on.

        Raises:
            Unavailable: the library does not have it, or the processor does not.
        """
        if self._function("choose")(name.encode()):
            raise Unavailable(
                f"{SWITCH} asks for the instructions {name!r}, and there are "
                f"{', '.join(self.sets())}"
            )

    def saved_size(self, kind: int, units: int) -> int:
        """How many numbers a step saves for each row."""
        return self._function("saved_size")(kind, units)

    def calls(self) -> int:
        """How often its kernels have been called in this process."""
        return self._function("calls")()

    def set_threads(self, count: int) -> None:
        """The threads of its operations; 0 is as many as there are processors."""
        self._function("set_threads")(count)

    def register_with_xla(self) -> None:
        """Makes its kernels known to XLA.

        Raises:
            Unavailable: XLA does not take them.
        """
        code = self._function("register_xla")()
        if code:
            raise Unavailable(_NOT_REGISTERED.get(code, f"XLA refuses it ({code})"))

    def operation(self, name: str) -> Any:
        """Its operation `BpttKerasForward` or `BpttKerasBackward`, as a function.

        Args:
            name: "forward" or "backward".

        Raises:
            Unavailable: TensorFlow does not have it.
        """
        if not self._function("has_ops")():
            raise Unavailable("this TensorFlow does not take its operations")
        return getattr(self._operations, f"bptt_keras_{name}")


@functools.cache
def library() -> Library:
    """The library; the environment variable BPTT_KERAS_NATIVE has been followed.

    Raises:
        Unavailable: it cannot be used.
    """
    wanted = os.environ.get(SWITCH, "1")
    if wanted == "0":
        raise Unavailable(f"{SWITCH}=0 switches it off")
    made = Library()
    if wanted not in ("", "1"):
        made.choose(wanted)
    made.set_threads(tf.config.threading.get_intra_op_parallelism_threads())
    return made
