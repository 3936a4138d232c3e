"""Imports TensorFlow without its messages on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from zoo.system.errors import UserError
from zoo.system.extras import require_extras


def import_tensorflow() -> None:
    """Imports TensorFlow; shows its messages only if the import fails.

    Raises:
        ZooError: If TensorFlow or a package of the extra `zoo` is not installed.
        UserError: If the environment sets an unsupported Keras backend, or a cache of
            programs that is not a folder.
    """
    require_extras()
    # Suppresses later messages, when XLA and devices are first used.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Keras' settings file may name another backend, for other programs.
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise UserError(
            "The zoo computes with TensorFlow, and the environment variable "
            f"KERAS_BACKEND names another package: {backend}. Unset it."
        )
    with _held_back():
        # TensorFlow: put off until here.
        import tensorflow  # noqa: F401
        import tensorflow_datasets  # noqa: F401
    try:
        # bptt_keras: put off.
        import bptt_keras  # noqa: F401
    except ValueError as error:
        raise UserError(str(error)) from None


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """A context that holds back standard error, and shows it if the block fails.

    TensorFlow 2.21 prints four lines from C++ before it reads TF_CPP_MIN_LOG_LEVEL, so
    only redirecting the file descriptor suppresses them.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
