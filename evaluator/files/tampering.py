"""What a training did that it must not do: files that it changed, left behind or read. Looks once it has ended."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.evaluator.executors.base import CommandResult
from tunesmith.evaluator.files.read_trace import JudgedData
from tunesmith.evaluator.files.workspace import Workspace
from tunesmith.evaluator.sandbox.protected import changed_files
from tunesmith.evaluator.steps import EvaluationContext
from tunesmith.evaluator.supervision.leftovers import disarm, unsafe_artifacts
from tunesmith.study.trials.trial import Trial


def tampering(
    context: EvaluationContext,
    workspace: Workspace,
    filled: Mapping[str, str],
    result: CommandResult,
    *,
    is_sandboxed: bool,
) -> str:
    """Return what the training changed or left that it must not, "" for nothing.

    Args:
        context: of the study.
        workspace: the trial's folders.
        filled: the signature of each protected file that was written into the trial's copy, by path.
        result: of the training.
        is_sandboxed: whether it ran in the sandbox.
    """
    folders = {workspace.work: {**context.protected, **filled}, context.snapshot.folder: context.protected}
    for folder, expected in folders.items():
        for name in changed_files(folder, expected):
            return f"{name} was changed by the trial; it is protected ([edits].protect)"
    if not is_sandboxed:
        return ""
    if result.unsafe is None:  # the supervisor was killed before it could look
        found = next(unsafe_artifacts(str(workspace.artifacts)), "")
        disarm(str(workspace.folder))
        return found
    return result.unsafe


def forbidden_read(reads: JudgedData, trial: Trial, names: set[str]) -> str:
    """Return which file edited code read that only the judge reads; "" for none. Notes what other code reads.

    Args:
        reads: what is known of the judge and of the user's own code.
        trial: which ran.
        names: the files that it read.
    """
    if not trial.proposal.code:
        reads.note_training(names)
        return ""
    found = reads.forbidden(names)
    return (
        f"it read {found}, which only [evaluate] reads; edited code must not see what it is judged by" if found else ""
    )
