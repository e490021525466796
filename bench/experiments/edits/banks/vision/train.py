# ruff: noqa: D101, D103  # as a user would write it
# mypy: disable-error-code="no-any-return, no-untyped-call"
"""Trains a small convolutional network on digits, for a fixed number of passes over the images."""

from __future__ import annotations

import argparse

import numpy as np
import torch
from data import held_out, training  # type: ignore[import-not-found]
from torch import nn

import tunesmith

EPOCHS = 12


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    images, labels = training()
    x = torch.from_numpy(images)[:, None]
    y = torch.from_numpy(labels)
    test_x = torch.from_numpy(held_out()[0])[:, None]
    model = Net(args.channels, args.hidden, args.dropout)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    for epoch in range(EPOCHS):
        loss = train_one_epoch(model, optimizer, x, y, args.batch)
        tunesmith.report(step=epoch + 1, train_loss=loss)
        print(f"epoch {epoch:2d}  train_loss={loss:.4f}", flush=True)
    np.savez(tunesmith.artifacts() / "predictions.npz", logits=predict(model, test_x))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate")
    parser.add_argument("--channels", type=int, default=8, help="filters of the convolution")
    parser.add_argument("--hidden", type=int, default=32, help="hidden units")
    parser.add_argument("--batch", type=int, default=32, help="images in a step")
    parser.add_argument("--dropout", type=float, default=0.3, help="share of hidden units that are dropped")
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class Net(nn.Module):
    def __init__(self, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3)
        self.pool = nn.AvgPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(channels * 9, hidden)
        self.out = nn.Linear(hidden, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, 8, 8) images -> (n, 10) logits."""
        h = self.pool(torch.sigmoid(self.conv(x)))
        h = torch.tanh(self.hidden(h.flatten(1)))
        return self.out(self.dropout(h))


def train_one_epoch(
    model: Net, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, batch: int
) -> float:
    model.train()
    losses = []
    for first in range(0, len(x), batch):
        rows = slice(first, first + batch)
        logits = model(x[rows])
        loss = nn.functional.cross_entropy(logits, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


@torch.no_grad()
def predict(model: Net, x: torch.Tensor) -> np.ndarray:
    return model(x).numpy()


if __name__ == "__main__":
    main()
