"""Proximal policy optimization on a pole that has to be swung up and balanced: 11 parameters and large noise.

The simulation, the networks (one hidden layer each) and their gradients are plain numpy. Every run gets the same
number of steps of the simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tunesmith.bench.experiments.training_tasks.task_family import Family, Params, Result, choice, number

Array = NDArray[np.float64]
ENVIRONMENTS = 16
STEPS = 40_000
"""Steps of the simulation in a run, over all environments."""
EPISODE = 100
EVALUATION_ENVIRONMENTS = 64

ENTRIES = [
    number("policy_lr", 1e-5, 0.1, log=True),
    number("value_lr", 1e-5, 0.1, log=True),
    number("one_minus_gamma", 1e-3, 0.3, log=True),
    number("one_minus_lambda", 1e-3, 1.0, log=True),
    number("clip", 0.05, 1.0, log=True),
    number("entropy", 1e-5, 0.3, log=True),
    number("hidden", 4, 64, log=True, kind="int"),
    choice("rollout", 10, 25, 50, 100, ordered=True),
    number("epochs", 1, 12, log=True, kind="int"),
    number("initial_std", 0.1, 3.0, log=True),
    choice("normalize_advantage", "yes", "no"),
]
DEFAULT = {
    "policy_lr": 3e-3, "value_lr": 1e-2, "one_minus_gamma": 0.05, "one_minus_lambda": 0.05, "clip": 0.2, "entropy":
    1e-3, "hidden": 32,
    "rollout": 50, "epochs": 8, "initial_std": 1.0, "normalize_advantage": "yes",
}  # fmt: skip


@dataclass(slots=True)
class Poles:
    """Poles on hinges with a weak motor: angle 0 is upright. States are (n, 2): angle and angular velocity."""

    states: Array
    rng: np.random.Generator

    def step(self, torque: Array) -> Array:
        """Move by 0.05 s under torques (n,), cut at 2; return rewards (n,) between about -1.6 and 0."""
        angle, speed = self.states.T
        torque = np.clip(torque, -2, 2)
        wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
        rewards = -(wrapped**2 + 0.1 * speed**2 + 0.001 * torque**2) / 10
        speed = np.clip(speed + (15 * np.sin(angle) + 3 * torque) * 0.05, -8, 8)
        self.states = np.stack([angle + speed * 0.05, speed], axis=1)
        return np.asarray(rewards)

    def seen(self) -> Array:
        """Return what the networks see, (n, 3): cosine, sine and scaled velocity."""
        angle, speed = self.states.T
        return np.stack([np.cos(angle), np.sin(angle), speed / 4], axis=1)


def hanging(count: int, rng: np.random.Generator) -> Poles:
    """Return poles that hang or swing at random."""
    return Poles(np.stack([rng.uniform(-np.pi, np.pi, count), rng.uniform(-1, 1, count)], axis=1), rng)


@dataclass(slots=True)
class Network:
    """One hidden tanh layer, one output, trained by Adam."""

    weights: list[Array]
    lr: float
    first: list[Array] = field(default_factory=list)
    second: list[Array] = field(default_factory=list)
    updates: int = 0

    def __call__(self, x: Array) -> Array:
        """Return outputs (n,) for inputs (n, 3)."""
        return np.asarray(np.tanh(x @ self.weights[0] + self.weights[1]) @ self.weights[2] + self.weights[3][0])

    def update(self, x: Array, slope: Array, extra: Array) -> None:
        """Follow the loss's slope by the outputs (n,), and by what else is trained, as the last weights."""
        hidden = np.tanh(x @ self.weights[0] + self.weights[1])
        back = slope[:, None] * self.weights[2] * (1 - hidden**2)
        gradients = [
            x.T @ back,
            back.sum(0),
            hidden.T @ slope,
            slope.sum(keepdims=True),
            *([extra] if len(self.weights) > 4 else []),
        ]
        self.first = self.first or [np.zeros_like(w) for w in self.weights]
        self.second = self.second or [np.zeros_like(w) for w in self.weights]
        self.updates += 1
        for i, gradient in enumerate(gradients):
            self.first[i] = 0.9 * self.first[i] + 0.1 * gradient
            self.second[i] = 0.999 * self.second[i] + 0.001 * gradient**2
            mean = self.first[i] / (1 - 0.9**self.updates)
            size = np.sqrt(self.second[i] / (1 - 0.999**self.updates)) + 1e-8
            self.weights[i] = self.weights[i] - self.lr * mean / size


