# ruff: noqa: D103  # as a user would write it
"""Trains a small network to tell a distance from eight measurements, for a fixed number of passes over the points."""

from __future__ import annotations

import argparse

import numpy as np
from data import Array, held_out, training  # type: ignore[import-not-found]

import tunesmith

EPOCHS = 15


def main() -> None:
    args = parse_args()
    rng = np.random.default_rng(args.seed)
    x, y = training()
    test_x, _ = held_out()
    weights = start(rng, x.shape[1], args.hidden)
    step = 0
    for epoch in range(EPOCHS):
        losses = []
        for first in range(0, len(x), args.batch):
            rows = slice(first, first + args.batch)
            loss, gradients = gradient(weights, x[rows], y[rows], args.decay)
            update(weights, gradients, args.lr)
            losses.append(loss)
            step += 1
        tunesmith.report(step=step, train_loss=float(np.mean(losses)))
        print(f"epoch {epoch:2d}  train_loss={np.mean(losses):.4f}", flush=True)
    np.savez(tunesmith.artifacts() / "predictions.npz", predicted=predict(weights, test_x))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate")
    parser.add_argument("--hidden", type=int, default=32, help="hidden units")
    parser.add_argument("--batch", type=int, default=32, help="points in a step")
    parser.add_argument("--decay", type=float, default=1e-4, help="weight decay")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def start(rng: np.random.Generator, inputs: int, hidden: int) -> list[Array]:
    return [rng.normal(size=(inputs, hidden)), np.zeros(hidden), rng.normal(size=(hidden, 1)), np.zeros(1)]


def hidden_units(weights: list[Array], x: Array) -> Array:
    return np.tanh(x @ weights[0] + weights[1])


def predict(weights: list[Array], x: Array) -> Array:
    return (hidden_units(weights, x) @ weights[2] + weights[3])[:, 0]


def gradient(weights: list[Array], x: Array, y: Array, decay: float) -> tuple[float, list[Array]]:
    h = hidden_units(weights, x)
    error = (h @ weights[2] + weights[3])[:, 0] - y
    out = 2.0 * error[:, None] / len(x)
    back = (out @ weights[2].T) * (1.0 - h * h)
    found = [x.T @ back, back.sum(axis=0), h.T @ out, out.sum(axis=0)]
    return float(np.mean(error * error)), [g + decay * w for g, w in zip(found, weights, strict=True)]


def update(weights: list[Array], gradients: list[Array], lr: float) -> None:
    for w, g in zip(weights, gradients, strict=True):
        w -= lr * g


if __name__ == "__main__":
    main()
