"""How often a study claims a gain that does not exist, and how often it misses one: whole studies on noisy functions.

    python bench/experiments/quality/null_studies.py [--studies 200] [--kind null]

Each study runs the default, the sampler and then the replicates of [confirm], by the same rules as `tunesmith run`,
with a function in place of training. In a null study no parameter matters; in the others the best region is better than
the default by one standard deviation of the noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from tunesmith.agent.planner.arbiter import Arbiter
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.scheduler.confirmation import Confirmation
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Outcome, Proposal, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.analysis.findings.headline import StudyVerdict
from tunesmith.tools.analysis.findings.summary import summarize

Params = Mapping[str, Any]
Truth = Callable[[Params], float]


def null(params: Params) -> float:  # noqa: ARG001
    """Return the same value everywhere."""
    return 0.0


def half(params: Params) -> float:
    """Return a value that is better by 1 in half of the range of one parameter."""
    return -1.0 if params["lr"] > 1e-2 else 0.0


def valley(params: Params) -> float:
    """Return a smooth valley in two of four parameters, better by about 1 at its bottom than at the default."""
    x = (np.log10(params["lr"]) + 1.5) / 2.5
    y = (params["dropout"] - 0.4) / 0.6
    return float(-1.0 * np.exp(-(x * x) - y * y))


TRUTHS: Mapping[str, Truth] = {"null": null, "half": half, "valley": valley}


def spec_of(trials: int, top: int) -> StudySpec:
    """Return the study."""
    space = {
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "default": 1e-4},
        "dropout": {"type": "float", "low": 0.0, "high": 0.9, "default": 0.0},
        "layers": {"type": "int", "low": 1, "high": 6, "default": 2},
        "optimizer": {"type": "choice", "choices": ["adam", "sgd"], "default": "adam"},
    }
    return parse_spec(
        {
            "study": {"name": "null", "metric": "loss"},
            "run": {"command": "f {lr} {dropout} {layers} {optimizer} {seed}"},
            "space": space,
            "budget": {"trials": trials},
            "confirm": {"top": top},
        }
    )


def study(number: int, truth_name: str, trials: int, top: int) -> tuple[bool, float | None, float, int]:
    """Return whether a gain was claimed, the error of the confirmed value, the true gain, and how many runs it took."""
    truth, spec = TRUTHS[truth_name], spec_of(trials, top)
    spec = spec.model_copy(update={"study": spec.study.model_copy(update={"seed": number})})
    done: list[Trial] = []
    confirmation, arbiter = Confirmation(spec), Arbiter(BayesSampler())

    def run(proposal: Proposal) -> None:
        noise = np.random.default_rng(derived_seed(number, "noise of", len(done))).normal()
        outcome = Outcome(state=TrialState.COMPLETE, values={"loss": truth(proposal.params) + float(noise)})
        done.append(Trial(number=len(done), proposal=proposal, state=TrialState.COMPLETE, outcome=outcome))

    while sum(not t.is_replicate for t in done) < trials:
        missing = confirmation.noise_runs(done)
        view = StudyView(space=spec.space, objectives=spec.objectives, trials=done, number=len(done), seed=number)
        run(missing[0] if missing else arbiter.choose(view))
    while missing := confirmation.next_replicates(done):
        run(missing[0])
    found = summarize(StudyRecord(id=1, name="null", spec=spec), done)
    if found.best is None:
        raise RuntimeError("every study has complete trials")
    true = truth(found.best.params)
    error = found.best.confirmed.mean - true if found.best.confirmed else None
    return (
        found.verdict is StudyVerdict.CONFIRMED,
        error,
        truth(dict(spec.space.default or {})) - true,
        len(done) - trials,
    )


def main() -> None:
    """Run every kind of study and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--top", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kind", action="append", choices=list(TRUTHS))
    args = parser.parse_args()
    print(f"{args.studies} studies of {args.trials} trials, noise of standard deviation 1, top {args.top}")
    with ProcessPoolExecutor(args.jobs) as pool:
        for name in args.kind or TRUTHS:
            one = partial(study, truth_name=name, trials=args.trials, top=args.top)
            found = list(pool.map(one, range(args.studies), chunksize=5))
            claims = np.array([claim for claim, *_ in found])
            errors = np.array([error for _, error, *_ in found if error is not None])
            print(
                f"{name:<7} claims a gain in {claims.mean():6.1%}   true gain of what it chose "
                f"{np.mean([g for _, _, g, _ in found]):.2f}   confirmed value off by {errors.mean():+.3f} "
                f"± {1.96 * errors.std() / len(errors) ** 0.5:.3f}   {np.mean([n for *_, n in found]):.1f} extra runs"
            )


if __name__ == "__main__":
    main()
