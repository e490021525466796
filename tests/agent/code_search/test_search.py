"""The code search of a study: questions, first trials, broken and duplicate versions, combined edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from fakes.views import trial

from tunesmith.agent.code_search.questions.editor import EditQuestion, EditResult
from tunesmith.agent.code_search.search import CodeSearch
from tunesmith.agent.code_search.version_trials import TrialRequest, edited_script
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import FailureKind, Proposal, Source, Trial, Usage
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import Edit, Variant, VariantState, short_id
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


Replacement = tuple[str, str]


def made(
    question: EditQuestion,
    *ideas: Replacement,
    trials: Sequence[TrialRequest] = (),
    joins: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> EditResult:
    """Return the answer to a question: an edit for each (old, new), with the fields of a version in `more`."""
    variants = []
    for idea in ideas:
        change = EditProposal(edits=[Edit("train.py", *idea)], author="llm", direction="data", rationale=f"{idea}")
        variants.append(replace(make_variant(change, question.parent, question.known, RULES), predicted=0.1, **more))
    return EditResult(variants=tuple(variants), trials=tuple(trials), joins=tuple(joins))


def next_number(question: EditQuestion) -> EditResult:
    """Return an edit that fits any version: the number in its first line becomes one that no version has."""
    old = question.parent.files["train.py"].partition("\n")[0]
    return made(question, (old, f"a = {len(question.known) + 10}"))


class ScriptedEditor:
    """Makes edits from a list of (old, new) replacements; None means that the model gave no edit."""

    def __init__(self, *answers: Replacement | Callable[[EditQuestion], EditResult] | None) -> None:
        self._left = list(answers)
        self.asked: list[EditQuestion] = []

    def edit(self, question: EditQuestion) -> EditResult:
        self.asked.append(question)
        answer = self._left.pop(0) if self._left else None
        if answer is None:
            return EditResult(error="no idea")
        return answer(question) if callable(answer) else made(question, answer)


def search(editor: ScriptedEditor | None, known: Sequence[Variant] = ()) -> CodeSearch:
    return CodeSearch(SPEC, ROOT, known, rules=RULES, editor=editor)


def ran(number: int, loss: float | FailureKind, proposal: Proposal | None = None, *, x: float = 0.5) -> Trial:
    made = trial(number, {"x": x}, loss)
    if proposal is not None:
        return replace(made, proposal=proposal)
    return replace(made, proposal=replace(made.proposal, seed=100 + number, variant="root"))


def view(trials: Sequence[Trial]) -> StudyView:
    return study_view(SPEC, trials)


def run(
    code: CodeSearch, trials: list[Trial], result: Callable[[Proposal], float | FailureKind] = lambda _: 1.0
) -> Trial:
    """Run the next trial, with loss 1 unless it is that of an edited version; return it."""
    proposal, number = code.next(view(trials)), len(trials)
    if proposal is None and (tuned := code.tuned(view(trials))[0]):
        proposal = Proposal(params={"x": 0.5 + number / 1000}, source=Source.SAMPLER, seed=100 + number, variant=tuned)
    if proposal is None or not proposal.code:
        trials.append(ran(number, 1.0, x=0.5 + number / 1000))
    else:
        trials.append(ran(number, result(proposal), proposal))
    return trials[-1]


def run_until_new_version(
    code: CodeSearch, trials: list[Trial], result: Callable[[Proposal], float | FailureKind]
) -> Trial:
    """Run trials up to the first one of a new version; return that one."""
    seen = {t.proposal.code for t in trials}
    for _ in range(30):
        if run(code, trials, result).proposal.code not in seen:
            return trials[-1]
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
    files, line = code.changed_files(found.proposal.code, found.params)
    assert files["train.py"].startswith("a = 2")
    assert line == SPEC.run.command


@pytest.mark.parametrize(
    ("imports", "reason", "is_environment"),
    [
        ("import numpy as np\n", "ModuleNotFoundError: No module named 'numpy'", True),
        ("from torch.nn import Linear\n", "ModuleNotFoundError: No module named 'torch.nn'", True),
        ("", "ModuleNotFoundError: No module named 'numpy'", False),  # only the edit imports it
        ("import numpy\n", "ModuleNotFoundError: No module named 'scipy'", False),
        ("import numpy\n", "NameError: name 'numpy' is not defined", False),
    ],
)
def test_an_edit_that_misses_what_the_users_own_code_imports_is_not_broken(
    imports: str, reason: str, is_environment: bool
) -> None:
    root = replace(ROOT, files={"train.py": ROOT.files["train.py"] + imports})
    editor = ScriptedEditor(("a = 1", "a = 2"), ("a = 1", "a = 3"), ("a = 1", "a = 4"))
    code, trials = CodeSearch(SPEC, root, (), rules=RULES, editor=editor), [ran(0, 1.0)]
    failed = run(code, trials, lambda _: FailureKind.CRASH)
    assert failed.outcome is not None
    assert failed.failure is not None
    failed = replace(failed, outcome=replace(failed.outcome, failure=replace(failed.failure, reason=reason)))
    trials[-1] = failed
    found = code.variant_outcome(failed, trials, None)
    run(code, trials)
    notes = " ".join(code.drain_notes())
    assert (found is None, len(editor.asked) == 1, "in the sandbox" in notes) == (is_environment,) * 3


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
        assert (code.next(view(trials)), code.tuned(view(trials))[0]) == (None, "")
        trials.append(ran(number, 1.0, x=0.5 + number / 1000))


def test_an_edit_runs_at_the_next_free_slot() -> None:
    """Not a single trial of tuning comes between a proposal and its first trial, nor do joins."""
    code, trials = search(ScriptedEditor(*[next_number] * 30)), [ran(0, 1.0)]
    for _ in range(24):
        known = len(code.variants())
        found = run(code, trials, lambda _: 0.9)
        if len(code.variants()) > known:
            assert found.proposal.code == list(code.variants())[-1]
    new = {t.proposal.code for t in trials} - {""}
    assert len(new) > 8


def test_the_first_trial_has_the_configuration_that_the_edit_was_written_for_on_the_parents_seed() -> None:
    code, trials = (
        search(ScriptedEditor(lambda q: made(q, ("a = 1", "a = 2"), params={"x": 0.9, "y": 3}))),
        [
            ran(0, 1.0),
            ran(1, 0.6, x=0.3),
        ],
    )
    found = run(code, trials, lambda _: 0.5)
    assert (dict(found.params), found.proposal.seed) == ({"x": 0.9}, 101), "y is not a parameter"
    assert "compared with trial 1, with x=0.9" in found.proposal.considered[0]
    assert code.next(view(trials)) is None
    name, tuned = code.tuned(view(trials))
    assert (name, {t.params["x"] for t in tuned.trials}) == (found.proposal.code, {0.9})
    assert tuned.script.startswith("a = 2\n"), "questions about its configurations show its own code"
    assert code.unedited_view(view(trials)).script == ""


@pytest.mark.parametrize(
    ("command", "edited", "shown"),
    [
        ("python train.py --x {x}", {"train.py": "b"}, "b"),
        ("python train.py --x {x}", {"train.py": "a", "net.py": "n2"}, "# train.py\na\n\n# net.py\nn2"),
        ("python main.py", {"train.py": "a", "net.py": "n2"}, "n2"),
        ("python -m pkg.train", {"train.py": "b", "net.py": "n2"}, "# train.py\nb\n\n# net.py\nn2"),
        ("env A=1 python train.py", {"train.py": "b", "new.py": "m"}, "# train.py\nb\n\n# new.py\nm"),
    ],
)
def test_the_code_of_a_version_is_its_script_and_what_was_edited(
    command: str, edited: dict[str, str], shown: str
) -> None:
    root = Variant(id="root", files={"train.py": "a", "net.py": "n"})
    variant = Variant(id="edit-1", parent="root", files={**root.files, **edited})
    assert edited_script(variant, {"root": root, "edit-1": variant}, command) == shown


def test_several_ideas_run_in_their_order_and_follow_the_one_that_gained() -> None:
    editor = ScriptedEditor(lambda q: made(q, ("a = 1", "a = 2"), ("b = 1", "b = 2"), ("c = 1", "c = 2")))
    code, trials = search(editor), [ran(0, 1.0)]
    assert editor.asked == []
    first = run(code, trials, lambda _: 0.5)
    assert editor.asked[0].count == 3
    runs = [run(code, trials, lambda _: 0.7), run(code, trials, lambda _: 0.4)]
    second, third = (code.variants()[t.proposal.code] for t in runs)
    assert (second.parent, third.parent) == (first.proposal.code, first.proposal.code), "moved onto the better code"
    assert third.files["train.py"].replace("\n", "") == "a = 2b = 1c = 2"
    assert [o.reason.split(",")[0] for o in code.drain_outcomes()] == [
        f"it runs as {short_id(second.id)}",
        f"it runs as {short_id(third.id)}",
    ]
    assert third.author == "llm"


def test_an_edit_that_conflicts_with_the_better_version_runs_as_it_was_written() -> None:
    editor = ScriptedEditor(lambda q: made(q, ("a = 1", "a = 2"), ("a = 1", "a = 3")))
    code, trials = search(editor), [ran(0, 1.0)]
    run(code, trials, lambda _: 0.5)
    found = run(code, trials, lambda _: 0.7)
    second = code.variants()[found.proposal.code]
    assert (second.parent, "a = 3" in second.files["train.py"]) == ("root", True)


def test_the_model_may_ask_for_trials_and_joins() -> None:
    names: list[str] = []

    def ask_for_trial(question: EditQuestion) -> EditResult:
        return made(question, trials=[TrialRequest(code=names[0], params={"x": 0.9}, rationale="lower", predicted=0.4)])

    def ask_for_join(question: EditQuestion) -> EditResult:
        return made(question, joins=[(names[0], names[1])])

    editor = ScriptedEditor(
        lambda q: made(q, ("a = 1", "a = 2"), ("a = 1", "a = 3"), ("c = 1", "c = 2")), ask_for_trial, ask_for_join
    )
    code, trials = search(editor), [ran(0, 1.0)]
    losses = iter([0.99, 0.98, 0.985])
    names += [run(code, trials, lambda _: next(losses)).proposal.code for _ in range(3)]
    while len(editor.asked) < 2:
        last = run(code, trials, lambda _: 1.0)
    assert (last.proposal.code, dict(last.params)) == (names[0], {"x": 0.9})
    assert last.proposal.source is Source.LLM
    assert last.proposal.prediction is not None


def test_a_question_goes_out_while_versions_are_tuned_and_none_when_no_trial_is_left() -> None:
    editor = ScriptedEditor(*[next_number] * 60)
    code, trials = search(editor), [ran(0, 1.0)]
    while len(trials) < 40:
        run(code, trials, lambda _: 0.5)
    assert len(editor.asked) > 8
    asked = len(editor.asked)
    code.prepare(view(trials))
    assert len(editor.asked) == asked
    untried = [v for v in code.variants().values() if v.is_edited and v.state is VariantState.SOUND]
    assert {v.id for v in untried} <= {t.proposal.code for t in trials}, "no edit is left without a trial"


def test_a_question_says_how_long_an_edit_may_train_and_what_is_left() -> None:
    editor = ScriptedEditor(("a = 1", "a = 2"))
    first = ran(0, 1.0)
    assert first.outcome is not None
    first = replace(first, outcome=replace(first.outcome, usage=Usage(wall_s=2.0, cpu_s=1.5)))
    run(search(editor), [first])
    facts = editor.asked[0].facts
    assert facts.trials_left == "39 trials"
    assert "which took 1.5 s of CPU" in facts.limit
    free = parse_spec({**SPEC.document, "edits": {"files": ["train.py"], "time": "free"}})
    editor = ScriptedEditor(("a = 1", "a = 2"))
    run(CodeSearch(free, ROOT, (), rules=RULES, editor=editor), [first])
    assert editor.asked[0].facts.limit == ""


def test_the_last_trial_waits_for_the_answer_that_is_on_its_way() -> None:
    class Slow:
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.answer = lambda: future.set_result(function(*args, **kwargs))
            future: Future[Any] = Future()
            return future

    slow = Slow()
    code = CodeSearch(SPEC, ROOT, (), rules=RULES, editor=ScriptedEditor(("a = 1", "a = 2")), runner=slow)
    trials = [ran(n, 1.0, x=n / 100) for n in range(39)]
    code.prepare(view(trials))
    assert code.is_waiting_for_edit(trials)
    slow.answer()
    assert not code.is_waiting_for_edit(trials)
    found = code.next(view(trials))
    assert found is not None
    assert found.code


def test_gains_of_two_edits_are_joined_without_a_question() -> None:
    editor = ScriptedEditor(lambda q: made(q, ("a = 1", "a = 2")), lambda q: made(q, ("c = 1", "c = 2")))
    code, trials = search(editor), [ran(0, 1.0)]
    run(code, trials, lambda _: 1.1)
    one = next(v for v in code.variants().values() if v.is_edited)
    two = run_until_new_version(code, trials, lambda _: 0.8)
    number = next(t.number for t in trials if t.proposal.code == one.id)
    trials[number] = replace(trials[number], outcome=ran(0, 0.9).outcome)
    both = run_until_new_version(code, trials, lambda _: 0.5)
    variant = code.variants()[both.proposal.code]
    assert (variant.direction, variant.author, variant.parent) == ("combine", "crossover", two.proposal.code)
    assert variant.files["train.py"].replace("\n", "") == "a = 2b = 1c = 2"
    assert run(code, trials, lambda _: 0.5).proposal.code == both.proposal.code, "no second join: it is tuned"


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


def test_a_stray_file_in_the_project_does_not_drop_the_tree() -> None:
    """A patch that `apply` wrote, or a note, changes the hash of the project, but no file that may be edited."""
    first = search(ScriptedEditor(("a = 1", "a = 2")))
    trials = [ran(0, 1.0)]
    found = run_until_new_version(first, trials, lambda _: 0.5)
    known = [*first.drain_variants(), ROOT]
    later = CodeSearch(SPEC, replace(ROOT, id="root-with-a-patch"), known, rules=RULES)
    assert later.tuned(view(trials))[0] == found.proposal.code
    files = {"train.py": ROOT.files["train.py"].replace("b = 1", "b = 7")}
    changed = CodeSearch(SPEC, replace(ROOT, id="changed", files=files), known, rules=RULES)
    assert changed.tuned(view(trials))[0] == ""


def test_an_edit_that_never_ran_is_the_first_trial_of_the_next_run() -> None:
    """Its settings and its prediction come from the history."""
    change = EditProposal(edits=[Edit("train.py", "a = 1", "a = 2")], author="llm", rationale="mine")
    waiting = replace(make_variant(change, ROOT, {"root": ROOT}, RULES), params={"x": 0.25}, predicted=0.4)
    code, trials = search(None, [ROOT, waiting]), [ran(n, 1.0, x=0.5 + n / 100) for n in range(20)]
    found = run(code, trials)
    assert (found.proposal.code, dict(found.params)) == (waiting.id, {"x": 0.25})
    assert found.proposal.prediction is not None
    assert found.proposal.prediction.mean == 0.4
