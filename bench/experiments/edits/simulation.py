"""Drives a strategy of code search with ideas whose values are known, so that it can be judged in milliseconds.

    python bench/experiments/edits/simulation.py --trials 40 --seeds 200

A version's loss is that of the default minus the gains of its ideas, some of which only help together, and minus what
tuning gained on its way, which saturates; a run adds noise. Nothing is trained and no model is asked: the ideas come in
an order drawn from the seed. The ideas of a real project, with measured gains, can be put in place of the made-up ones.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import get_args

from tunesmith.agent.code_search.arms import build_arms
from tunesmith.agent.code_search.joins import ideas_of
from tunesmith.agent.code_search.strategies.base import SearchState, Strategy
from tunesmith.agent.code_search.strategies.registry import make_strategy
from tunesmith.study.config.tables.planner import EditStrategy
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.variant import COMBINE, Variant, VariantState

OBJECTIVE = Objective("loss")
STRATEGIES: tuple[EditStrategy, ...] = get_args(EditStrategy)


@dataclass(frozen=True, slots=True)
class Idea:
    """A recorded edit.

    Attributes:
        gain: what it takes off the loss; below 0 it harms.
        needs: ideas without which it gains nothing.
        is_broken: whether its run fails.
    """

    name: str
    gain: float
    needs: tuple[str, ...] = ()
    is_broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a simulated study is about.

    Attributes:
        default: the loss of the user's code with its default configuration.
        tuning_gain: what tuning gains in all, if it never stops.
        tuning_trials: trials in which tuning gains about two thirds of that.
        noise: standard deviation of a run.
        max_ideas: ideas in one answer.
    """

    ideas: Sequence[Idea]
    default: float = 4.0
    tuning_gain: float = 0.8
    tuning_trials: float = 10.0
    noise: float = 0.01
    max_ideas: int = 1


@dataclass(slots=True)
class _Study:
    """A simulated study as it goes."""

    world: World
    random: random.Random
    left: list[Idea]
    variants: dict[str, Variant]
    trials: list[Trial] = field(default_factory=list)
    tuned: dict[str, float] = field(default_factory=lambda: {"": 0.0})
    """By how many trials the configuration of each version has been tuned, its parents' included."""

    def state(self, trials: int) -> SearchState:
        tried = {t.proposal.code for t in self.trials}
        sound = [v for v in self.variants.values() if v.is_edited and v.state is VariantState.SOUND]
        arms = build_arms(self.trials, OBJECTIVE, ())
        valid = {v.id for v in sound} | {""}
        return SearchState(
            trials=self.trials,
            arms=[arm for arm in arms if arm.code in valid],
            variants=self.variants,
            untried=[v for v in sound if v.id not in tried],
            objective=OBJECTIVE,
            noise=math.sqrt(2.0) * self.world.noise,
            trials_left=trials - len(self.trials),
            number=len(self.trials),
        )

    def run(self, code: str) -> None:
        """Run a trial of a version; beyond its first one it tunes."""
        is_first = all(t.proposal.code != code for t in self.trials)
        if not is_first or (not code and self.trials):
            self.tuned[code] = self.tuned.get(code, 0.0) + 1.0
        ideas = [i for i in self.world.ideas if code and i.name in ideas_of(self.variants[code], self.variants)]
        proposal = Proposal(params={}, source=Source.SAMPLER, seed=len(self.trials), variant=code or "root")
        outcome = Outcome(state=TrialState.COMPLETE, values={"loss": self._loss(code, ideas)})
        if any(idea.is_broken for idea in ideas):
            outcome = Outcome(state=TrialState.FAILED, failure=Failure(kind=FailureKind.CRASH, reason="broken"))
            self.variants[code] = replace(self.variants[code], state=VariantState.BROKEN)
        self.trials.append(Trial(number=len(self.trials), proposal=proposal, state=outcome.state, outcome=outcome))

    def truth(self, code: str) -> float:
        """Return the loss of a version without noise, as far as it has been tuned."""
        ideas = [i for i in self.world.ideas if code and i.name in ideas_of(self.variants[code], self.variants)]
        names = {idea.name for idea in ideas}
        gain = sum(idea.gain for idea in ideas if set(idea.needs) <= names)
        share = 1.0 - math.exp(-self.tuned.get(code, 0.0) / self.world.tuning_trials)
        return self.world.default - gain - share * self.world.tuning_gain

    def answer(self, parent: str, count: int) -> None:
        """Add the next ideas as edits of a version."""
        for idea in self.left[:count]:
            self.add(Variant(id=idea.name, parent=parent or "root", author="llm", diff=f"+{idea.name}\n"))
        self.left = self.left[count:]

    def add(self, variant: Variant) -> None:
        """Add a version; its configuration begins where its parent's ended."""
        self.variants[variant.id] = variant
        parent = variant.parent if variant.parent != "root" else ""
        self.tuned[variant.id] = self.tuned.get(parent or "", 0.0)

    def _loss(self, code: str, ideas: Iterable[Idea]) -> float:  # noqa: ARG002  # `truth` finds them again
        return self.truth(code) + self.random.gauss(0.0, self.world.noise)


