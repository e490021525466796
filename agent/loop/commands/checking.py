"""Says whether a study's loop would refuse a command, from its file, its history and the commands that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.agent.loop.commands.decisions import CommandDecision, RunState, decide
from tunesmith.study.commands import Command, EditCode, FitConstants, parse_command
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.tools.control.earlier_commands import read_earlier_commands
from tunesmith.tools.control.inbox import PendingCommand
from tunesmith.tools.control.study_reader import FileStudyReader


def check_command(
    command: Command, spec: StudySpec, reader: FileStudyReader, pending: Sequence[PendingCommand] = ()
) -> None:
    """Refuse a command that the loop would refuse as the study is now. Edits have a check of their own.

    Args:
        command: what a person, a chat or another agent asks for.
        spec: the study file.
        reader: the study's history.
        pending: the commands that the loop has not read yet; it will decide on them first.

    Raises:
        ToolRefused: the message says why, and what is possible instead.
    """
    if isinstance(command, EditCode | FitConstants):
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
    decide(command, _after(pending, state))


def _after(pending: Sequence[PendingCommand], state: RunState) -> RunState:
    """Return the state once the waiting commands have been executed, without the trials that they queue."""
    for waiting in pending:
        try:
            decision = decide(parse_command(waiting.text), state)
        except ToolRefused:
            continue
        steering = state.steering if decision.steering is None else decision.steering
        trials = [replace(t, forgotten=_is_forgotten(t, decision)) for t in state.trials]
        state = replace(state, spec=decision.spec or state.spec, steering=steering, trials=trials)
    return state


def _is_forgotten(trial: Trial, decision: CommandDecision) -> bool:
    return trial.number in decision.forget or (trial.forgotten and trial.number not in decision.take_up)
