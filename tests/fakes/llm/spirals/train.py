"""Trains a small network to tell two spirals apart, for 12,000 examples; prints the loss on fresh points."""

import argparse

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--momentum", type=float, default=0.9)
parser.add_argument("--hidden", type=int, default=16)
parser.add_argument("--activation", default="relu", choices=["relu", "tanh"])
parser.add_argument("--weight_decay", type=float, default=1e-4)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--init_scale", type=float, default=1.0)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()


def spirals(count, rng):
    t = rng.uniform(0.5, 3.0, count) * np.pi
    side = rng.integers(0, 2, count)
    angle = t + np.pi * side
    points = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1) / 9.0
    return points + rng.normal(0.0, 0.02, points.shape), side


rng = np.random.default_rng(args.seed)
x_val, y_val = spirals(500, np.random.default_rng(12345))
sizes = [2, args.hidden, args.hidden, 1]
weights = [rng.normal(0, args.init_scale * np.sqrt(2.0 / a), (a, b)) for a, b in zip(sizes, sizes[1:])]
biases = [np.zeros(b) for b in sizes[1:]]
speeds = [np.zeros_like(w) for w in [*weights, *biases]]


def forward(x):
    layers = [x]
    for index, (w, b) in enumerate(zip(weights, biases)):
        z = layers[-1] @ w + b
        layers.append(z if index == 2 else np.tanh(z) if args.activation == "tanh" else np.maximum(z, 0.0))
    return layers


def loss_of(logits, y):
    return float(np.mean(np.logaddexp(0.0, logits) - y * logits))


for _ in range(12_000 // args.batch):
    x, y = spirals(args.batch, rng)
    layers = forward(x)
    delta = (1.0 / (1.0 + np.exp(-layers[3])) - y[:, None]) / len(x)
    slopes_w, slopes_b = [None] * 3, [None] * 3
    for index in (2, 1, 0):
        slopes_w[index] = layers[index].T @ delta + args.weight_decay * weights[index]
        slopes_b[index] = delta.sum(axis=0)
        if index:
            back = delta @ weights[index].T
            delta = back * (1.0 - layers[index] ** 2 if args.activation == "tanh" else (layers[index] > 0))
    for index, (parameter, slope) in enumerate(zip([*weights, *biases], [*slopes_w, *slopes_b])):
        speeds[index] = args.momentum * speeds[index] - args.lr * slope
        parameter += speeds[index]

value = loss_of(forward(x_val)[3][:, 0], y_val)
if not np.isfinite(value):
    raise SystemExit("the loss is not finite: training diverged")
print(f"val_loss={value:.5f}")
