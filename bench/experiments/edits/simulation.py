"""Drives a strategy of code search with ideas whose values are known, so that it can be judged in milliseconds.

    python bench/experiments/edits/simulation.py --trials 40 --seeds 200

A version's loss follows from its ideas and from how far it was tuned; a run adds noise. Nothing is trained and no model
is asked: the ideas come in an order drawn from the seed. Here they are made up: a loss is that of the default minus
gains, some of which only help together, and minus what tuning gained, which saturates. banks/compare.py takes measured
ones.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Protocol, get_args

from tunesmith.agent.code_search.arms import build_arms
from tunesmith.agent.code_search.joins import ideas_of
from tunesmith.agent.code_search.questions.editor import MAX_QUESTIONS
from tunesmith.agent.code_search.search import MAX_PAUSE_TRIALS
from tunesmith.agent.code_search.strategies.base import SearchState, Strategy
from tunesmith.agent.code_search.strategies.registry import make_strategy
from tunesmith.study.config.tables.planner import EditStrategy
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.variant import COMBINE, Variant, VariantState

OBJECTIVE = Objective("loss")
STRATEGIES: tuple[EditStrategy, ...] = get_args(EditStrategy)
Names = frozenset[str]
EDIT = "edit-"
"""Start of the id of an edited version; the rest is the name of its idea."""


@dataclass(frozen=True, slots=True)
class Idea:
    """A recorded edit.

    Attributes:
        gain: what it takes off the loss; below 0 it harms.
        needs: ideas without which it gains nothing.
        is_broken: whether its run fails.
        is_refused: whether the gate refuses it, so that it costs no trial.
        same_as: the idea that it repeats in other words; "" for none.
    """

    name: str
    gain: float = 0.0
    needs: tuple[str, ...] = ()
    is_broken: bool = False
    is_refused: bool = False
    same_as: str = ""


class World(Protocol):
    """What a simulated study is about. A setting is what the configuration of a trial takes off the loss."""

    @property
    def ideas(self) -> Sequence[Idea]:
        """Return every idea, in the order of a model that answers without noise."""

    @property
    def max_ideas(self) -> int:
        """Return the number of ideas in one answer."""

    def order(self, rng: random.Random) -> list[Idea]:
        """Return the ideas in the order of one model."""

    def loss(self, names: Names, setting: float) -> float:
        """Return the loss of a version with these ideas."""

    def setting(self, names: Names, number: int, seed: int) -> float:
        """Return the setting of the trial that tunes a version for the `number`-th time, from 1."""

    def noise(self, loss: float) -> float:
        """Return the standard deviation of a run."""

    def fits(self, names: Names, idea: str) -> bool:
        """Return whether an idea can be put upon others."""

    def works(self, names: Names) -> bool:
        """Return whether a version with these ideas runs to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUpWorld:
    """A world whose ideas add up.

    Attributes:
        default: the loss of the user's code with its default configuration.
        tuning_gain: what tuning gains in all, if it never stops.
        tuning_trials: trials in which tuning gains about two thirds of that.
        tuning_hits: share of the trials that reach what tuning can reach by then; the others miss it by a fifth.
        spread: standard deviation of a run.
    """

    ideas: Sequence[Idea]
    default: float = 4.0
    tuning_gain: float = 0.8
    tuning_trials: float = 10.0
    tuning_hits: float = 1.0
    spread: float = 0.01
    max_ideas: int = 1

    def order(self, rng: random.Random) -> list[Idea]:  # noqa: D102  # see World
        found = list(self.ideas)
        rng.shuffle(found)
        return found

    def loss(self, names: Names, setting: float) -> float:  # noqa: D102  # see World
        return self.default - setting - sum(i.gain for i in self.ideas if i.name in names and names.issuperset(i.needs))

    def setting(self, names: Names, number: int, seed: int) -> float:  # noqa: ARG002, D102  # see World
        reached = self.tuning_gain * (1.0 - math.exp(-number / self.tuning_trials))
        # A sampler tries what may be better; most of its trials are not.
        return reached * (1.0 if random.Random(f"{seed} {number}").random() < self.tuning_hits else 0.8)

    def noise(self, loss: float) -> float:  # noqa: ARG002, D102  # the same everywhere
        return self.spread

    def fits(self, names: Names, idea: str) -> bool:  # noqa: ARG002, D102  # made-up ideas change different lines
        return True

    def works(self, names: Names) -> bool:  # noqa: D102  # see World
        return not any(idea.is_broken for idea in self.ideas if idea.name in names)


