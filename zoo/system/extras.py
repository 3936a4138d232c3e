"""Packages that the zoo needs and `pip install bptt_keras` alone does not bring."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from zoo.system.errors import ZooError

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tf-nightly")
# Module -> the extra that has it. All that `setup.cfg` lists for `zoo` are here.
EXTRAS = {
    "tensorflow": "cpu",
    "tensorflow_datasets": "zoo",
    "importlib_resources": "zoo",
    "filelock": "zoo",
    "matplotlib": "zoo",
    "mido": "zoo",
    "pandas": "zoo",
    "pydantic": "zoo",
    "shtab": "zoo",
    "tqdm": "zoo",
}


def require_extras() -> None:
    """Refuses to begin what would end for want of a package.

    Raises:
        ZooError: Names the first package that is missing, and what installs it.

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
    # The extra `cpu` would put another TensorFlow in the place of one for GPUs.
    if extras == "zoo" and tensorflow_version("tensorflow") is None:
        extras = "cpu,zoo"
    return ZooError(
        f"{name} is not installed. Install it with: pip install 'bptt_keras[{extras}]'"
    )


def tensorflow_version(*names: str) -> str | None:
    """The version of TensorFlow, found without importing it; None: there is none.

    Args:
        *names: Names that it may be installed by; all that are known if none is given.
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
