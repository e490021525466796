"""The code search of a study: questions, first trials, broken and duplicate versions, combined edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fakes.views import trial

from tunesmith.agent.code_search.editor import EditQuestion, EditResult
from tunesmith.agent.code_search.search import CodeSearch
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import FailureKind, Proposal, Source, Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import Edit, Variant, VariantState
from tunesmith.tools.control.study_reader import study_view
from tunesmith.tools.variants.build import EditProposal, make_variant
from tunesmith.tools.variants.rules import GateRules

SPEC = parse_spec(
    {
        "study": {"name": "s", "metric": "loss"},
        "run": {"command": "python train.py --x {x} --seed {seed}"},
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}},
        "budget": {"trials": 40},
        "edits": {"files": ["train.py"]},
    }
)
ROOT = Variant(id="root", files={"train.py": "a = 1\n\n\n\n\nb = 1\n\n\n\n\nc = 1\n"})
RULES = GateRules(editable=["train.py"], space=SPEC.space, metrics=["loss"])


class ScriptedEditor:
    """Makes edits from a list of (old, new) replacements; None means that the model gave no edit."""

    def __init__(self, *replacements: tuple[str, str] | None) -> None:
        self._left = list(replacements)
        self.asked: list[EditQuestion] = []

    def edit(self, question: EditQuestion) -> EditResult:
        self.asked.append(question)
        replacement = self._left.pop(0) if self._left else None
        if replacement is None:
            return EditResult(error="no idea")
        change = EditProposal(
            edits=[Edit("train.py", *replacement)], author="llm", direction="data", rationale=f"{replacement}"
        )
        return EditResult(variants=(make_variant(change, question.parent, question.known, RULES),), predicted=0.1)


def search(editor: ScriptedEditor | None, known: Sequence[Variant] = ()) -> CodeSearch:
    return CodeSearch(SPEC, ROOT, known, rules=RULES, editor=editor)


def ran(number: int, loss: float | FailureKind, proposal: Proposal | None = None, *, x: float = 0.5) -> Trial:
    made = trial(number, {"x": x}, loss)
    if proposal is not None:
        return replace(made, proposal=proposal)
    return replace(made, proposal=replace(made.proposal, seed=100 + number, variant="root"))


def view(trials: Sequence[Trial]) -> StudyView:
    return study_view(SPEC, trials)


def run_until_new_version(
    code: CodeSearch, trials: list[Trial], result: Callable[[Proposal], float | FailureKind]
) -> Trial:
    """Run trials, those of the user's code with loss 1, up to the first trial of a new version; return that one."""
    seen = {t.proposal.code for t in trials}
    for _ in range(30):
        proposal = code.next(view(trials))
        number = len(trials)
        if proposal is not None and proposal.code not in seen:
            trials.append(ran(number, result(proposal), proposal))
            return trials[-1]
        trials.append(ran(number, 1.0, proposal, x=0.5 + number / 1000))
    raise AssertionError("no new version was tried")


def test_no_edit_is_asked_for_before_a_trial_completed() -> None:
    editor = ScriptedEditor(("a = 1", "a = 2"))
    code = search(editor)
    assert code.next(view([])) is None
    assert code.next(view([ran(0, FailureKind.CRASH)])) is None
    assert editor.asked == []
    code.next(view([ran(0, 1.0)]))
    assert len(editor.asked) == 1


def test_the_first_trial_of_a_version_repeats_its_parents_best_on_the_same_seed() -> None:
    code, trials = search(ScriptedEditor(("a = 1", "a = 2"))), [ran(0, 1.0), ran(1, 0.6, x=0.3), ran(2, 0.9)]
    found = run_until_new_version(code, trials, lambda _: 0.5)
    assert (dict(found.params), found.proposal.seed) == ({"x": 0.3}, 101)
    assert found.proposal.source is Source.LLM
    assert found.proposal.prediction is not None
    files, line = code.changed_files(found.proposal.code)
    assert files["train.py"].startswith("a = 2")
    assert line == SPEC.run.command


