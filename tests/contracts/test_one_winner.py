"""Every command, tool and file that names a study's best names the same configuration.

Histories are made by the Recorder: spaces with conditions that change on the way, constraints, fidelities, several
objectives in both directions, failures, values that are not numbers, replicates, confirmations, imported trials, and
versions of the code with parameters of their own.
"""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from fakes.named import named_by_doors
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.tuner import Tuner
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import choosing_seed, confirming_seed, noise_seed
from tunesmith.study.trials.results import (
    default_trial,
    is_feasible,
    left_out_count,
    present_improvements,
    present_trials,
)
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.winner import winner
from tunesmith.study.variant import Variant

EDIT = "edit-0123456789ab"
NAMES = ("lr", "width", "opt", "momentum", "flag")


def random_space(rng: random.Random) -> dict[str, dict[str, Any]]:
    """Return a random [space]; `momentum` depends on `opt`."""
    table: dict[str, dict[str, Any]] = {"lr": {"type": "float", "low": 0.0, "high": rng.choice([0.3, 1.0])}}
    if rng.random() < 0.7:
        table["width"] = {"type": "int", "low": rng.choice([1, 4]), "high": 16, "default": 8}
    if rng.random() < 0.6:
        table["opt"] = {"type": "choice", "choices": ["adam", "sgd", None][: rng.choice([2, 3])], "default": "adam"}
        if None in table["opt"]["choices"]:
            table["opt"]["choices"][2] = "lion"
        table["momentum"] = {"type": "float", "low": 0.0, "high": 0.9, "when": "opt == 'sgd'"}
    if rng.random() < 0.3:
        table["flag"] = {"type": "bool", "default": False}
    if rng.random() < 0.8:
        table["lr"]["default"] = 0.2
    names = {"lr": rng.choice(["lr", "lr", "rate"])}
    return {names.get(name, name): entry for name, entry in table.items()}


def random_spec(rng: random.Random) -> dict[str, Any]:
    """Return a random study without its space."""
    metrics = ["loss", "ms"] if rng.random() < 0.25 else ["loss"]
    document: dict[str, Any] = {
        "study": {"name": "s", "metric": metrics, "direction": [rng.choice(["minimize", "maximize"]) for _ in metrics]},
        "run": {"command": "python train.py"},
        "budget": {"trials": 50},
    }
    if rng.random() < 0.3:
        document["constraints"] = [{"metric": "mem", rng.choice(["min", "max"]): 0.5}]
    return document


