"""Which trial each door of a study names as its best: status, chat, tools, watch, report, apply, export."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

from tunesmith.cli.chat.slash.commands import run_slash
from tunesmith.cli.commands.status import show_status
from tunesmith.cli.session.study_session import StudySession
from tunesmith.cli.watch.snapshot import SnapshotReader
from tunesmith.history.read import History
from tunesmith.tools.interop.study_export import best_configurations
from tunesmith.tools.llm_tools.report import markdown
from tunesmith.tools.llm_tools.results.study import study_text
from tunesmith.tools.llm_tools.trials import NoArguments, TrialsArguments, trial_lines
from tunesmith.tools.report.gather import report_input
from tunesmith.tools.report.to_json import to_json
from tunesmith.tools.variants.results import compare_variant


def printed(call: Callable[[], None]) -> str:
    """Return what a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        call()
    return out.getvalue()


def number_in(text: str, pattern: str) -> int | None:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found.group(1)) if found else None


def named_by_doors(folder: Path) -> dict[str, int | None]:
    """Return the number of the trial that each door names."""
    path = folder / ".tunesmith" / "history.db"
    session = StudySession(folder, path, by="chat")
    loaded = session.loaded()
    assert loaded is not None
    found: dict[str, int | None] = {}
    status = json.loads(printed(lambda: show_status(folder, history=path, why=None, as_json=True)))
    found["status --json"] = status["best"] and status["best"]["trial"]
    text = printed(lambda: show_status(folder, history=path, why=None, as_json=False))
    found["status"] = number_in(text, r"^ *best(?: in \S+)?: .* in trial (\d+)")
    found["/best"] = number_in(run_slash("/best", session), r"^best: .* in trial (\d+)")
    found["/best's first row"] = number_in(run_slash("/best", session), r"^#(\d+)")
    found["study"] = number_in(study_text(loaded.context, NoArguments()), r"^best: #(\d+)")
    found["trials(best)"] = number_in(trial_lines(loaded.context, TrialsArguments(which="best")), r"\A#(\d+)")
    watch = SnapshotReader(folder, path)
    snapshot = watch.read()
    assert not isinstance(snapshot, str)
    found["watch"] = snapshot.best.number if snapshot.best else None
    watch.close()
    found |= named_by_reports(path, markdown(loaded.context))
    loaded.reader.close()
    return found


def named_by_reports(path: Path, resource: str) -> dict[str, int | None]:
    """Return the number of the trial that the report, its command and `apply` name."""
    with History.open(path) as history:
        record = history.study(history.names()[0])
        report, trials = report_input(history, record), history.trials(record.id)
        summary = to_json(report)["summary"]
        best = report.summary.best
        found = {"report": summary["best"] and summary["best"]["number"], "history": None}
        chosen = history.winner(record)
        found["history"] = chosen.trial.number if chosen else None
        if best is not None and not report.summary.front:
            found["markdown"] = best.number if f"#{best.number} " in resource or f"(#{best.number})" in resource else -1
        if best is not None:
            ran = next(t for t in trials if t.number == best.number)
            if ran.proposal.code:
                variants = history.variants(record.id)
                edited = next(v for v in variants if v.id == ran.proposal.code)
                compared = compare_variant(record, trials, variants, edited)
                found["apply"] = compared.best.number if compared.best else None
            else:
                points = best_configurations(trials, record.spec, 1)
                found["export"] = best.number if points == [dict(ran.params)] else -1
    return found
