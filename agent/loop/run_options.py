"""Options of a run that are not part of the study file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.loop.limits.clocks import Clocks
from tunesmith.agent.planner.model import RecordingFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Where and how a study runs.

    Attributes:
        project: the folder of study.toml; trials run from a copy of it.
        history: the history file.
        cpus: cores of this machine that trials may use.
        recording: file to which the LLM's answers are recorded, or from which they are replayed.
        unsafe_edits: whether edited code may run without the sandbox.
        keep_going: whether the run continues when trials fail for every configuration.
        after_full_disk: whether the last run ended in this process because the disk was full: its trials then lost no
            attempt.
        moved: whether the user says that the project moved here from another folder.
        clocks: the sources of time.
    """

    project: Path
    history: Path
    cpus: int
    recording: RecordingFiles | None = None
    unsafe_edits: bool = False
    keep_going: bool = False
    after_full_disk: bool = False
    moved: bool = False
    clocks: Clocks = Clocks()
