"""Whether a judge agrees with people well enough to count, and how its scores are read. Asks nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.agent.text_judge.questions import UNUSABLE, Question, Rules, pair_outcome
from tunesmith.agent.text_judge.statistics.corrected_score import Instrument, fit_instrument
from tunesmith.agent.text_judge.statistics.kappa import Agreement, agreement
from tunesmith.evaluator.readers.labels_file import LabelledPair, LabelledText
from tunesmith.study.config.tables.judge import MIN_KAPPA, MIN_LABELS
from tunesmith.study.units import short_number

Labels = Sequence[LabelledPair | LabelledText]
_LEVEL = {1.0: 0, 0.0: 1, 0.5: 2}
_LEVEL_OF_LABEL = {"a": 0, "b": 1, "tie": 2}
_FEWEST = 5
"""Number of labelled texts from which a judge's scores can be corrected at all."""
ACCEPT = "[judge].accept_unproven = true takes this judge as it is"


@dataclass(frozen=True, slots=True)
class Proof:
    """What the labels show of a judge.

    Attributes:
        agreement: its kappa; None without labels.
        instrument: how its scores follow people's; None for pairs and with too few labels.
    """

    agreement: Agreement | None = None
    instrument: Instrument | None = None

    @property
    def text(self) -> str:
        """The agreement in words, as it is shown with every value."""
        return self.agreement.text if self.agreement else "no labels say whether people agree"


def too_few_labels(count: int) -> str:
    """Return why a judge with this many labels does not count; "" if there are enough."""
    if count >= MIN_LABELS:
        return ""
    return f"has {count} labelled examples, of which {MIN_LABELS} are needed to know a judge; label more, or {ACCEPT}"


def same_label(labels: Labels) -> str:
    """Return why labels show nothing of any judge: all of them say the same; "" if they do not."""
    said = {label.label for label in labels}
    if len(said) != 1:
        return ""
    all_say = f"has {len(labels)} labelled examples that all say {said.pop()}"
    return f"{all_say}, which shows nothing; label better and worse texts, or {ACCEPT}"


def label_questions(rules: Rules, labels: Labels) -> list[tuple[Question, ...]]:
    """Return the questions about each labelled example."""
    found: list[tuple[Question, ...]] = []
    for index, label in enumerate(labels, start=1):
        about = f"labelled example {index}"
        if isinstance(label, LabelledPair):
            found.append(rules.both_orders(label.input, label.a, label.b, about))
        else:
            found.append((rules.score(label.input, label.output, about),))
    return found


def make_proof(rules: Rules, labels: Labels, verdicts: Mapping[str, str]) -> Proof:
    """Return what the labels show; every question about them has its verdict. Unusable answers are left out."""
    asked = list(zip(labels, label_questions(rules, labels), strict=True))
    answered = [
        (label, [verdicts[q.key] for q in questions])
        for label, questions in asked
        if all(verdicts[q.key] != UNUSABLE for q in questions)
    ]
    if not answered:
        return Proof()
    if isinstance(labels[0], LabelledPair):
        judge = [_LEVEL[pair_outcome(*found)] for _, found in answered]
        people = [_LEVEL_OF_LABEL[label.label] for label, _ in answered if isinstance(label, LabelledPair)]
        return Proof(agreement(judge, people, levels=3, ordered=False))
    scores = [int(found[0]) for _, found in answered]
    texts = [label for label, _ in answered if isinstance(label, LabelledText)]
    grades = [round(text.label) - rules.low for text in texts]
    found = agreement([s - rules.low for s in scores], grades, levels=rules.high - rules.low + 1, ordered=True)
    if len(texts) < _FEWEST or len({text.label for text in texts}) == 1:
        return Proof(found)
    return Proof(found, fit_instrument(scores, [len(t.output) for t in texts], [t.label for t in texts]))


def objection(proof: Proof) -> str:
    """Return why a judge does not count, from what its labels show; "" if it does."""
    found = proof.agreement
    if found is None or too_few_labels(found.labels):
        return f"answered {found.labels if found else 0} of the labelled examples; {ACCEPT}"
    if found.low < MIN_KAPPA:
        hint = "write clearer rules into its prompt, or take another model"
        wanted = f"{found.text}, and all of the interval has to be over {short_number(MIN_KAPPA)}"
        return f"may agree with people by chance: {wanted}; {hint}; {ACCEPT}"
    if proof.instrument is not None and not proof.instrument.follows:
        return f"gives scores that do not rise with people's labels beyond doubt ({found.text}); {ACCEPT}"
    return ""
