"""Builds the command that judges a candidate: the judge's own process, and how it starts the two sides. Starts nothing.

The judge runs outside of the sandbox: it is Tunesmith's own code. Candidate, reference and the maker of inputs run in
the trial's sandbox if it has one, the candidate in its own folder, the other two in a fresh copy of the project.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.evaluator.executors.base import CommandSpec
from tunesmith.evaluator.executors.local import resolve_program
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.sandbox.bubblewrap import Sandbox
from tunesmith.evaluator.steps import EvaluationContext
from tunesmith.evaluator.timing.plan import Plan
from tunesmith.evaluator.timing.worker.process import Program
from tunesmith.evaluator.trial_command import TrialCommand
from tunesmith.study.config.filled import filled
from tunesmith.study.config.tables.run import EvaluateTable
from tunesmith.study.config.tables.timing import is_function, needs_no_command
from tunesmith.study.config.template import argv, placeholders
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Trial

PLAN, VERDICT = "timing-plan", "timing-verdict"
"""Files in the judge's folder, which the sandbox shows to neither side."""
_PASSED_ON = ("TUNESMITH_TRIAL_FOLDER", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one side runs as.

    Attributes:
        command: its folders, and what it may see.
        trial: whose parameters it has.
        function: FILE.py:NAME, or a command line, with placeholders.
        arguments: further arguments of the function, with placeholders.
    """

    command: TrialCommand
    trial: Trial
    function: str
    arguments: Mapping[str, str | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingJob:
    """The judging of one trial.

    Attributes:
        context: of the study.
        slot: where it runs.
        gpus: number of GPUs that the trial is charged for.
        sandbox: what both sides run in; None for no sandbox.
        candidate: the trial's own code and parameters.
        reference: the user's own code, with the default parameters.
        folder: of the judge.
        report: where its metrics go.
    """

    context: EvaluationContext
    slot: Slot
    gpus: float
    sandbox: Sandbox | None
    candidate: Side
    reference: Side
    folder: Path
    report: Path

    def write_plan(self) -> None:
        """Write the plan into the judge's folder.

        Raises:
            OSError: it cannot be written.
        """
        table = self._table
        values = self.candidate.command.values(self.context.spec, self.candidate.trial)
        build = self.context.spec.run.command
        plan = Plan(
            reference=self._program(self.reference),
            candidate=self._program(self.candidate),
            build=() if needs_no_command(build) else self._words(self.reference, build),
            inputs=table.inputs or "",
            cases=[_filled_case(case, values) for case in table.cases] or [{}],
            checks=[_filled_case(case, values) for case in table.checks],
            tolerance=table.tolerance,
            pairs=table.pairs,
            launches=table.launches,
            warmup=table.warmup,
            is_cold=table.cache == "cold",
            flops=table.flops,
            bytes=table.bytes,
            peak_flops=table.peak_flops,
            peak_bytes=table.peak_bytes,
            owns_orphans=self.sandbox is None,
            verdict_file=str(self.folder / VERDICT),
            report_file=str(self.report),
        )
        plan.write(self.folder / PLAN)

    def spec(self, log: Path) -> CommandSpec:
        """Return the judge's command."""
        run = self.context.spec.run
        side = self._spec(self.candidate)
        passed_on = {name: side.environment[name] for name in _PASSED_ON if name in side.environment}
        return CommandSpec(
            # -P: nothing is imported from the working directory.
            argv=[sys.executable, "-P", "-m", "tunesmith.evaluator.timing.judge", str(self.folder / PLAN)],
            cwd=self.folder,
            environment={**os.environ, **passed_on, "PYTHONUNBUFFERED": "1"},
            log=log,
            log_bytes=run.log,
            timeout_s=run.timeout,
            file_bytes=run.disk,
            memory_bytes=run.memory or 0,
            folder=self.folder,
            report=self.report,
            gpus=self.gpus,
            cores=self.slot.cores,
        )

    @property
    def _table(self) -> EvaluateTable:
        assert self.context.spec.evaluate is not None  # noqa: S101  # a study with the judge of time
        return self.context.spec.evaluate

    def _program(self, side: Side) -> Program:
        values = side.command.values(self.context.spec, side.trial)
        spec = self._spec(side)
        wrapped = self._wrapped(side, spec)
        has_function = is_function(side.function)
        active = {k: v for k, v in side.arguments.items() if all(name in values for name in placeholders(str(v)))}
        return Program(
            argv=list(wrapped.argv),
            cwd=str(wrapped.cwd),
            environment=dict(wrapped.environment),
            target=side.function if has_function else "",
            program=() if has_function else argv(side.function, values),
            arguments={name: filled(entry, values) for name, entry in active.items()} if has_function else {},
        )

    def _words(self, side: Side, template: str) -> Sequence[str]:
        return list(self._wrapped(side, self._spec_of(side, template)).argv)

    def _spec(self, side: Side) -> CommandSpec:
        """Return the command of a worker, up to its own arguments: it needs no shell."""
        spec = self._spec_of(side, "python")
        return replace(spec, argv=[resolve_program("python", spec.environment.get("PATH"))])

    def _spec_of(self, side: Side, template: str) -> CommandSpec:
        command = replace(side.command, template=template)
        is_sandboxed = self.sandbox is not None
        return command.spec(self.context.spec, side.trial, self.slot, gpus=self.gpus, is_sandboxed=is_sandboxed)

    def _wrapped(self, side: Side, spec: CommandSpec) -> CommandSpec:
        if self.sandbox is None:
            return spec
        mounts = side.command.mounts(self.context.snapshot, self.context.protected, gpus=bool(self.slot.gpus))
        return self.sandbox.wrap(spec, mounts)


def _filled_case(case: Mapping[str, Value], values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: filled(item, values) if isinstance(item, str) else item for name, item in case.items()}
