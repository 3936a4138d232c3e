"""The base class of the zoo's TFDS builders."""

from __future__ import annotations

import abc
import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from zoo.datasets import files
from zoo.datasets.cache import cache_folder, usable_cache
from zoo.system.locks import one_at_a_time


class ZooBuilder(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """A data set of registered files, or of a text that is installed.

    A subclass defines the attributes below, `features()` and `parts()`.

    Attributes:
        FILES: The registered `File`s.
        DESCRIPTION: One or two sentences.
        HOMEPAGE: The address it comes from.
        LICENCE: Its licence, as stated by the source.
        CITATION: BibTeX, or "".

    Args:
        contents: `{path: content of a registered file}`, which `parts()` needs. None:
            read prepared data.
        **kwargs: Forwarded to `tfds.core.GeneratorBasedBuilder`.
    """

    VERSION = tfds.core.Version("1.0.0")
    FILES: tuple[files.File, ...] = ()
    DESCRIPTION = ""
    HOMEPAGE = ""
    LICENCE = "not stated"
    CITATION = ""

    def __init__(
        self, *, contents: dict[str, bytes] | None = None, **kwargs: Any
    ) -> None:
        self.contents = contents or {}
        super().__init__(**kwargs)

    @abc.abstractmethod
    def features(self) -> dict[str, Any]:
        """The features of an example, by name."""

    @abc.abstractmethod
    def parts(self) -> dict[str, Any]:
        """`{split: iterable of examples}`, each a dict like `features()`."""

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            license=self.LICENCE,
            features=tfds.features.FeaturesDict(self.features()),
            # The order of pieces and lines matters.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # `zoo.datasets.files` fetches and checks the files itself.
        return {name: self._numbered(part) for name, part in self.parts().items()}

    def _numbered(self, part):
        yield from enumerate(part)

    def _generate_examples(self, part):
        yield from self._numbered(part)


def load_parts(
    builder_class: type[ZooBuilder], data_dir: str | os.PathLike | None
) -> dict[str, list[dict[str, Any]]]:
    """Loads all examples of a data set; prepares it in the cache folder the first time.

    Args:
        builder_class: A `ZooBuilder`.
        data_dir: Folder with local copies of its files, or None.

    Returns:
        `{split: list of examples}`, each a dict of NumPy values.

    Raises:
        UserError: If the given folder does not have the registered files, or the cache
            folder cannot be used.
        ZooError: If they can neither be found nor downloaded, or another process
            takes too long to prepare them.
    """
    named = [files.find(file, data_dir) for file in builder_class.FILES]
    folder = cache_folder()
    with usable_cache():
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            builder = builder_class(data_dir=folder / "datasets")
            prepared = builder.data_path.exists()
        # A cached copy must not hide a wrong file.
        if not prepared or any(named):
            contents = {f.path: files.read(f, data_dir) for f in builder_class.FILES}
        if not prepared:
            # One process prepares the data; those that waited find them ready.
            lock = folder / f".{builder.name}.lock"
            with one_at_a_time(lock, f"preparing {builder.name}"), quiet():
                builder = builder_class(contents=contents, data_dir=folder / "datasets")
                builder.download_and_prepare(download_dir=folder / "downloads")
    # Read the files one after the other, to keep the order of pieces and lines.
    read = tfds.ReadConfig(interleave_cycle_length=1)
    with quiet():
        return {
            name: list(tfds.as_numpy(builder.as_dataset(split=name, read_config=read)))
            for name in builder.info.splits
        }


def stacked(examples: list[dict], name: str) -> np.ndarray:
    """One feature of all examples as an array."""
    return np.stack([example[name] for example in examples])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the long messages and warnings that TFDS prints."""
    tfds.disable_progress_bar()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
