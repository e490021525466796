"""Runs the default configuration for some seconds, to find out what a study would see. Records nothing.

The run uses a temporary folder, which is removed afterwards. Knows no database and no sampler.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.base import CommandResult, CommandSpec, Executor, Job
from tunesmith.evaluator.executors.handle import ExecutorHandle
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.files.tree_walk import remove, walk
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.preview.output_survey import OutputSurvey, ProgressMark, Sighting
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState

DEFAULT_SECONDS = 20.0
MIN_MEASURED_S = 2.0
"""Time from which the pace of a command is known well enough to end it."""
ENOUGH_REPORTS = 3
"""Number of reports of every metric, at different steps, after which a command that would not end in time is ended."""
POLL_S = 0.02
END_TIMEOUT_S = 20.0
"""Time in which a command that was asked to end has ended."""
FOLDER_PREFIX = "check-"


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a dry run found.

    Attributes:
        params: the configuration that ran.
        fidelity: at which it ran; None if the study has none.
        outcome: as of a trial; STOPPED if the command was ended because it ran too long.
        limit_s: time that each command had.
        ran_judge: whether the command of [evaluate] was started.
        slots: number of trials that run at once.
        sightings: every name that had numbers.
        marks: progress lines of the training, such as "epoch 3/30".
        steps: seconds since the start of the training, and step, of the metric that was reported most often.
        counts: how often each metric was read.
        written: the shared folders that the run wrote in.
    """

    params: Mapping[str, Value]
    fidelity: float | None
    outcome: Outcome
    limit_s: float
    ran_judge: bool
    slots: int
    sightings: Sequence[Sighting]
    marks: Sequence[ProgressMark]
    steps: Sequence[tuple[float, float]]
    counts: Mapping[str, int]
    written: Sequence[str] = ()

    @property
    def ended(self) -> bool:
        """Whether the commands ended by themselves."""
        return self.outcome.state is not TrialState.STOPPED


