"""Tools whose answers are data as well as text, and how the data is made. Each returns both, from one reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.history.redact import redact
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.formatting import one_line
from tunesmith.study.trials.winner import incumbent
from tunesmith.tools.analysis.confirmation.seed_values import runs_of
from tunesmith.tools.analysis.importance import Share
from tunesmith.tools.checks.finding import has_problem
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.learning import (
    PointsArguments,
    PredictArguments,
    expectation,
    expectation_text,
    mattered,
    mattered_text,
    points_text,
    suggested,
)
from tunesmith.tools.llm_tools.results.comparison import CompareArguments, comparison_text, comparison_verdicts
from tunesmith.tools.llm_tools.results.study import study_text
from tunesmith.tools.llm_tools.script.check import CheckArguments, findings_text, tried
from tunesmith.tools.llm_tools.structured import models
from tunesmith.tools.llm_tools.structured.study_data import studies_data, study_data
from tunesmith.tools.llm_tools.structured.trial_data import (
    MAX_TEXT,
    all_trial_data,
    finite,
    plain,
    series_data,
    trial_data,
)
from tunesmith.tools.llm_tools.studies.listing import study_lines
from tunesmith.tools.llm_tools.tool import MAX_ANSWER_CHARS, AnyTool
from tunesmith.tools.llm_tools.trials import (
    NoArguments,
    TrialArguments,
    TrialsArguments,
    curve_text,
    find_trial,
    matching_trials,
    trial_lines,
    trial_text,
)
from tunesmith.tools.llm_tools.waiting import WaitArguments, wait_text, waited


@dataclass(frozen=True, slots=True)
class Structured:
    """A tool's answer as data.

    Attributes:
        model: its fields.
        answer: returns text and data; raises like the tool.
    """

    model: type[models.Answer]
    answer: Callable[[ToolContext, Any], tuple[str, models.Answer]]

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the data."""
        return self.model.model_json_schema()


def structured_call(tool: AnyTool, context: ToolContext, args: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Run a tool; return its text, and its data where it has some, both without secrets.

    Raises:
        ToolRefused: the arguments are not valid, or the request cannot be carried out.
    """
    structured = STRUCTURED.get(tool.name)
    if structured is None:
        return tool.call(context, args), None
    text, data = tool.checked(context, args, structured.answer)
    return redact(text)[:MAX_ANSWER_CHARS], _redacted(data.model_dump(mode="json"))


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list) else value


def _study(context: ToolContext, args: NoArguments) -> tuple[str, models.Answer]:
    return study_text(context, args), study_data(context)


def _trials(context: ToolContext, args: TrialsArguments) -> tuple[str, models.Answer]:
    found = matching_trials(context.study.view(), args)
    page = found[args.offset : args.offset + args.limit]
    return trial_lines(context, args), models.TrialsData(trials=all_trial_data(page), total=len(found))


def _trial(context: ToolContext, args: TrialArguments) -> tuple[str, models.Answer]:
    view = context.study.view()
    trial = find_trial(view, args.number)
    data = models.TrialAnswer(trial=trial_data(trial), runs=all_trial_data(runs_of(trial, view)))
    return trial_text(context, args), data


def _curve(context: ToolContext, args: TrialArguments) -> tuple[str, models.Answer]:
    text = curve_text(context, args)
    return text, models.CurveData(number=args.number, series=series_data(context.study.curve(args.number)))


def _compare(context: ToolContext, args: CompareArguments) -> tuple[str, models.Answer]:
    view = context.study.view()
    trials = [find_trial(view, number) for number in dict.fromkeys(args.numbers)]
    verdicts = comparison_verdicts(trials, view)
    return comparison_text(context, args), models.ComparisonData(trials=all_trial_data(trials), verdicts=verdicts)


def _wait(context: ToolContext, args: WaitArguments) -> tuple[str, models.Answer]:
    done = waited(context, args)
    best = incumbent(done.view.trials, done.view)
    data = models.WaitData(
        has_happened=done.has_happened,
        is_running=context.control is not None and context.control.is_running(),
        finished=all_trial_data(done.finished),
        best=trial_data(best) if best is not None else None,
    )
    return wait_text(done), data


def _importance(context: ToolContext, args: NoArguments) -> tuple[str, models.Answer]:  # noqa: ARG001
    found = mattered(context)
    data = models.ImportanceData(
        whole_space=_shares(found.importance.whole),
        near_best=_shares(found.importance.near_best),
        complete=found.importance.complete,
        failures=[one_line(text, MAX_TEXT) for text in found.failures],
    )
    return mattered_text(found), data


def _shares(shares: Mapping[str, Share]) -> dict[str, models.ShareData]:
    return {name: models.ShareData(mean=s.mean, low=s.low, high=s.high) for name, s in shares.items()}


def _predict(context: ToolContext, args: PredictArguments) -> tuple[str, models.Answer]:
    found = expectation(context, args)
    expected = found.forecast.prediction if found.forecast is not None else None
    data = models.ForecastData(
        params=plain(found.params),
        ran_as=list(found.ran_as),
        mean=expected.mean if expected is not None else None,
        std=expected.std if expected is not None else None,
        p_feasible=found.forecast.p_feasible if found.forecast is not None else None,
    )
    return expectation_text(found), data


def _points(context: ToolContext, args: PointsArguments) -> tuple[str, models.Answer]:
    found = suggested(context, args)
    data = models.PointsData(
        points=[models.PointData(params=plain(p.params), source=p.source, why=one_line(p.why, MAX_TEXT)) for p in found]
    )
    return points_text(found), data


def _check(context: ToolContext, args: CheckArguments) -> tuple[str, models.Answer]:
    run, findings = tried(context, args.seconds)
    data = models.CheckData(
        can_start=not has_problem(findings),
        findings=[models.FindingData(level=f.level, what=f.what, detail=one_line(f.detail, 1000)) for f in findings],
        values=finite(run.outcome.values) if run is not None else {},
        seconds=run.outcome.usage.wall_s if run is not None else None,
    )
    return fenced(findings_text(findings), "text", limit=8000), data


def _studies(context: ToolContext, args: NoArguments) -> tuple[str, models.Answer]:
    return study_lines(context, args), studies_data(context)


STRUCTURED: Mapping[str, Structured] = {
    "study": Structured(models.StudyData, _study),
    "trials": Structured(models.TrialsData, _trials),
    "trial": Structured(models.TrialAnswer, _trial),
    "curve": Structured(models.CurveData, _curve),
    "compare": Structured(models.ComparisonData, _compare),
    "wait": Structured(models.WaitData, _wait),
    "importance": Structured(models.ImportanceData, _importance),
    "predict": Structured(models.ForecastData, _predict),
    "points": Structured(models.PointsData, _points),
    "check": Structured(models.CheckData, _check),
    "studies": Structured(models.StudiesData, _studies),
}
"""By the tool's name. The other tools answer with text only: files, lists of rules, and what a command did."""
