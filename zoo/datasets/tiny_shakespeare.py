"""Tiny Shakespeare: 1,115,394 characters of plays."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.datasets.cache import cache_folder
from zoo.datasets.download import check, download
from zoo.datasets.text_builder import TextBuilder
from zoo.errors import UserError, ZooError

URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/"
    "data/tinyshakespeare/input.txt"
)
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
SIZE = 1_115_394
FILE = "tinyshakespeare/input.txt"


class TinyShakespeare(TextBuilder):
    """40,000 lines of Shakespeare, the usual first test of a character model.

    65 distinct characters, all ASCII. 1,003,854 characters are for training and
    111,540 for validation.

    Args:
        source: A local copy of the file, already checked. None: the file is
            downloaded when the data set is prepared.
        **kwargs: Forwarded to `tfds.core.GeneratorBasedBuilder`.

    Source: Karpathy 2015, https://github.com/karpathy/char-rnn.
    """

    DESCRIPTION = "40,000 lines of Shakespeare's plays in one text."
    HOMEPAGE = "https://github.com/karpathy/char-rnn"

    def __init__(self, *, source: Path | None = None, **kwargs):
        super().__init__(**kwargs)
        self.source = source

    def read(self) -> str:
        source = self.source or fetch()
        return read_checked(source)


def fetch() -> Path:
    """Downloads the file to the cache folder, unless it is there.

    Raises:
        ZooError: If it cannot be downloaded; the message names the ways around.
    """
    path = cache_folder() / "downloads" / FILE
    if path.exists():
        return path
    try:
        return download(URL, path, sha256=SHA256, size=SIZE)
    except ZooError as error:
        raise ZooError(
            f"{error} Without a network, name a folder that has {FILE} with --data-dir "
            "or the environment variable BPTT_ZOO_DATA, or use --dataset "
            "python-topics, which every Python has."
        ) from None


def find_local(data_dir: str | os.PathLike | None) -> Path | None:
    """The local copy that the user names, or None if none is named.

    Args:
        data_dir: A folder that has `tinyshakespeare/input.txt` or `input.txt`, or the
            file itself. None: the environment variable BPTT_ZOO_DATA, if set.

    Raises:
        UserError: If a place is named and the file is not there.
    """
    name = "`--data-dir`"
    if data_dir is None:
        name, data_dir = "BPTT_ZOO_DATA", os.environ.get("BPTT_ZOO_DATA") or None
    if data_dir is None:
        return None
    folder = Path(data_dir).expanduser()
    for path in (folder, folder / FILE, folder / Path(FILE).name):
        if path.is_file():
            return path
    raise UserError(
        f"{name} must be a folder that has {FILE}, or that file itself. "
        f"Received: {data_dir}"
    )


def read_checked(path: Path) -> str:
    """The text of a local copy.

    Raises:
        UserError: If it is not the registered file.
    """
    try:
        content = path.read_bytes()
        check(content, str(path), sha256=SHA256)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    except ZooError as error:
        raise UserError(str(error)) from None
    return content.decode("ascii")
