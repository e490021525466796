"""What an engineer would look at before an edit: how a trial ran, its series and its log, and the protected files.

Reads the study's folder and the project; writes nothing. Runs in the background thread that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tunesmith.agent.llm.client.types import LookupTool
from tunesmith.evaluator.files.private_files import hidden_paths, is_within
from tunesmith.evaluator.files.workspace import artifacts_folder, workspace_of
from tunesmith.evaluator.profiling.profile import Profile, read_profile
from tunesmith.evaluator.readers.texts_file import read_texts_file
from tunesmith.history.redact import redact
from tunesmith.prompts.history_summary import downsample
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.texts import OUTPUTS
from tunesmith.study.formatting import one_line
from tunesmith.study.search_replace import split_lines
from tunesmith.study.trials.observed.texts import ExampleText, TextsUnusable
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number, short_seconds
from tunesmith.study.variant import Variant
from tunesmith.tools.control.study_reader import InMemoryStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.edits import EDIT
from tunesmith.tools.llm_tools.script.files import LOG, SOURCE
from tunesmith.tools.llm_tools.tool import AnyTool
from tunesmith.tools.llm_tools.trials import TRIAL

LOG_LINES = 25
"""Number of lines of a log, from its end, that a question shows; the tool `log` shows more."""

MIN_PROFILED_S = 3.0
"""Length of a run from which on a question shows where its time went."""

_MIN_SHOWN_SHARE = 0.02
_LOG_BYTES = 16_000
_MAX_SERIES = 12
_MAX_FILE_CHARS = 12_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """What the runs of a study left behind.

    Attributes:
        folder: the study's own folder; None without one.
        project: the folder of study.toml.
        series: the values of every metric that a trial reported, by its number.
        last_step: the largest step that a trial reported, by its number; None without one.
        judged: the score that a judge of texts gave each example of a trial, by its number: larger is better.
        reasons: what that judge said of it.
        outputs: name of the file in {artifacts} in which a trial says how it did on each example.
    """

    folder: Path | None = None
    project: Path | None = None
    series: Callable[[int], Mapping[str, Sequence[float]]] = lambda number: {}  # noqa: ARG005
    last_step: Callable[[int], float | None] = lambda number: None  # noqa: ARG005
    judged: Callable[[int], Mapping[str, float]] = lambda number: {}  # noqa: ARG005
    reasons: Callable[[int], Mapping[str, str]] = lambda number: {}  # noqa: ARG005
    outputs: str = OUTPUTS
    _read: dict[int, Mapping[str, ExampleText]] = field(default_factory=dict)

    def series_text(self, number: int) -> list[str]:
        """Return a line for each metric that a trial reported while it trained, with a few of its values."""
        found = list(self.series(number).items())[:_MAX_SERIES]
        lines = ((name, downsample(list(values), 8)) for name, values in found)
        return [f"{name}: {', '.join(short_number(value) for value in values)}" for name, values in lines if values]

    def pace_text(self, trial: Trial) -> str:
        """Return how long a trial took, its steps, and what it used; "" while that is unknown."""
        if trial.outcome is None or not trial.outcome.usage.wall_s:
            return ""
        usage = trial.outcome.usage
        parts = [short_seconds(usage.wall_s)]
        steps = self.last_step(trial.number)
        if steps:
            parts.append(f"{short_number(steps)} steps, {_step_text(usage.wall_s / steps)} each with start and end")
        parts.append(f"{short_seconds(usage.cpu_s)} of CPU")
        parts.append(f"{short_number(usage.peak_rss_gib)} GiB of memory")
        if usage.gpu_busy is not None:
            parts.append(f"GPU busy {usage.gpu_busy:.0%}")
        if usage.gpu_mem_gib is not None:
            parts.append(f"{short_number(usage.gpu_mem_gib)} GiB of GPU memory")
        return ", ".join(parts)

    def examples(self, number: int) -> Mapping[str, ExampleText]:
        """Return what a finished trial wrote for each example, scored by the judge or by itself."""
        if self.folder is None:
            return {}
        if number not in self._read:
            try:
                found = read_texts_file(artifacts_folder(self.folder, number) / self.outputs)
            except TextsUnusable:
                found = {}
            scores, reasons = self.judged(number), self.reasons(number)
            self._read[number] = {
                name: replace(t, score=scores.get(name, t.score), feedback=t.feedback or reasons.get(name, ""))
                for name, t in found.items()
            }
        return self._read[number]

    def scores(self, number: int) -> dict[str, float]:
        """Return the score of each example of a finished trial that has one; larger is better."""
        return {name: text.score for name, text in self.examples(number).items() if text.score is not None}

    def profile(self, number: int) -> Profile | None:
        """Return where the time of a trial went; None where it was short or nothing was sampled."""
        found = read_profile(workspace_of(self.folder, number).profile) if self.folder is not None else None
        return found if found is not None and found.seconds >= MIN_PROFILED_S else None

    def log_end(self, number: int) -> str:
        """Return the last lines of a trial's log; "" without one."""
        if self.folder is None:
            return ""
        with suppress(OSError), workspace_of(self.folder, number).log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - _LOG_BYTES, 0))
            lines = split_lines(file.read().decode("utf-8", errors="replace"))
            return "\n".join(lines[-LOG_LINES:])
        return ""

    def protected_files(self, patterns: Sequence[str]) -> dict[str, str]:
        """Return the text of the Python files that a study protects, by path; long ones and others are left out."""
        if self.project is None:
            return {}
        found: dict[str, str] = {}
        hidden = hidden_paths(self.project)
        for pattern in patterns:
            with suppress(OSError, ValueError, NotImplementedError):
                for path in sorted(self.project.glob(pattern)):
                    name = path.relative_to(self.project).as_posix()
                    if is_within(path, hidden):
                        continue
                    if path.suffix == ".py" and path.is_file() and path.stat().st_size <= _MAX_FILE_CHARS:
                        found[name] = path.read_text(encoding="utf-8")
        return found