def dry_run(
    spec: StudySpec,
    *,
    project: Path,
    study_root: Path,
    seconds: float = DEFAULT_SECONDS,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> DryRun:
    """Run the default configuration, at the smallest fidelity, for at most `seconds` per command.

    Args:
        spec: the study.
        project: the folder of study.toml.
        study_root: the folder that the studies' own folders are in; the dry run's is made there and removed.
        seconds: time for the training, and again for the command of [evaluate].
        is_cancelled: asked several times a second; ends the run at once.

    Raises:
        ProjectError: the run cannot start: a GPU, the executor or the sandbox is missing, or a folder cannot be made.
        KeyboardInterrupt: it was cancelled.
    """
    spec = _shortened(spec)
    with _own_folder(study_root) as folder:
        survey = OutputSurvey(spec)
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        handle = ExecutorHandle(spec, folder=folder, cpus=cpus, wake=lambda: None)
        evaluator = Evaluator(
            spec, project=project, folder=folder, executor=_SurveyingExecutor(handle.executor, survey)
        )
        try:
            slots = handle.slots(spec)
            run = _Runner(spec, evaluator, survey, seconds, is_cancelled).run(slots)
            return replace(run, written=_written(project, spec.run.shared, survey.started_at))
        finally:
            evaluator.close()


def _shortened(spec: StudySpec) -> StudySpec:
    """Return the study with one launch instead of several, if it has the judge of time: the check needs no interval."""
    table = spec.evaluate
    if table is None or not table.is_time:
        return spec
    shorter = table.model_copy(update={"launches": 1, "pairs": -(-table.pairs // table.launches)})
    return spec.model_copy(update={"evaluate": shorter})


class _Runner:
    """One dry run: the evaluation, and what was observed of it."""

    def __init__(
        self,
        spec: StudySpec,
        evaluator: Evaluator,
        survey: OutputSurvey,
        seconds: float,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._spec, self._evaluator, self._survey = spec, evaluator, survey
        self._seconds, self._is_cancelled = seconds, is_cancelled
        self._observations: list[Observation] = []
        self._training_started_at = 0.0

    def run(self, slots: Sequence[Slot]) -> DryRun:
        trial = _default_trial(self._spec)
        evaluation = self._evaluator.start(trial, slots[0], self._observations.append)
        self._training_started_at = self._survey.started_at
        try:
            outcome = self._wait(evaluation)
        except BaseException:
            evaluation.kill("the check was interrupted")
            _wait_for_end(evaluation)
            raise
        return DryRun(
            params=trial.params,
            fidelity=trial.proposal.fidelity,
            outcome=outcome,
            limit_s=self._seconds,
            ran_judge=self._survey.commands > 1,
            slots=len(slots),
            sightings=self._survey.sightings,
            marks=self._survey.marks,
            steps=self._steps(),
            counts=self._counts(),
        )

    def _wait(self, evaluation: Evaluation) -> Outcome:
        """Poll until the end, and end a command that takes too long."""
        commands, deadline, is_stopped = 1, time.monotonic() + self._seconds, False
        while (outcome := evaluation.poll()) is None:
            if self._is_cancelled():
                raise KeyboardInterrupt
            if self._survey.commands > commands:
                commands, deadline = self._survey.commands, time.monotonic() + self._seconds
            if not is_stopped and (time.monotonic() >= deadline or self._knows_enough(deadline)):
                evaluation.stop(f"ended by the check after {self._elapsed_s():.0f} s")
                is_stopped, deadline = True, time.monotonic() + END_TIMEOUT_S
            elif is_stopped and time.monotonic() >= deadline:
                evaluation.kill("did not end when it was asked to")
                deadline += END_TIMEOUT_S
            time.sleep(POLL_S)
        return outcome

    def _knows_enough(self, deadline: float) -> bool:
        """Return whether the metrics were seen, and the pace shows that the command cannot end before the deadline."""
        steps, fidelity = self._steps(), _smallest_fidelity(self._spec)
        if self._spec.evaluate is not None or fidelity is None or len({step for _, step in steps}) < ENOUGH_REPORTS:
            return False
        if self._elapsed_s() < MIN_MEASURED_S or any(count < ENOUGH_REPORTS for count in self._counts().values()):
            return False
        (first_s, first), (last_s, last) = steps[0], steps[-1]
        left_s = (fidelity - last) * (last_s - first_s) / (last - first) if last > first else 0.0
        return left_s > 2 * max(deadline - time.monotonic(), 0.0)

    def _elapsed_s(self) -> float:
        return time.time() - self._survey.started_at

    def _steps(self) -> list[tuple[float, float]]:
        counts: dict[str, int] = {}
        for observation in self._observations:
            counts[observation.metric] = counts.get(observation.metric, 0) + 1
        # Of several that were reported equally often, an objective's own steps.
        chosen = max(counts, key=lambda name: (counts[name], name in self._spec.reported_metrics), default="")
        start = self._training_started_at
        return [(max(o.at - start, 0.0), o.step) for o in self._observations if o.metric == chosen]

    def _counts(self) -> dict[str, int]:
        return {name: sum(o.metric == name for o in self._observations) for name in self._spec.reported_metrics}


class _SurveyingExecutor(Executor):
    """Passes every line of output to the survey as well."""

    def __init__(self, executor: Executor, survey: OutputSurvey) -> None:
        self._executor, self._survey = executor, survey

    def use_project(self, project: Path) -> None:
        self._executor.use_project(project)

    def capacity(self, *, gpus: float, cpus: int) -> int | None:
        return self._executor.capacity(gpus=gpus, cpus=cpus)

    def start(self, spec: CommandSpec) -> Job:
        self._survey.begin(spec)
        # Every line contains "".
        return _SurveyedJob(self._executor.start(replace(spec, line_words=("",))), self._survey)

    def close(self) -> None:
        self._executor.close()


class _SurveyedJob(Job):
    def __init__(self, job: Job, survey: OutputSurvey) -> None:
        self._job, self._survey = job, survey
        self._is_finished = False

    def poll(self) -> CommandResult | None:
        result = self._job.poll()
        if result is not None and not self._is_finished:
            self._is_finished = True
            self._survey.finish()
        return result

    def lines(self) -> list[OutputLine]:
        lines = self._job.lines()
        self._survey.read(lines)
        return lines

    def stop(self) -> None:
        self._job.stop()

    def kill(self) -> None:
        self._job.kill()


def _written(project: Path, shared: Sequence[str], since: float) -> list[str]:
    """Return the shared folders in which files were written: downloads, or results."""
    return [name for name in shared if any(_is_newer(entry.path, since) for entry in walk(project / name))]


def _is_newer(path: str, since: float) -> bool:
    with suppress(OSError):
        status = os.lstat(path)
        return stat.S_ISREG(status.st_mode) and status.st_mtime >= since
    return False


def _default_trial(spec: StudySpec) -> Trial:
    params = spec.space.default or spec.space.imputed
    instance = spec.instance_set.tuning[0] if spec.instance_set is not None else ""
    proposal = Proposal(
        params=params,
        source=Source.DEFAULT,
        seed=spec.study.seed,
        fidelity=_smallest_fidelity(spec),
        instance=instance,
    )
    return Trial(number=0, proposal=proposal, state=TrialState.RUNNING, started_at=time.time())


def _smallest_fidelity(spec: StudySpec) -> float | None:
    return None if spec.fidelity is None else spec.fidelity.min


def _wait_for_end(evaluation: Evaluation) -> None:
    until = time.monotonic() + END_TIMEOUT_S
    with suppress(ProjectError):
        while evaluation.poll() is None and time.monotonic() < until:
            time.sleep(POLL_S)


@contextmanager
def _own_folder(root: Path) -> Iterator[Path]:
    """Make a folder for this process, and remove it afterwards, with those of processes that were killed."""
    made = [path for path in (root, *root.parents) if not path.exists()]
    own = root / f"{FOLDER_PREFIX}{os.getpid()}-{time.monotonic_ns() % 10**9}"
    try:
        for path in root.glob(f"{FOLDER_PREFIX}*-*") if root.is_dir() else ():
            if not _is_alive(path.name.removeprefix(FOLDER_PREFIX).partition("-")[0]):
                remove(path)
        own.mkdir(parents=True)
    except OSError as error:
        raise ProjectError(f"the folder {own} cannot be made: {error.strerror}; correct that and check again") from None
    try:
        # A folder below, because the sandbox hides the one above a study's own.
        yield own / "study"
    finally:
        remove(own)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return True
