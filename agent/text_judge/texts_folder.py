"""Keeps the texts of each trial in a folder next to its trials, where no trial can see or change them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from tunesmith.evaluator.files.free_disk import is_full
from tunesmith.evaluator.readers.texts_file import read_texts_file
from tunesmith.study.errors import DiskFull, ProjectError
from tunesmith.study.files import write_atomic
from tunesmith.study.trials.observed.texts import Texts, TextsUnusable, write_texts

FOLDER = "texts"
_CACHED = 4


class TextsFolder:
    """The texts of a study's trials, one file for each.

    Args:
        folder: the study's own folder.
        order: the numbers of the trials whose texts earlier runs put here, in order.
    """

    def __init__(self, folder: Path, order: Iterable[int] = ()) -> None:
        self._folder = folder / FOLDER
        self._order = [number for number in dict.fromkeys(order) if self.path(number).is_file()]
        self._read = lru_cache(maxsize=_CACHED)(lambda number: read_texts_file(self.path(number)))

    def __contains__(self, number: object) -> bool:
        return number in self._order

    def __iter__(self) -> Iterator[int]:
        return iter(self._order)

    def __getitem__(self, number: int) -> Texts:
        """Return the texts of a trial; none where its file was damaged since."""
        try:
            return self._read(number)
        except TextsUnusable:
            return {}

    def path(self, number: int) -> Path:
        """Return the file of a trial."""
        return self._folder / f"{number:04d}.jsonl"

    def add(self, number: int, texts: Texts) -> None:
        """Keep the texts of a trial; those that it had are replaced.

        Raises:
            InputError: the file cannot be written, such as where the disk is full.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path(number), write_texts(texts))
        except OSError as error:
            text = f"the texts of trial {number} cannot be kept: {error.strerror} ({error.filename})"
            raise (DiskFull if is_full(error) else ProjectError)(text) from None
        self._read.cache_clear()
        if number not in self._order:
            self._order.append(number)
