"""Trains a small network on scikit-learn's 8x8 digit images and reports the validation loss after every epoch.

The split never changes; `--seed` moves the initial weights, the order of the batches and dropout, nothing else.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

import tunesmith

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
TRAINING_SAMPLES = 1100


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    train, held_out = load_split()
    network = build_network(args)
    optimizer = build_optimizer(network, args)
    for epoch in range(1, args.epochs + 1):
        train_one_epoch(network, optimizer, train, args.batch_size)
        val_loss, val_acc = evaluate(network, held_out)
        tunesmith.report(step=epoch, val_loss=val_loss, val_acc=val_acc)
        print(f"epoch {epoch:2d}  val_loss={val_loss:.4f}  val_acc={val_acc:.4f}", flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--hidden", type=int, default=64, help="units of each hidden layer")
    parser.add_argument("--layers", type=int, default=1, help="number of hidden layers")
    parser.add_argument("--activation", choices=sorted(ACTIVATIONS), default="relu")
    parser.add_argument("--dropout", type=float, default=0.0, help="share of hidden units that are dropped")
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--momentum", type=float, default=0.0, help="of sgd")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load_split() -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    # The same file as sklearn.datasets.load_digits() reads, without the second that importing scikit-learn takes.
    table = np.loadtxt(Path(str(find_spec("sklearn").origin)).parent / "datasets/data/digits.csv.gz", delimiter=",")
    images = torch.tensor(table[:, :64], dtype=torch.float32) / 16
    labels = torch.tensor(table[:, 64], dtype=torch.int64)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1797))
    first, rest = order[:TRAINING_SAMPLES], order[TRAINING_SAMPLES:]
    return (images[first], labels[first]), (images[rest], labels[rest])


def build_network(args: argparse.Namespace) -> nn.Module:
    layers: list[nn.Module] = []
    width = 64
    for _ in range(args.layers):
        layers += [nn.Linear(width, args.hidden), ACTIVATIONS[args.activation](), nn.Dropout(args.dropout)]
        width = args.hidden
    return nn.Sequential(*layers, nn.Linear(width, 10))


def build_optimizer(network: nn.Module, args: argparse.Namespace) -> torch.optim.Optimizer:
    if args.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=args.lr, momentum=args.momentum)
    return torch.optim.Adam(network.parameters(), lr=args.lr)


def train_one_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    samples: tuple[torch.Tensor, torch.Tensor],
    batch_size: int,
) -> None:
    network.train()
    images, labels = samples
    for batch in torch.randperm(len(labels)).split(batch_size):
        loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(network: nn.Module, samples: tuple[torch.Tensor, torch.Tensor]) -> tuple[float, float]:
    network.eval()
    images, labels = samples
    logits = network(images)
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    return nn.functional.cross_entropy(logits, labels).item(), accuracy.item()


if __name__ == "__main__":
    main()
