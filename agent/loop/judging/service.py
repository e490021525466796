"""The judge of texts in a run: what it learns goes into the history, and trials wait while it is down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.loop.judging.judged_trial import JudgedTrial
from tunesmith.agent.loop.judging.outages import JudgeOutages
from tunesmith.agent.text_judge.asker import Asker
from tunesmith.agent.text_judge.judge import Known, TextJudge
from tunesmith.agent.text_judge.judged import JUDGED_EVENT, JudgedTexts, JudgedValues
from tunesmith.agent.text_judge.proof import Proof, same_label, too_few_labels
from tunesmith.agent.text_judge.questions import Rules
from tunesmith.agent.text_judge.texts_folder import TextsFolder
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.files.workspace import artifacts_folder
from tunesmith.evaluator.readers.labels_file import read_labels
from tunesmith.evaluator.readers.texts_file import read_texts_file
from tunesmith.history.write import Recorder
from tunesmith.study.config.tables.judge import JudgeTable
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.files import unreadable_text
from tunesmith.study.formatting import count, json_number_or_text
from tunesmith.study.trials.observed.texts import Texts, TextsUnusable
from tunesmith.study.trials.trial import Outcome, Trial, TrialState, Usage
from tunesmith.tools.analysis.findings.judge_line import PROOF_EVENT

RAN_EVENT = "ran"
"""Kind of the event that keeps how the command of a trial ended whose texts are judged next."""


class HistoryStore:
    """Keeps what a judge learns in the history."""

    def __init__(
        self, recorder: Recorder, charge: Callable[[Sequence[LoggedCall]], None], now: Callable[[], float]
    ) -> None:
        self._recorder, self._charge, self._now = recorder, charge, now

    def add_verdicts(self, verdicts: Mapping[str, str]) -> None:
        """Keep verdicts by the key of their question."""
        self._recorder.record_verdicts(verdicts, self._now())

    def add_judged(self, texts: JudgedTexts) -> None:
        """Keep what the judge said of a trial's texts."""
        self._recorder.record_event(JUDGED_EVENT, self._now(), detail=texts.to_detail())

    def add_proof(self, name: str, proof: Proof) -> None:
        """Keep what labels show of the judge, unless the history knows it."""
        detail = proof_detail(name, proof)
        known = self._recorder.history.events(self._recorder.study_id, PROOF_EVENT)
        if not known or dict(known[-1].detail) != detail:
            self._recorder.record_event(PROOF_EVENT, self._now(), detail=detail)

    def charge(self, calls: Sequence[LoggedCall]) -> None:
        """Log calls and count them against the budget."""
        self._charge(calls)