def _network(hidden: int, lr: float, rng: np.random.Generator, *more: Array) -> Network:
    return Network(
        [rng.normal(0, 1, (3, hidden)), np.zeros(hidden), rng.normal(0, 0.1, hidden), np.zeros(1), *more], lr
    )


def train(params: Params, seed: int) -> Result:
    """Train a policy; return minus its mean reward per step, between 0 (upright all the time) and about 1.6."""
    rng = np.random.default_rng(seed)
    hidden, rollout = int(params["hidden"]), int(params["rollout"])
    policy = _network(hidden, float(params["policy_lr"]), rng, np.array([math.log(float(params["initial_std"]))]))
    value = _network(hidden, float(params["value_lr"]), rng)
    poles = hanging(ENVIRONMENTS, rng)
    age = 0
    rounds = STEPS // (ENVIRONMENTS * rollout)
    with np.errstate(all="ignore"):
        for _ in range(rounds):
            batch = _rollout(policy, value, poles, rollout, params)
            _learn(policy, value, batch, params)
            age += rollout
            if age >= EPISODE:
                poles, age = hanging(ENVIRONMENTS, rng), 0
        loss = _evaluate(policy)
    seconds = STEPS * (4e-6 + 1e-7 * hidden * int(params["epochs"]))
    return Result(loss, "", seconds) if math.isfinite(loss) else Result(math.nan, "nan", seconds)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one rollout saw: inputs (n, 3), actions, log densities, advantages and returns (n,)."""

    x: Array
    actions: Array
    log_density: Array
    advantages: Array
    returns: Array


def _rollout(policy: Network, value: Network, poles: Poles, steps: int, params: Params) -> Batch:
    gamma, mixing = 1 - float(params["one_minus_gamma"]), 1 - float(params["one_minus_lambda"])
    std = math.exp(min(max(float(policy.weights[4][0]), -5), 2))
    seen, actions, rewards, values, densities = [], [], [], [], []
    for _ in range(steps):
        x = poles.seen()
        noise = poles.rng.normal(size=len(x))
        seen.append(x)
        values.append(value(x))
        actions.append(policy(x) + std * noise)
        densities.append(-0.5 * noise**2 - math.log(std))
        rewards.append(poles.step(actions[-1]))
    after, advantage = value(poles.seen()), np.zeros(ENVIRONMENTS)
    advantages = []
    for reward, now in zip(reversed(rewards), reversed(values), strict=True):
        advantage = reward + gamma * after - now + gamma * mixing * advantage
        after = now
        advantages.append(advantage)
    flat = np.concatenate(advantages[::-1])
    returns = flat + np.concatenate(values)
    if params["normalize_advantage"] == "yes":
        flat = (flat - flat.mean()) / (flat.std() + 1e-8)
    return Batch(np.concatenate(seen), np.concatenate(actions), np.concatenate(densities), flat, returns)


def _learn(policy: Network, value: Network, batch: Batch, params: Params) -> None:
    count, clip = len(batch.x), float(params["clip"])
    for _ in range(int(params["epochs"])):
        log_std = float(np.clip(policy.weights[4][0], -5, 2))
        deviation = (batch.actions - policy(batch.x)) / math.exp(log_std)
        ratio = np.exp(np.clip(-0.5 * deviation**2 - log_std - batch.log_density, -20, 20))
        is_free = np.where(batch.advantages > 0, ratio < 1 + clip, ratio > 1 - clip)
        push = -1.0 * is_free * ratio * batch.advantages / count
        widen = np.array([(push * (deviation**2 - 1)).sum() - float(params["entropy"])])
        policy.update(batch.x, push * deviation / math.exp(log_std), widen)
        value.update(batch.x, (value(batch.x) - batch.returns) / count, np.zeros(1))


def _evaluate(policy: Network) -> float:
    poles = hanging(EVALUATION_ENVIRONMENTS, np.random.default_rng(1))
    return -float(np.mean([poles.step(policy(poles.seen())) for _ in range(EPISODE)]))


FAMILY = Family(
    name="rl",
    entries=ENTRIES,
    default=DEFAULT,
    train=train,
    description=(
        "Proximal policy optimization that swings up and balances a pole, for a fixed number of simulation steps. "
        "Results vary much from seed to seed. "
        "Minimize the mean cost per step of the final policy."
    ),
    source="the defaults of PPO in Stable-Baselines3, with a rollout and a network of this size",
)
