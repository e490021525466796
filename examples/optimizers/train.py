"""Trains a small network on scikit-learn's 8x8 digit images with AdamW, SGD or Muon, and prints the validation loss."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

TRAINING_SAMPLES = 1100


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    images, labels = load_digits()
    network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizers = build_optimizers(network, args)
    for epoch in range(1, args.epochs + 1):
        network.train()
        for batch in torch.randperm(TRAINING_SAMPLES).split(64):
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            network.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
        print(f"epoch={epoch} val_loss={validation_loss(network, images, labels):.4f}", flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--optimizer", choices=["adamw", "sgd", "muon"], default="adamw")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--momentum", type=float, default=0.9, help="of sgd and muon")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load_digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Return shuffled images and labels, the same for every seed; the first TRAINING_SAMPLES are for training."""
    # The same file as sklearn.datasets.load_digits() reads, without the second that importing scikit-learn takes.
    table = np.loadtxt(Path(str(find_spec("sklearn").origin)).parent / "datasets/data/digits.csv.gz", delimiter=",")
    order = torch.randperm(len(table), generator=torch.Generator().manual_seed(1797))
    images = torch.tensor(table[:, :64], dtype=torch.float32)[order] / 16
    return images, torch.tensor(table[:, 64], dtype=torch.int64)[order]


def build_optimizers(network: nn.Module, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Return the optimizer; Muon is for matrices only and leaves biases to AdamW at its usual rate."""
    decay = args.weight_decay
    if args.optimizer == "sgd":
        return [torch.optim.SGD(network.parameters(), lr=args.lr, momentum=args.momentum, weight_decay=decay)]
    if args.optimizer == "adamw":
        return [torch.optim.AdamW(network.parameters(), lr=args.lr, weight_decay=decay)]
    matrices = [parameter for parameter in network.parameters() if parameter.ndim == 2]
    biases = [parameter for parameter in network.parameters() if parameter.ndim != 2]
    muon = torch.optim.Muon(matrices, lr=args.lr, momentum=args.momentum, weight_decay=decay)
    return [muon, torch.optim.AdamW(biases, lr=1e-3)]


@torch.no_grad()
def validation_loss(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    network.eval()
    return nn.functional.cross_entropy(network(images[TRAINING_SAMPLES:]), labels[TRAINING_SAMPLES:]).item()


if __name__ == "__main__":
    main()
