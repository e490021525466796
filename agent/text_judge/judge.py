"""Judges the texts of trials: proves itself on labels first, then compares or scores, without asking anything twice.

Knows no history and no loop: what it learns goes to a store, and `collect` is called a few times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.text_judge.asker import Asker
from tunesmith.agent.text_judge.judged import (
    FROM_FILE,
    MAX_UNUSABLE,
    JudgedTexts,
    JudgedValues,
    values_of_pairs,
    values_of_scores,
)
from tunesmith.agent.text_judge.proof import Labels, Proof, label_questions, make_proof, objection
from tunesmith.agent.text_judge.questions import UNUSABLE, Question, Rules, hash_of, pair_outcome
from tunesmith.agent.text_judge.texts_folder import TextsFolder
from tunesmith.study.config.tables.judge import JudgeTable
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.observed.texts import Texts, write_texts


class JudgeStore(Protocol):
    """Where a judge keeps what must survive the end of the run."""

    def add_verdicts(self, verdicts: Mapping[str, str]) -> None:
        """Keep verdicts by the key of their question."""

    def add_judged(self, texts: JudgedTexts) -> None:
        """Keep what the judge said of a trial's texts."""

    def add_proof(self, name: str, proof: Proof) -> None:
        """Keep what labels show of the judge of this name."""

    def charge(self, calls: Sequence[LoggedCall]) -> None:
        """Log calls and count them against the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What earlier runs of the study left: verdicts by key, what was said of each trial, and the trials' texts."""

    verdicts: dict[str, str]
    judged: dict[int, JudgedTexts]
    texts: TextsFolder


@dataclass(slots=True)
class Hearing:
    """The questions about one trial: for each opponent and example, two keys; or one for each scored example."""

    number: int
    texts: Texts
    pairs: dict[int, dict[str, tuple[str, str] | float]] = field(default_factory=dict)
    scores: dict[str, str] = field(default_factory=dict)

    def keys(self) -> set[str]:
        """Return the keys of all its questions."""
        asked = [keys for found in self.pairs.values() for keys in found.values() if isinstance(keys, tuple)]
        return {*self.scores.values(), *(key for keys in asked for key in keys)}