class Filler:
    """Adds random trials to a study."""

    def __init__(self, recorder: Recorder, spec: StudySpec, rng: random.Random) -> None:
        self._recorder, self._spec, self._rng = recorder, spec, rng
        self._fidelities = rng.choice([[None], [None], [1.0, 3.0, 9.0]])
        self._runs = 0

    def add(self, count: int) -> None:
        """Add `count` trials."""
        for _ in range(count):
            trials = self._recorder.history.trials(self._recorder.study_id)
            complete = [t for t in trials if t.state is TrialState.COMPLETE and not t.is_replicate]
            self._runs += 1
            again = bool(complete) and self._rng.random() < 0.45
            proposal = self._again(complete) if again else self._new(len(trials))
            self._finish(self._recorder.record_proposal(proposal, 0.0))

    def confirm(self) -> None:
        """Repeat the best trial of the present space and its default on the same confirmation seeds."""
        found = present_trials(self._recorder.history.trials(self._recorder.study_id), self._spec.space)
        done = [t for t in found if t.state is TrialState.COMPLETE and not t.is_replicate and "loss" in t.values]
        sign = self._spec.objectives[0].sign
        best = sorted(done, key=lambda t: sign * t.values["loss"])[:2]
        for index in range(self._rng.randint(1, 3)):
            for original in {t.number: t for t in [*done[:1], *best]}.values():
                again = replace(
                    original.proposal,
                    source=Source.CONFIRM,
                    seed=confirming_seed(0, index),
                    replicate_of=original.number,
                )
                self._finish(self._recorder.record_proposal(again, 0.0))

    def _new(self, number: int) -> Proposal:
        rng, space = self._rng, self._spec.space
        unit = [rng.choice([0.1, 0.5, 0.9, rng.random()]) for _ in space.names]
        params, source = space.from_unit(unit), rng.choice([Source.SAMPLER, Source.LLM, Source.USER, Source.IMPORT])
        variant = "base"
        if number == 0 and space.default is not None and rng.random() < 0.8:
            params, source = space.default, Source.DEFAULT
        elif rng.random() < 0.15:
            variant, params = EDIT, {**params, **({"depth": rng.randint(1, 3)} if rng.random() < 0.7 else {})}
        fidelity = rng.choice(self._fidelities)
        return Proposal(params=params, source=source, seed=number, variant=variant, fidelity=fidelity)

    def _again(self, complete: Sequence[Trial]) -> Proposal:
        rng = self._rng
        original = rng.choice(
            [complete[0], min(complete, key=lambda t: t.values.get("loss", 0.0)), rng.choice(complete)]
        )
        seed = rng.choice([noise_seed, choosing_seed, confirming_seed, confirming_seed])(0, self._runs)
        params = dict(original.params)
        if rng.random() < 0.05:
            params[next(iter(params))] = 0.123  # what a replicate never should be
        return Proposal(
            params=params,
            source=Source.CONFIRM,
            seed=seed,
            variant=original.proposal.variant,
            fidelity=original.proposal.fidelity,
            replicate_of=original.number,
        )

    def _finish(self, trial: Trial) -> None:
        rng = self._rng
        fate = rng.random()
        if fate < 0.05:
            return
        running = self._recorder.record_start(trial, 0, 0.0)
        if fate < 0.1:
            return
        state = TrialState.COMPLETE if fate < 0.85 else rng.choice([TrialState.FAILED, TrialState.STOPPED])
        values = {"loss": round(rng.gauss(1.0, 0.5), rng.choice([1, 4])), "ms": rng.random(), "mem": rng.random()}
        if rng.random() < 0.08:
            values[rng.choice(["loss", "ms", "mem"])] = rng.choice([math.nan, math.inf, -math.inf])
        if rng.random() < 0.08:
            del values[rng.choice(["ms", "mem"])]
        failure = Failure(kind=FailureKind.CRASH, reason="it broke") if state is TrialState.FAILED else None
        self._recorder.record_outcome(running, Outcome(state=state, values=values, failure=failure), 0.0)


def random_history(folder: Path, rng: random.Random) -> StudySpec:
    """Fill folder/.tunesmith/history.db with a study whose space changes up to twice; return the present study."""
    document = random_spec(rng)
    path = folder / ".tunesmith" / "history.db"
    path.parent.mkdir()
    for _ in range(rng.choice([1, 1, 2, 3])):
        document["space"] = random_space(rng)
        spec = parse_spec(document)
        (folder / "study.toml").write_text(tomli_w.dumps(document))
        with Recorder(path, spec, project="", now=0.0) as recorder:  # a Tuner takes it over
            recorder.record_variant(Variant(id="base", files={"train.py": "a = 1\n"}))
            recorder.record_variant(Variant(id=EDIT, parent="base", files={"train.py": "a = 2\n"}, direction="other"))
            filler = Filler(recorder, spec, rng)
            filler.add(rng.randint(0, 12))
            if rng.random() < 0.5:
                filler.confirm()
                filler.add(rng.choice([0, 0, 3]))
            finished = [t.number for t in recorder.history.trials(recorder.study_id) if t.state.is_finished]
            if finished and rng.random() < 0.3:
                recorder.record_command({"done": True}, [], 0.0, forget=rng.sample(finished, min(2, len(finished))))
    return spec


