"""Says which limits of trials the kernel enforces on this machine, and which are only measured."""

from __future__ import annotations

from tunesmith.evaluator.supervision.control_group import find_parent
from tunesmith.study.config.spec import StudySpec

_MEASURED = (
    "measured, not enforced: a trial may exceed it for some hundredths of a second, and pages of shared memory that it "
    "keeps without mapping them, or files that it sends over sockets, are not seen"
)
_DISK = (
    "measured about once a second, not enforced: a trial may fill the disk before it is ended; to rule that out, put "
    "the history on a separate file system (--history)"
)


def memory_limit_text() -> tuple[bool, str]:
    """Return whether the kernel enforces [run].memory here, and a sentence about it."""
    parent, why_not = find_parent()
    if parent:
        return True, "[run].memory is enforced by the kernel, with a control group for each trial"
    return False, f"[run].memory is {_MEASURED}; for the kernel to enforce it: {why_not}"


def disk_limit_text() -> str:
    """Return a sentence about how [run].disk is kept."""
    return f"[run].disk is {_DISK}"


def weak_limits(spec: StudySpec) -> list[str]:
    """Return a sentence for each limit that the study sets and that is only measured here."""
    if spec.run.executor != "local":
        return []
    texts = [disk_limit_text()] if "disk" in spec.run.model_fields_set else []
    if spec.run.memory:
        is_enforced, text = memory_limit_text()
        texts = texts if is_enforced else [text, *texts]
    return texts
