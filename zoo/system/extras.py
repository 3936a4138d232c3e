"""Packages that the zoo needs but `pip install bptt_keras` does not install."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from zoo.system.errors import ZooError

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tf-nightly")
# Module -> the extra that installs it: all that `setup.cfg` lists for `zoo`.
EXTRAS = {
    "tensorflow": "cpu",
    "tensorflow_datasets": "zoo",
    "importlib_resources": "zoo",
    "matplotlib": "zoo",
    "mido": "zoo",
    "pandas": "zoo",
    "pydantic": "zoo",
    "shtab": "zoo",
    "tqdm": "zoo",
}


def require_extras() -> None:
    """Fails early if a required package is missing.

    Raises:
        ZooError: Names the first package that is missing, and how to install it.

    Example:
        from zoo.system.extras import require_extras

        require_extras()    # returns None: all of them are installed
    """
    for name in EXTRAS:
        if not _is_installed(name):
            raise not_installed(name)


def not_installed(name: str) -> ZooError:
    """The error for a missing package.

    Args:
        name: A module of `EXTRAS`.
    """
    extras = EXTRAS[name]
    # The extra `cpu` would replace a TensorFlow for GPUs.
    if extras == "zoo" and tensorflow_version("tensorflow") is None:
        extras = "cpu,zoo"
    return ZooError(
        f"{name} is not installed. Install it with: pip install 'bptt_keras[{extras}]'"
    )


def tensorflow_version(*names: str) -> str | None:
    """The version of TensorFlow, found without importing it; None if not installed.

    Args:
        *names: Names of the distributions to look for; by default all known names.
    """
    for name in names or TENSORFLOW:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
