"""The input of a report: a study as plain data, read from the history before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from tunesmith.study.config.record import Event, Lesson, StudyRecord
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Trial
from tunesmith.study.variant import Variant
from tunesmith.tools.analysis.arms import ArmLine, arm_lines, excluded_arms
from tunesmith.tools.analysis.confirmation.at_scale import ScaleResult, scale_results
from tunesmith.tools.analysis.confirmation.held_out_test import HeldOutTest
from tunesmith.tools.analysis.findings.summary import Summary, summarize
from tunesmith.tools.control.earlier_commands import COMMAND_EVENT, read_earlier_commands
from tunesmith.tools.variants.run_command import run_line


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """A study at one moment.

    Attributes:
        curves: the observations of each trial, by its number; trials without any may be missing.
        lessons: the LLM's lessons, the most useful first.
        tests: the results of [test], in order; people see them, models never do.
        versions: the versions of the code, including the user's own.
        generated_at: seconds since the epoch.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    curves: Mapping[int, Sequence[Observation]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    lessons: Sequence[Lesson] = ()
    tests: Sequence[HeldOutTest] = ()
    versions: Sequence[Variant] = ()
    generated_at: float

    @cached_property
    def summary(self) -> Summary:
        """The summary; computed once, since thousands of trials take half a second."""
        return summarize(self.record, self.trials)

    @property
    def arms(self) -> list[ArmLine]:
        """A line for each arm of an algorithm choice; none without one."""
        spec, commands = self.record.spec, [e for e in self.events if e.kind == COMMAND_EVENT]
        return arm_lines(spec, self.trials, excluded_arms(spec.space, read_earlier_commands(spec, commands).steering))

    @property
    def at_scale(self) -> list[ScaleResult]:
        """What became of the gains at the larger scale of [confirm]; [] where nothing ran there."""
        return scale_results(self.trials, self.record.spec, self.events)

    @property
    def command(self) -> str:
        """The command line of the best configuration, ready to paste; "" without one."""
        best = self.summary.best
        if best is None:
            return ""
        seed = next((t.proposal.seed for t in self.trials if t.number == best.number), None)
        return run_line(self.record.spec, best.params, self.best_code, self.versions, seed=seed)

    @property
    def best_code(self) -> str:
        """The edited version of the code that the best configuration ran with; "" for the user's own."""
        best = self.summary.best
        return next((t.proposal.code for t in self.trials if best is not None and t.number == best.number), "")

    @property
    def for_models(self) -> ReportInput:
        """The same without the results of [test] and the events: no choice may depend on them."""
        return replace(self, tests=(), events=())
