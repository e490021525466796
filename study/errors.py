"""Every error that Tunesmith raises on purpose, one class per reader.

TunesmithError
    InputError           the user reads it: exit status 2, no traceback, nothing was written
        SpecError        study.toml, a search space or an option is wrong; carries every mistake
        HistoryError     the history cannot be used: held by another process, damaged, from a newer version
        DiskFull         nothing more can be written; the run goes on where it was once there is room
        ProjectError     what the study points at is not there: the script's folder, a GPU, a missing extra
    ProposalError        a proposal does not fit the space; whoever proposed it reads it and may try again
    ToolRefused          a tool cannot do what an LLM asked of it; the LLM reads it and adapts
    ModelDown            no answer was got from an LLM (agent/llm/client/errors.py); the sampler goes on alone
    AnswerUnusable       an LLM's answer cannot be used (agent/llm/client/errors.py); it may be asked again
    SpaceExhausted       every configuration of a finite space was tried; the loop ends the study with it

A failed trial is no exception but a `Failure` (trial.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

AS_IT_WAS = "everything up to the last finished step is safe"
"""What whoever reads of a broken run wants to know first."""


class TunesmithError(Exception):
    """Anything that Tunesmith raises on purpose."""


class InputError(TunesmithError):
    """The input is wrong; the message says what, where, and what to write instead."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong: the dotted key where it stands, and what may stand there instead."""

    key: str
    message: str

    def under(self, prefix: str) -> Mistake:
        """Return the same mistake with `prefix` put before its key."""
        return Mistake(f"{prefix}.{self.key}" if self.key else prefix, self.message)


class SpecError(InputError):
    """A study file, a search space or an option is wrong.

    Attributes:
        mistakes: every mistake found, in the order of the file.
        where: the file's name, or "" when the input came from Python.
    """

    def __init__(self, mistakes: Sequence[Mistake], *, where: str = "") -> None:
        self.mistakes = tuple(mistakes)
        self.where = where
        super().__init__(self._text())

    def _text(self) -> str:
        count = len(self.mistakes)
        head = f"{self.where or 'the search space'} has {count} mistake{'s' if count > 1 else ''}:"
        width = max((len(mistake.key) for mistake in self.mistakes), default=0)
        return "\n".join([head, *(f"  {m.key:<{width}}  {m.message}" for m in self.mistakes)])


class HistoryError(InputError):
    """The history file cannot be used; the message says who holds it or what is wrong with it."""


class DiskFull(InputError):
    """The disk has no room; the message says where. Everything up to the last finished step is safe."""


class ProjectError(InputError):
    """Something that the study points at is missing on this machine."""


class ProposalError(TunesmithError):
    """A configuration does not fit the search space.

    Attributes:
        mistakes: every mistake found, one per parameter.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{m.key}: {m.message}" for m in self.mistakes))


class ToolRefused(TunesmithError):
    """A tool cannot do what was asked; the message says what can be asked instead."""


class SpaceExhausted(TunesmithError):
    """Every configuration of a finite search space has been tried."""