@dataclass(slots=True)
class Simulation:
    """A simulated study as it goes.

    Attributes:
        tuned: how often the configuration of each version was tuned, its parents' included.
        settings: the setting of each version's best trial.
        paused_until: the trial before which no question goes out, after answers of which nothing could run.
    """

    world: World
    seed: int
    left: list[Idea]
    random: random.Random
    variants: dict[str, Variant] = field(default_factory=lambda: {"root": Variant(id="root")})
    trials: list[Trial] = field(default_factory=list)
    tuned: dict[str, int] = field(default_factory=lambda: {"": 0})
    settings: dict[str, float] = field(default_factory=lambda: {"": 0.0})
    paused_until: int = 0
    failed_answers: int = 0

    def state(self, trials: int) -> SearchState:
        """Return what a strategy sees."""
        tried = {t.proposal.code for t in self.trials}
        sound = [v for v in self.variants.values() if v.is_edited and v.state is VariantState.SOUND]
        arms = build_arms(self.trials, OBJECTIVE, ())
        valid = {v.id for v in sound} | {""}
        best = min((arm.value for arm in arms if arm.best), default=0.0)
        return SearchState(
            trials=self.trials,
            arms=[arm for arm in arms if arm.code in valid],
            variants=self.variants,
            untried=[v for v in sound if v.id not in tried],
            objective=OBJECTIVE,
            noise=math.sqrt(2.0) * self.world.noise(best),
            trials_left=trials - len(self.trials),
            number=len(self.trials),
        )

    def names(self, code: str) -> Names:
        """Return the ideas of a version."""
        found = ideas_of(self.variants[code], self.variants) if code and code != "root" else set()
        return frozenset(name.removeprefix(EDIT) for name in found)

    def truth(self, code: str) -> float:
        """Return the loss of a version without noise, at its best configuration so far."""
        return self.world.loss(self.names(code), self.settings.get(code, 0.0))

    def run(self, code: str) -> None:
        """Run a trial of a version; beyond its first one it tunes."""
        own = [t for t in self.trials if t.proposal.code == code]
        setting = self.settings[code]
        if own or (not code and self.trials):
            self.tuned[code] += 1
            setting = self.world.setting(self.names(code), self.tuned[code], self.seed)
        loss = self.world.loss(self.names(code), setting)
        observed = loss + self.random.gauss(0.0, self.world.noise(loss))
        outcome = Outcome(state=TrialState.COMPLETE, values={"loss": observed})
        if not self.world.works(self.names(code)):
            outcome = Outcome(state=TrialState.FAILED, failure=Failure(kind=FailureKind.CRASH, reason="broken"))
            self.variants[code] = replace(self.variants[code], state=VariantState.BROKEN)
        elif all(observed < t.values["loss"] for t in own if t.values):
            self.settings[code] = setting
        proposal = Proposal(params={}, source=Source.SAMPLER, seed=len(self.trials), variant=code or "root")
        self.trials.append(Trial(number=len(self.trials), proposal=proposal, state=outcome.state, outcome=outcome))

    def answer(self, parent: str, count: int) -> None:
        """Add the next ideas that fit as edits of a version; an answer of which nothing can run is asked for again."""
        for _ in range(MAX_QUESTIONS):
            fitting = [i for i in self.left if self.world.fits(self.names(parent), i.name)][:count]
            self.left = [idea for idea in self.left if idea not in fitting]
            runnable = [idea for idea in fitting if not idea.is_refused]
            for idea in runnable:
                self.add(
                    Variant(id=f"{EDIT}{idea.name}", parent=parent or "root", author="llm", diff=f"+{idea.name}\n")
                )
            if runnable:
                self.failed_answers = 0
                return
        self.failed_answers += 1
        self.paused_until = len(self.trials) + min(2**self.failed_answers, MAX_PAUSE_TRIALS)

    def add(self, variant: Variant) -> None:
        """Add a version; its configuration begins where its parent's is."""
        self.variants[variant.id] = variant
        parent = variant.parent if variant.parent != "root" else ""
        self.tuned[variant.id] = self.tuned[parent or ""]
        self.settings[variant.id] = self.settings[parent or ""]

    def put_on(self, parent: str, variant: Variant) -> Variant | None:
        """Return a version's idea on top of another version; None where it does not fit."""
        added = self.names(variant.id) - self.names(variant.parent or "")
        if not all(self.world.fits(self.names(parent), name) for name in added):
            return None
        made = Variant(id=f"{EDIT}{len(self.variants)}-put", parent=parent, joined=variant.id, author="llm")
        self.add(made)
        return made


def simulate(strategy: Strategy, world: World, *, trials: int, seed: int) -> list[float]:
    """Return, after each trial, the true loss of the version with the best value so far."""
    return [study_loss for study_loss, _ in simulated(strategy, world, trials=trials, seed=seed)]


def simulated(strategy: Strategy, world: World, *, trials: int, seed: int) -> list[tuple[float, Names]]:
    """Return, after each trial, the true loss and the ideas of the version with the best value so far."""
    rng = random.Random(seed)
    study = Simulation(world, seed, world.order(rng), rng)
    study.run("")
    curve = [(study.truth(""), study.names(""))]
    while len(study.trials) < trials:
        _step(strategy, study, trials)
        best = min((arm for arm in study.state(trials).arms if arm.best), key=lambda arm: arm.value)
        curve.append((study.truth(best.code), study.names(best.code)))
    return curve


def _step(strategy: Strategy, study: Simulation, trials: int) -> None:
    """Ask and run as the code search does."""
    state = study.state(trials)
    request = strategy.request(state) if study.left and state.number >= study.paused_until else None
    if request is not None:
        study.answer(request.parent, min(request.count, study.world.max_ideas))
        state = study.state(trials)
    if not state.untried:
        _join(strategy, study, state)
        state = study.state(trials)
    if not state.untried:
        study.run(strategy.tuned(state))
        return
    variant = state.untried[0]
    base = strategy.base(variant, state)
    if base and base != variant.parent and variant.direction != COMBINE:
        moved = study.put_on(base, variant)
        if moved is not None:
            study.variants[variant.id] = replace(variant, state=VariantState.DUPLICATE)
            variant = moved
    study.run(variant.id)


def _join(strategy: Strategy, study: Simulation, state: SearchState) -> None:
    for first, second in strategy.joins(state):
        joined = study.put_on(first.id, second)
        if joined is not None:
            study.variants[joined.id] = replace(joined, direction=COMBINE, author="crossover")
            return


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
            found.append(Idea(name, is_broken=True))
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
            world = MadeUpWorld(
                ideas=made_up_ideas(seed), spread=args.noise, max_ideas=args.max_ideas, tuning_gain=args.tuning_gain
            )
            curves.append(simulate(make_strategy(name), world, trials=args.trials, seed=seed))
        print(f"{name:<10} " + "  ".join(f"{mean(curve[n - 1] for curve in curves):6.3f}" for n in shown))


if __name__ == "__main__":
    main()