def simulate(strategy: Strategy, world: World, *, trials: int, seed: int) -> list[float]:
    """Return, after each trial, the true loss of the version with the best value so far."""
    rng = random.Random(seed)
    ideas = list(world.ideas)
    rng.shuffle(ideas)
    study = _Study(world, rng, ideas, {"root": Variant(id="root")})
    study.run("")
    curve = [study.truth("")]
    while len(study.trials) < trials:
        _step(strategy, study, trials)
        best = min((arm for arm in study.state(trials).arms if arm.best), key=lambda arm: arm.value)
        curve.append(study.truth(best.code))
    return curve


def _step(strategy: Strategy, study: _Study, trials: int) -> None:
    """Ask and run as the code search does."""
    state = study.state(trials)
    request = strategy.request(state) if study.left else None
    if request is not None:
        study.answer(request.parent, min(request.count, study.world.max_ideas))
        state = study.state(trials)
    if not state.untried and (pairs := strategy.joins(state)):
        first, second = pairs[0]
        name = f"edit-{len(study.variants)}-join"
        study.add(Variant(id=name, parent=first.id, joined=second.id, direction=COMBINE, author="crossover"))
        state = study.state(trials)
    if not state.untried:
        study.run(strategy.tuned(state))
        return
    variant = state.untried[0]
    base = strategy.base(variant, state)
    if base and base != variant.parent and variant.direction != COMBINE:
        study.variants[variant.id] = replace(variant, state=VariantState.DUPLICATE)
        variant = replace(variant, id=f"{variant.id}-moved", parent=base, joined=variant.id)
        study.add(variant)
    study.run(variant.id)


def made_up_ideas(seed: int, count: int = 60) -> list[Idea]:
    """Return ideas as models have them: a few good ones, some that need another, most neutral, bad or broken."""
    rng = random.Random(f"ideas {seed}")
    found: list[Idea] = []
    for number in range(count):
        name, kind = f"edit-{number}", rng.random()
        if kind < 0.15:
            found.append(Idea(name, rng.expovariate(1 / 0.25)))
        elif kind < 0.22 and found:
            found.append(Idea(name, rng.expovariate(1 / 0.3), needs=(rng.choice(found).name,)))
        elif kind < 0.55:
            found.append(Idea(name, rng.gauss(0.0, 0.01)))
        elif kind < 0.85:
            found.append(Idea(name, -rng.expovariate(1 / 0.3)))
        else:
            found.append(Idea(name, 0.0, is_broken=True))
    return found


def main() -> None:
    """Print the mean loss of each strategy after some numbers of trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--max-ideas", type=int, default=1)
    parser.add_argument("--tuning-gain", type=float, default=0.8)
    args = parser.parse_args()
    shown = [n for n in (10, 20, 40, 80, 160) if n <= args.trials]
    print("strategy   " + "  ".join(f"{n:>6}" for n in shown))
    for name in STRATEGIES:
        curves = []
        for seed in range(args.seeds):
            world = World(
                ideas=made_up_ideas(seed), noise=args.noise, max_ideas=args.max_ideas, tuning_gain=args.tuning_gain
            )
            curves.append(simulate(make_strategy(name), world, trials=args.trials, seed=seed))
        print(f"{name:<10} " + "  ".join(f"{mean(curve[n - 1] for curve in curves):6.3f}" for n in shown))


if __name__ == "__main__":
    main()