class Judging:
    """The judge of one run.

    Args:
        table: [judge].
        asker: asks the model.
        recorder: writes the history.
        charge: logs calls and counts them against the budget.
        spent_limit: returns the name of the limit on the LLM that is reached; "" while there is none.
        project: the folder of study.toml.
        folder: the study's own folder.
        now: the wall clock.
        note: shows a line to the user.
        best: returns the number of the trial that leads; None without one.

    Raises:
        ProjectError: a file that [judge] names cannot be read.
        SpecError: there are too few labels.
    """

    def __init__(  # noqa: PLR0913  # what asks, what is kept, and where files are
        self,
        table: JudgeTable,
        *,
        model: str,
        asker: Asker,
        recorder: Recorder,
        charge: Callable[[Sequence[LoggedCall]], None],
        spent_limit: Callable[[], str],
        project: Path,
        folder: Path,
        now: Callable[[], float],
        note: Callable[[str], None],
        best: Callable[[], int | None],
    ) -> None:
        self._table, self._recorder, self._spent_limit = table, recorder, spent_limit
        self._folder, self._now, self._note = folder, now, note
        self._ran = {
            (event.trial, event.detail["seed"]): event.detail
            for event in recorder.history.events(recorder.study_id, RAN_EVENT)
            if event.trial is not None
        }
        self._texts = TextsFolder(folder, [number for number, _ in self._ran])
        self._outages = JudgeOutages(recorder, now, note)
        labels = read_labels(table, project)
        if not table.accept_unproven and (reason := too_few_labels(len(labels)) or same_label(labels)):
            raise SpecError([Mistake("judge.labels", reason)], where="study.toml")
        self._judge = TextJudge(
            table,
            Rules(model, _criteria(table, project), *table.scale),
            asker=asker,
            store=HistoryStore(recorder, charge, now),
            known=Known(
                verdicts=recorder.history.verdicts(recorder.study_id),
                judged=_judged_before(recorder),
                texts=self._texts,
            ),
            labels=labels,
            reference=_reference(table, project),
            best=best,
        )
        self._first_notes = [_note_of_another(len(self._judge.stale))] if self._judge.stale else []
        if self._judge.waits_for_labels:
            self._first_notes.append(f"asking the judge about {count(len(labels), 'labelled example')} first")

    @property
    def is_ready(self) -> bool:
        """Whether the judge has shown on the labels that it counts, and has judged earlier trials: others may start."""
        return self._judge.is_proven and not self._judge.stale

    @property
    def keeps_run_open(self) -> bool:
        """Whether earlier trials still wait for values of this judge, and it answers."""
        return bool(self._judge.stale) and not self.is_down and not self.spent_limit

    @property
    def is_down(self) -> bool:
        """Whether the judge gives no answer at present."""
        return self._judge.asker.down is not None

    @property
    def spent_limit(self) -> str:
        """Name of the limit on the LLM that is reached; "" while there is none."""
        return self._spent_limit()

    def example_reasons(self, number: int) -> Mapping[str, str]:
        """Return what the judge said of a trial's texts, by example; none before they are judged."""
        found = self._judge.judged.get(number)
        return found.reasons if found is not None else {}

    def example_scores(self, number: int) -> dict[str, float]:
        """Return what a trial's texts came to on each example, larger is better; none before they are judged."""
        reference = self._judge.reference
        if number == reference and self._table.pairs:
            return dict.fromkeys(self._texts[number], 0.5)
        found = self._judge.judged.get(number)
        return dict(found.by_example(reference)) if found is not None and reference is not None else {}

    def has_run(self, trial: Trial) -> bool:
        """Return whether the command of a trial ended before, so that only its judging is left."""
        return (trial.number, trial.proposal.seed) in self._ran and trial.number in self._texts

    def start(self, trial: Trial, start: Callable[[], Evaluation]) -> JudgedTrial:
        """Start a trial, or only its judging where its command ended in an earlier run.

        Raises:
            ProjectError: the trial's folders cannot be made.
        """
        ran = _outcome(self._ran[trial.number, trial.proposal.seed]) if self.has_run(trial) else None
        kept = artifacts_folder(self._folder, trial.number) / self._table.outputs
        return JudgedTrial(
            trial,
            self._judge,
            evaluation=start() if ran is None else None,
            ran=ran,
            read=(lambda: read_texts_file(kept)) if ran is None else (lambda: self._texts[trial.number]),
            keep=lambda outcome: self._keep(trial, outcome),
            change=self._change,
            name=f"{{artifacts}}/{self._table.outputs}",
        )

    def advance(self) -> bool:
        """Take the judge's answers in, ask further questions, and say when it is down or answers again.

        Returns:
            Whether trials that had ended have other values now.

        Raises:
            ProjectError: the judge does not count, or nobody can ask it.
        """
        self._judge.collect(may_ask=not self.spent_limit)
        down = self._judge.asker.down
        if down is not None and down.permanent and not self._judge.is_proven:
            raise ProjectError(f"[judge]: {down.reason}")
        self._outages.update(self._judge.asker)
        while self._first_notes:
            self._note(self._first_notes.pop(0))
        changed = self._judge.judge_again()
        self._change(changed)
        return bool(changed)

    def _keep(self, trial: Trial, outcome: Outcome) -> None:
        detail = _detail(trial, outcome)
        self._recorder.record_event(RAN_EVENT, self._now(), trial=trial, detail=detail)
        self._ran[trial.number, trial.proposal.seed] = detail

    def _change(self, values: Mapping[int, JudgedValues]) -> None:
        if values:
            self._recorder.record_changed_values({n: v.values for n, v in values.items()}, self._now())


def proof_detail(name: str, proof: Proof) -> dict[str, Any]:
    """Return the judge and its agreement with people as JSON values."""
    found = proof.agreement
    numbers = {} if found is None else {"kappa": json_number_or_text(found.kappa), "low": found.low, "high": found.high}
    return {"model": name, "text": proof.text, "labels": 0 if found is None else found.labels, **numbers}


def _criteria(table: JudgeTable, project: Path) -> str:
    try:
        text = (project / table.prompt).read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        raise ProjectError(f"[judge].prompt: {table.prompt} does not exist in the project") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"[judge].prompt: {table.prompt} {unreadable_text(error)}") from None
    if not text:
        raise ProjectError(f"[judge].prompt: {table.prompt} is empty; write down what a good text is")
    return text


def _reference(table: JudgeTable, project: Path) -> Texts | None:
    if table.reference is None:
        return None
    try:
        return read_texts_file(project / table.reference)
    except TextsUnusable as error:
        raise ProjectError(f"[judge].reference: {table.reference}: {error}") from None


def _judged_before(recorder: Recorder) -> dict[int, JudgedTexts]:
    events = recorder.history.events(recorder.study_id, JUDGED_EVENT)
    return {texts.number: texts for texts in (JudgedTexts.from_detail(event.detail) for event in events)}


def _detail(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    return {
        "seed": trial.proposal.seed,
        "values": {name: json_number_or_text(value) for name, value in outcome.values.items()},
        "usage": asdict(outcome.usage),
        "artifacts": list(outcome.artifacts),
        "note": outcome.note,
    }


def _outcome(detail: Mapping[str, Any]) -> Outcome:
    return Outcome(
        state=TrialState.COMPLETE,
        values={name: float(value) for name, value in detail["values"].items()},
        note=detail["note"],
        usage=Usage(**detail["usage"]),
        artifacts=tuple(detail["artifacts"]),
    )


def _note_of_another(trials: int) -> str:
    """Return what a run says whose judge is not the one that judged this many earlier trials."""
    texts = f"the texts of {count(trials, 'trial')} are judged anew, so that values compare"
    return f"another judge, prompt or reference than before: {texts}"
