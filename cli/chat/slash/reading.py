"""Slash commands that show something: the study, its best, trials, logs, plots, edits."""

from __future__ import annotations

import shutil

from tunesmith.cli.chat.slash.calling import call_tool, loaded_study, with_study
from tunesmith.cli.chat.slash.parsing import trial_number
from tunesmith.cli.display.format import front_line, front_rows
from tunesmith.cli.display.status_text import status_text
from tunesmith.cli.display.trial_story import trial_story
from tunesmith.cli.session.locate import OpenStudy, find_trial
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.study.trials.winner import leaderboard, winner, winner_text
from tunesmith.study.units import short_number
from tunesmith.tools.llm_tools.edits import EDIT, EDITS
from tunesmith.tools.llm_tools.report import REPORT
from tunesmith.tools.llm_tools.results.comparison import COMPARE
from tunesmith.tools.llm_tools.results.plot import plot_points
from tunesmith.tools.llm_tools.script.files import LOG, log_text
from tunesmith.tools.report.plots.ascii_plot import plot_lines
from tunesmith.tools.variants.run_command import code_needed, run_line

BEST_LISTED = 5
PLOT_WIDTH = 80


def status(session: StudySession, _: str) -> str:
    """Show the state of the study."""
    return with_study(session, status_text)


def best(session: StudySession, _: str) -> str:
    """Show the best trials, and the command line of the best."""

    def text(opened: OpenStudy) -> str:
        record = opened.record
        trials = opened.history.trials(record.id)
        best, ranked = winner(trials, record.spec), leaderboard(trials, record.spec)[:BEST_LISTED]
        outside = opened.history.left_out_text(record)
        if best is None:
            return "\n".join(["no trial is complete yet", *([outside] if outside else [])])
        metric = record.spec.objectives[0].metric
        rows = [f"#{t.number}  {metric} {short_number(t.values[metric])}  {render_params(t.params)}" for t in ranked]
        front = opened.history.front(record)
        if front:
            # The study's choice comes first, also where it is only expected to be the best and not measured so.
            listed = [best.trial, *(t for t in front if t.number != best.trial.number)]
            rows = [front_line(front, record.spec.objectives), *front_rows(listed, record.spec.objectives)]
        code, seed = best.trial.proposal.code, best.trial.proposal.seed
        line = run_line(record.spec, best.trial.params, code, opened.history.variants(record.id), seed=seed)
        head = [f"best: {metric} {winner_text(best)}", *([outside] if outside else [])]
        needed = code_needed(record.spec, best.trial.proposal.code)
        return "\n".join([*head, *rows, "", f"  {line}", *([f"  {needed}"] if needed else [])])

    return with_study(session, text)


def trial(session: StudySession, rest: str) -> str:
    """Tell the story of a trial."""
    return with_study(session, lambda opened: trial_story(opened, find_trial(opened, trial_number(rest, "/trial 12"))))


def why(session: StudySession, rest: str) -> str:
    """Say who proposed a trial, and why."""
    number = trial_number(rest, "/why 12")

    def text(opened: OpenStudy) -> str:
        trial = find_trial(opened, number)
        proposal = trial.proposal
        lines = [f"trial {number} came from {proposal.source.value}: {proposal.rationale or 'no reason was given'}"]
        lines += [f"  the sampler replaced the LLM: {proposal.fallback_reason}"] if proposal.fallback_reason else []
        lines += [f"  considered: {words}" for words in proposal.considered]
        metric = opened.record.spec.objectives[0].metric
        if proposal.prediction:
            got = short_number(trial.values[metric]) if metric in trial.values else trial.state.value
            lines.append(f"  expected {short_number(proposal.prediction.mean)}, got {got}")
        return "\n".join(lines)

    return with_study(session, text)


def plot(session: StudySession, rest: str) -> str:
    """Draw value over trials, the curve of one (`/plot 12`), or a slice over a parameter (`/plot lr`)."""
    loaded = loaded_study(session)
    width = min(shutil.get_terminal_size((PLOT_WIDTH, 24)).columns, PLOT_WIDTH)
    return "\n".join(plot_lines(plot_points(loaded.reader, rest), width=width))


def edits(session: StudySession, rest: str) -> str:
    """List the edits of the code, or show the diff of one."""
    return call_tool(session, EDIT, {"name": rest}) if rest else call_tool(session, EDITS, {})


def log(session: StudySession, rest: str) -> str:
    """Show the end of a trial's output: `/log 12`, `/log 12 100`."""
    words = [word.lstrip("#") for word in rest.split()]
    if len(words) not in (1, 2) or not all(word.isdigit() for word in words):
        raise ToolRefused("give a trial's number, and how many lines if you like, for example /log 12 100")
    loaded_study(session)
    return log_text(session.context(), LOG.parse(dict(zip(("number", "lines"), map(int, words), strict=False))))


def compare(session: StudySession, rest: str) -> str:
    """Compare trials: `/compare 3 12`."""
    words = [word.lstrip("#") for word in rest.replace(",", " ").split()]
    if len(words) < 2 or not all(word.isdigit() for word in words):  # noqa: PLR2004  # one cannot be compared
        raise ToolRefused("give two trials or more, for example /compare 3 12")
    return call_tool(session, COMPARE, {"numbers": [int(word) for word in words]})


def report(session: StudySession, _: str) -> str:
    """Write the report and return its path, which the text for models begins with."""
    return call_tool(session, REPORT, {}).splitlines()[0]
