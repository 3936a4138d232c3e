"""TensorFlow without its notes on standard error."""

from __future__ import annotations

import os
import sys
import tempfile

from zoo.errors import ZooError

EXTRAS = {
    "tensorflow": "cpu",
    "tensorflow_datasets": "zoo",
    "matplotlib": "zoo",
    "mido": "zoo",
}


def import_tensorflow() -> None:
    """Imports TensorFlow; what it prints meanwhile is shown only if that fails.

    TensorFlow 2.21 prints four lines about itself before it reads
    TF_CPP_MIN_LOG_LEVEL, from C++, so only a redirected descriptor keeps them away.

    Raises:
        ZooError: If TensorFlow or a package of the extra `zoo` is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import matplotlib  # noqa: F401
            import mido  # noqa: F401
            import tensorflow  # noqa: F401
            import tensorflow_datasets  # noqa: F401
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            raise ZooError(
                f"{error.name} is not installed. Install it with: "
                f"pip install 'bptt_keras[{EXTRAS[error.name]}]'"
            ) from None
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
