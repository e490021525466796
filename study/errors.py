"""The errors that Tunesmith raises deliberately: one class for each kind of reader.

TunesmithError
    InputError           read by the user: exit status 2, no traceback, nothing was written
        SpecError        study.toml, a search space or an option is wrong; lists every mistake
        HistoryError     the history cannot be used: locked by another process, damaged, or from a newer version
            HistoryLocked    another program holds the file in a transaction; a run waits for it
        DiskFull         nothing more can be written; the same command resumes once there is free disk
        ProjectError     something the study needs is missing: the script's folder, a GPU, an optional package
    ProposalError        a proposal does not fit the space; read by its source, which may try again
    ToolRefused          a tool cannot do what an LLM asked; read by the LLM, which adapts
    InternalError        a run broke off because of a fault in Tunesmith; read by the user, the traceback is in a file
    ModelDown            an LLM gave no answer (agent/llm/client/failures/errors.py); the sampler continues without it
    AnswerUnusable       an LLM's answer cannot be used (agent/llm/client/failures/errors.py); it may be asked again
    SpaceExhausted       every configuration of a finite space was tried; the loop ends the study

A failed trial is not an exception but a `Failure` (trials/trial.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROGRESS_IS_SAFE = "everything up to the last finished step is safe"
"""Part of every message about a run that broke off: what the reader wants to know first."""


class TunesmithError(Exception):
    """Base class of all errors that Tunesmith raises deliberately."""


class InternalError(TunesmithError):
    """A run broke off because of a fault in Tunesmith. The message says where the traceback is."""

    exit_status = 70


class InputError(TunesmithError):
    """The input is wrong. The message says what, where, and what to write instead."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the input.

    Attributes:
        key: the dotted key of the wrong value, such as `space.lr.low`; "" for the input as a whole.
        message: what is wrong and what to write instead; reads as the rest of a sentence that begins with the key.
    """

    key: str
    message: str

    def under(self, prefix: str) -> Mistake:
        """Return the mistake with its key inside the table `prefix`."""
        return Mistake(f"{prefix}.{self.key}" if self.key else prefix, self.message)


class SpecError(InputError):
    """A study file, a search space or an option is wrong.

    Attributes:
        mistakes: all mistakes, each once, in the order of the file.
        where: what has the mistakes, such as the file's name; "" for a search space from Python.
    """

    def __init__(self, mistakes: Sequence[Mistake], *, where: str = "") -> None:
        self.mistakes = tuple(dict.fromkeys(mistakes))
        self.where = where
        super().__init__(self._text())

    def _text(self) -> str:
        where, count = self.where or "the search space", len(self.mistakes)
        if count == 1 and not self.mistakes[0].key:
            return f"{where} {self.mistakes[0].message}"
        width = max((len(mistake.key) for mistake in self.mistakes), default=0)
        lines = (f"  {m.key:<{width}}  {m.message}" for m in self.mistakes)
        return "\n".join([f"{where} has {count} mistake{'s' if count > 1 else ''}:", *lines])


class HistoryError(InputError):
    """The history file cannot be used. The message says which process locks it, or what is wrong with it."""


class HistoryLocked(HistoryError):
    """Another program locks the history file. Everything up to the last finished step is safe."""


class HistoryRemoved(HistoryError):
    """The history file was removed or replaced while it was open. The message says where a copy of it is."""


class DiskFull(InputError):
    """The disk is full; the message says which one. Everything up to the last finished step is safe."""


class ProjectError(InputError):
    """Something that the study needs is missing on this machine."""


class ProposalError(TunesmithError):
    """A configuration does not fit the search space.

    Attributes:
        mistakes: all mistakes, one per parameter.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{m.key}: {m.message}" for m in self.mistakes))


class ToolRefused(TunesmithError):
    """A tool cannot do what was asked. The message says what can be asked instead."""


class SpaceExhausted(TunesmithError):
    """Every configuration of a finite search space has been tried."""
