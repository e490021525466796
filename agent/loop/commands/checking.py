"""Says whether a study's loop would refuse a command, from its file and its history alone."""

from __future__ import annotations

from tunesmith.agent.loop.commands.decisions import RunState, decide
from tunesmith.study.commands import Command, EditCode
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.control.earlier_commands import read_earlier_commands
from tunesmith.tools.control.study_reader import FileStudyReader


def check_command(command: Command, spec: StudySpec, reader: FileStudyReader) -> None:
    """Refuse a command that the loop would refuse as the study is now. Edits have a check of their own.

    Args:
        command: what a person, a chat or another agent asks for.
        spec: the study file.
        reader: the study's history.

    Raises:
        ToolRefused: the message says why, and what is possible instead.
    """
    if isinstance(command, EditCode):
        return
    earlier = read_earlier_commands(spec, reader.commands())
    trials = sorted(reader.view().every_trial, key=lambda trial: trial.number)
    state = RunState(
        spec=earlier.spec,
        trials=trials,
        running=frozenset(t.number for t in trials if t.state is TrialState.RUNNING),
        steering=earlier.steering,
        paused=False,
    )
    decide(command, state)