def _step_text(seconds: float) -> str:
    return f"{short_number(1000 * seconds, 2)} ms" if seconds < 1.0 else short_seconds(seconds)


def loading_text(profile: Profile | None) -> str:
    """Return the share of the time that a trial spent on loading data; "" while that is unknown."""
    return f"{profile.loading_share:.0%}" if profile is not None else ""


def profile_text(profile: Profile | None) -> str:
    """Return the lines of the project that took longest, one a line, each with its share of the time."""
    lines = profile.lines if profile is not None else ()
    return "\n".join(
        f"{line.share:4.0%}  {line.place} in {line.function}: {line.code}"
        for line in lines
        if line.share >= _MIN_SHOWN_SHARE
    )


def environment_text(spec: StudySpec) -> str:
    """Return the limits and variables of a run, in one line."""
    parts = [f"stopped after {short_seconds(spec.run.timeout)}"] if spec.run.timeout else []
    parts += [f"{name}={value}" for name, value in spec.run.env.items()]
    return redact(one_line(", ".join(parts), 600))


def edit_tools(spec: StudySpec, view: StudyView, variants: Sequence[Variant], records: RunRecords) -> list[LookupTool]:
    """Return what the model may look up before it answers a question about edits."""
    reader = InMemoryStudyReader(spec, view, tuple(variants))
    context = ToolContext(reader=reader, project=records.project, folder=records.folder, may_write=False)
    tools: list[AnyTool] = [TRIAL, EDIT]
    tools += [SOURCE] if records.project is not None else []
    tools += [LOG] if records.folder is not None else []
    return [_lookup_tool(tool, context) for tool in tools]


def _lookup_tool(tool: AnyTool, context: ToolContext) -> LookupTool:
    return LookupTool(tool.name, tool.description, tool.schema, lambda arguments: tool.call(context, arguments))