class TextJudge:
    """The judge of one study.

    Args:
        table: [judge].
        rules: what its questions share.
        asker: asks the model.
        store: keeps what it learns.
        known: what earlier runs left.
        labels: the examples that people labelled.
        reference: the texts of [judge].reference; None to compare with the first trial's.
        best: returns the number of the trial that leads; None without one.
    """

    def __init__(  # noqa: PLR0913  # what it is, what it asks, and what it knows
        self,
        table: JudgeTable,
        rules: Rules,
        *,
        asker: Asker,
        store: JudgeStore,
        known: Known,
        labels: Labels = (),
        reference: Texts | None = None,
        best: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._table, self._rules, self._asker, self._store = table, rules, asker, store
        self._verdicts = {key: said for key, said in known.verdicts.items() if said != UNUSABLE}
        self._texts = known.texts
        self._labels, self._reference, self._best = labels, reference, best
        self._by = hash_of(rules.digest, str(table.pairs), write_texts(reference) if reference is not None else "")
        self._judged = {n: found for n, found in known.judged.items() if found.by in ("", self._by)}
        other = [n for n in known.texts if n in known.judged and n not in self._judged]
        self._stale = [n for n in other if known.texts[n]]  # none are left of a damaged file
        self._again: dict[int, Hearing] = {}
        self._has_new_labels = bool(self._judged)
        self._reasons: dict[str, str] = {}
        self._proof: Proof | None = None
        asked = [question for questions in label_questions(rules, labels) for question in questions]
        self._label_keys = {question.key for question in asked}
        self._ask(asked)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._rules.model

    @property
    def is_proven(self) -> bool:
        """Whether the labels were judged, so that trials may be."""
        return self._proof is not None

    @property
    def waits_for_labels(self) -> bool:
        """Whether questions about labelled examples have no answer yet."""
        return not self._label_keys <= self._verdicts.keys()

    @property
    def asker(self) -> Asker:
        """What asks the model."""
        return self._asker

    @property
    def judged(self) -> Mapping[int, JudgedTexts]:
        """What was said of each trial, by number."""
        return self._judged

    @property
    def stale(self) -> Sequence[int]:
        """The trials whose texts another judge has judged, until this one has: another model, prompt or reference."""
        return self._stale

    @property
    def reference(self) -> int | None:
        """The number of the trial that others are compared with; None before the first."""
        return FROM_FILE if self._reference is not None else next(iter(self._texts), None)

    def collect(self, *, may_ask: bool) -> None:
        """Take answers in and ask further questions if that is allowed.

        Raises:
            ProjectError: the labels show that the judge does not count.
        """
        found = self._asker.collect(may_ask=may_ask)
        if found.calls:
            self._store.charge(found.calls)
        if found.verdicts:
            said = {key: verdict.said for key, verdict in found.verdicts.items()}
            self._verdicts |= said
            self._reasons |= {key: verdict.reason for key, verdict in found.verdicts.items() if verdict.reason}
            # What had no usable answer may be asked again by a later run, for a trial that is tried again.
            self._store.add_verdicts({key: verdict for key, verdict in said.items() if verdict != UNUSABLE})
        if self._proof is None and self._label_keys <= self._verdicts.keys():
            self._prove()

    def hear(self, number: int, texts: Texts) -> Hearing:
        """Take a trial's texts up; `result` has what the judge says of them once it has answered.

        Raises:
            InputError: the texts cannot be kept.
        """
        self._texts.add(number, texts)
        return self._new_hearing(number, texts)

    def judge_again(self) -> dict[int, JudgedValues]:
        """Return the values of earlier trials that this judge changes: those that another judge had given values.

        Call it after each `collect`. {} until this judge counts and has answered everything, and where nothing changes.
        """
        if self._proof is None:
            return {}
        if self._stale and not self._again:
            self._again = {number: self._new_hearing(number, self._texts[number]) for number in self._stale}
        found = [result for hearing in self._again.values() if (result := self.result(hearing)) is not None]
        if len(found) < len(self._again):
            return {}
        values = self._read_again(self._proof) if self._has_new_labels else {}
        self._stale, self._again, self._has_new_labels = [], {}, False
        for texts in found:
            values |= self.settle(texts)
        return values

    def _read_again(self, proof: Proof) -> dict[int, JudgedValues]:
        """Return what the scores of earlier trials mean by the labels as they are now."""
        low = self._rules.low
        return {} if self._table.pairs else {n: values_of_scores(t, proof, low=low) for n, t in self._judged.items()}

    def _new_hearing(self, number: int, texts: Texts) -> Hearing:
        opponents = self._opponents(number)
        hearing = Hearing(number, texts)
        asked: list[Question] = []
        if self._table.pairs:
            for opponent in opponents:
                hearing.pairs[opponent] = self._pair_keys(number, opponent, asked)
        else:
            for name, example in self._examples().items():
                if name in texts:
                    about = f"trial {number}, example {name}"
                    question = self._rules.score(example.input, texts[name].output, about)
                    hearing.scores[name] = question.key
                    asked.append(question)
        self._ask(asked)
        return hearing

    def drop(self, hearing: Hearing) -> None:
        """Leave the rest of a trial's questions out."""
        self._asker.drop(hearing.keys())

    def result(self, hearing: Hearing) -> JudgedTexts | None:
        """Return what the judge says of a trial's texts; None while it has not answered everything."""
        keys = hearing.keys()
        if not self.is_proven or not keys <= self._verdicts.keys():
            return None
        outcomes = {
            opponent: {
                name: key if isinstance(key, float) else pair_outcome(*(self._verdicts[part] for part in key))
                for name, key in found.items()
            }
            for opponent, found in hearing.pairs.items()
        }
        usable = {name: key for name, key in hearing.scores.items() if self._verdicts[key] != UNUSABLE}
        return JudgedTexts(
            number=hearing.number,
            outcomes=outcomes,
            scores={name: float(self._verdicts[key]) for name, key in usable.items()},
            lengths={name: len(hearing.texts[name].output) for name in usable},
            unusable=sum(self._verdicts[key] == UNUSABLE for key in keys),
            reasons=self._said_of(hearing),
            missing=0 if self._table.pairs else sum(name not in hearing.texts for name in self._examples()),
            by=self._by,
        )

    def unusable_reason(self, hearing: Hearing, texts: JudgedTexts) -> str:
        """Return why what the judge said gives no value; "" if it does."""
        asked = len(hearing.keys())
        if not asked or texts.unusable <= MAX_UNUSABLE * asked:
            return ""
        return f"the judge {self.name} gave no usable answer to {texts.unusable} of {asked} questions about its texts"

    def settle(self, texts: JudgedTexts) -> dict[int, JudgedValues]:
        """Keep what was said of a trial, and return the values of all trials that it changes, its own included."""
        assert self._proof is not None  # noqa: S101  # result() waits for it
        self._judged[texts.number] = texts
        self._store.add_judged(texts)
        if not self._table.pairs:
            return {texts.number: values_of_scores(texts, self._proof, low=self._rules.low)}
        assert self.reference is not None  # noqa: S101  # this trial has texts
        return values_of_pairs(self._judged, self.reference, self._proof)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _said_of(self, hearing: Hearing) -> dict[str, str]:
        """Return the judge's reason for each example that the trial's text did not win against the reference."""
        found = {name: self._reasons.get(key, "") for name, key in hearing.scores.items()}
        for name, keys in hearing.pairs.get(self.reference if self.reference is not None else FROM_FILE, {}).items():
            if isinstance(keys, tuple) and pair_outcome(*(self._verdicts[key] for key in keys)) < 1.0:
                reason = self._reasons.get(keys[0], "")
                found[name] = f"{reason} (this text is A, the reference's B)" if reason else ""
        return {name: reason for name, reason in found.items() if reason}

    def _prove(self) -> None:
        proof = make_proof(self._rules, self._labels, self._verdicts)
        reason = objection(proof) if not self._table.accept_unproven else ""
        if reason:
            raise ProjectError(f"[judge]: the judge {self.name} {reason}")
        self._proof = proof
        self._store.add_proof(self.name, proof)

    def _opponents(self, number: int) -> list[int]:
        """Return whom a trial is compared with: the reference, and the trial that leads."""
        leading = self._best()
        wanted = [self.reference, leading if leading in self._texts else None]
        return [n for n in dict.fromkeys(wanted) if n is not None and n != number]

    def _pair_keys(self, number: int, opponent: int, asked: list[Question]) -> dict[str, tuple[str, str] | float]:
        """Return two keys for each example, or the outcome where nothing has to be asked; add the questions."""
        own, other = self._texts_of(number), self._texts_of(opponent)
        found: dict[str, tuple[str, str] | float] = {}
        for name, example in self._examples().items():
            if name not in own or name not in other:
                found[name] = 0.5 if name not in own and name not in other else float(name in own)
            elif own[name].output == other[name].output:
                found[name] = 0.5
            else:
                about = f"trial {number} against {_named(opponent)}, example {name}"
                questions = self._rules.both_orders(example.input, own[name].output, other[name].output, about)
                asked.extend(questions)
                found[name] = questions[0].key, questions[1].key
        return found

    def _examples(self) -> Texts:
        """Return the texts that say what an example is: a trial that rewrites or adds one is judged by the original."""
        return self._texts_of(self.reference) if self.reference is not None else {}

    def _texts_of(self, number: int) -> Texts:
        return self._reference if number == FROM_FILE and self._reference is not None else self._texts[number]

    def _ask(self, questions: Sequence[Question]) -> None:
        self._asker.add(question for question in questions if question.key not in self._verdicts)


def _named(number: int) -> str:
    return "the reference" if number == FROM_FILE else f"trial {number}"