def test_a_version_whose_first_trial_failed_is_broken_and_one_repair_is_asked_for() -> None:
    editor = ScriptedEditor(("a = 1", "a = 2"), ("a = 1", "a = 3"))
    code, trials = search(editor), [ran(0, 1.0)]
    failed = run_until_new_version(code, trials, lambda _: FailureKind.CRASH)
    outcome = code.variant_outcome(failed, trials, None)
    assert outcome is not None
    assert outcome.state is VariantState.BROKEN
    second = run_until_new_version(code, trials, lambda _: 0.5)
    assert editor.asked[1].broken is not None
    assert editor.asked[1].parent is ROOT
    assert all(q.broken is None for q in editor.asked[2:])
    later = ran(len(trials), FailureKind.OOM, replace(second.proposal, params={"x": 0.9}))
    assert code.variant_outcome(later, [*trials, later], None) is None, "a version with a complete trial is not broken"


def test_a_version_with_identical_numbers_is_a_duplicate_and_gets_no_further_trial() -> None:
    code, trials = search(ScriptedEditor(("a = 1", "a = 2"))), [ran(0, 1.0)]
    found = run_until_new_version(code, trials, lambda _: 1.0)
    outcome = code.variant_outcome(found, trials, trials[0])
    assert outcome is not None
    assert outcome.state is VariantState.DUPLICATE
    for number in range(len(trials), len(trials) + 6):
        assert code.next(view(trials)) is None
        trials.append(ran(number, 1.0, x=0.5 + number / 1000))


def test_two_improving_edits_are_combined_without_a_question() -> None:
    code, trials = search(ScriptedEditor(("a = 1", "a = 2"), ("c = 1", "c = 2"))), [ran(0, 1.0)]
    # The second edit is asked for before the first has improved, so both are edits of the user's code.
    one = run_until_new_version(code, trials, lambda _: 1.5)
    two = run_until_new_version(code, trials, lambda _: 0.8)
    trials[one.number] = replace(one, outcome=ran(0, 0.9).outcome)
    both = run_until_new_version(code, trials, lambda _: 0.5)
    variant = code.variants()[both.proposal.code]
    assert {one.proposal.code, two.proposal.code} != {variant.parent}
    if variant.direction == "combine":
        assert variant.author == "crossover"
        assert "a = 2" in variant.files["train.py"]
        assert "c = 2" in variant.files["train.py"]


def test_pauses_grow_while_the_model_gives_no_edit() -> None:
    editor = ScriptedEditor()
    code, trials = search(editor), [ran(0, 1.0)]
    asked = []
    for number in range(1, 30):
        code.next(view(trials))
        asked.append(len(editor.asked))
        trials.append(ran(number, 1.0, x=0.5 + number / 1000))
    assert asked[-1] < 8
    assert "no edit of the code" in code.drain_notes()[0]


def test_an_edit_by_a_person_runs_next() -> None:
    code, trials = search(None), [ran(0, 1.0)]
    change = EditProposal(edits=[Edit("train.py", "b = 1", "b = 5")], author="chat", rationale="mine")
    code.add(make_variant(change, ROOT, code.variants(), RULES), {"x": 0.25})
    proposal = code.next(view(trials))
    assert proposal is not None
    assert proposal.source is Source.USER
    assert dict(proposal.params) == {"x": 0.25}
    assert [v.author for v in code.drain_variants()] == ["chat"]


def test_versions_of_files_that_changed_since_get_no_trial() -> None:
    stale = Variant(id="edit-old", parent="another-root", files={"train.py": "a = 9\n"}, author="llm")
    code, trials = (
        search(None, [stale]),
        [ran(0, 1.0), ran(1, 0.1, Proposal(params={"x": 0.5}, source=Source.LLM, seed=1, variant="edit-old"))],
    )
    assert code.next(view(trials)) is None