@given(st.integers(0, 2**32))
def test_every_door_names_the_same_winner(seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = random_history(folder, random.Random(seed))
        named = named_by_doors(folder)
        assert len(set(named.values())) == 1, named
        with History.open(folder / ".tunesmith" / "history.db") as history:
            trials = history.trials(history.study("s").id)
        check_winner(named["history"], trials, spec)
        if not spec.constraints:
            assert tuner_best(folder, spec) == named["history"]


@given(st.integers(0, 2**32))
def test_the_trials_that_are_read_decide_as_all_trials_do(seed: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        modelled = rng.choice([1, 2, 4, 40])
        for module in ("tunesmith.study.trials.winner", "tunesmith.history.queries.contenders"):
            patch.setattr(f"{module}.MODELLED", modelled)
        spec = random_history(Path(name), rng)
        with History.open(Path(name) / ".tunesmith" / "history.db") as history:
            record = history.study("s")
            found = [history.choose(record.id, spec, chunk=chunk) for chunk in (1, 3, 64)]
            default, improved, outside = history.default(record), history.improvements(record), history.left_out(record)
            trials = history.trials(record.id)
        assert repr(found) == repr([winner(trials, spec)] * 3)  # nan is equal to nan here
        assert repr(default) == repr(default_trial(trials, spec.space))
        assert improved == present_improvements(trials, spec)
        assert outside == left_out_count(trials, spec.space)


def test_a_running_study_sees_each_new_best_at_once(tmp_path: Path) -> None:
    rng = random.Random(5)
    spec = parse_spec({**random_spec(rng), "space": random_space(rng)})
    with Recorder(tmp_path / "history.db", spec, project="", now=0.0) as recorder:
        filler = Filler(recorder, spec, rng)
        for _ in range(60):
            filler.add(1)
            trials = recorder.history.trials(recorder.study_id)
            if len(trials) % 7 == 0 and trials[0].state.is_finished:
                forget, take_up = ([], [0]) if trials[0].forgotten else ([0], [])
                recorder.record_command({"done": True}, [], 0.0, forget=forget, take_up=take_up)
                trials = recorder.history.trials(recorder.study_id)
            assert repr(recorder.history.choose(recorder.study_id, spec, chunk=4)) == repr(winner(trials, spec))


def check_winner(number: int | None, trials: Sequence[Trial], spec: StudySpec) -> None:
    """Check what holds for every winner, without asking the function that chose it."""
    present = present_trials(trials, spec.space)
    able = [
        t
        for t in present
        if not t.is_replicate
        and t.state is TrialState.COMPLETE
        and all(math.isfinite(t.values.get(o.metric, math.nan)) for o in spec.objectives)
        and is_feasible(t, spec.metric_constraints)
    ]
    assert (number is None) == (not able)
    if number is None:
        return
    won = next(t for t in able if t.number == number)
    assert own_part(won, spec.space) == won.params or won.proposal.code
    assert spec.space.contains(own_part(won, spec.space))
    tops = max(math.inf if t.proposal.fidelity is None else t.proposal.fidelity for t in able)
    assert (math.inf if won.proposal.fidelity is None else won.proposal.fidelity) == tops
    if not any(t.is_replicate for t in trials):
        first = spec.objectives[0]
        rivals = [t for t in able if (math.inf if t.proposal.fidelity is None else t.proposal.fidelity) == tops]
        assert won.values[first.metric] * first.sign == min(t.values[first.metric] * first.sign for t in rivals)


def own_part(trial: Trial, space: SearchSpace) -> Mapping[str, Any]:
    return {name: value for name, value in trial.params.items() if name in space.parameters}


def tuner_best(folder: Path, spec: StudySpec) -> int | None:
    """Return what `tunesmith.Tuner.best` names on the same history; it takes the study over."""
    history = folder / ".tunesmith" / "history.db"
    aims: dict[str, Any] = {"metric": spec.study.metric, "direction": [o.direction.value for o in spec.objectives]}
    with Tuner(spec.space, **aims, history=history, name="s") as tuner:
        return tuner.best.number if tuner.best else None
