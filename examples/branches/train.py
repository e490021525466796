"""Trains a small GPT on the source code of Python's library with a plateau of the learning rate and a decay.

`--steps` says how far to train, `--total` how long the whole schedule is. A run that continues another loads its model,
optimizer and step; what it sees at a step depends on the step and the seed only, so a run in stages is the same as one
without a break.
"""

from __future__ import annotations

import argparse
import math
import os
import sysconfig
from pathlib import Path

import torch
from torch import nn

import tunesmith
from tunesmith import schedules

CONTEXT, VOCABULARY = 64, 256


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    text = torch.frombuffer(bytearray(library_text()), dtype=torch.uint8)
    train_text, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    model = Model(args.width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    shape = schedules.wsd(args.total, warmup=args.total // 20, decay=args.decay, floor=args.floor)
    start = load(model, optimizer)
    for step in range(start, args.steps):
        for group in optimizer.param_groups:
            group["lr"] = args.lr * shape(step)
        loss = model.loss(sample(train_text, 16, args.seed + 1000 * step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save(model, optimizer, args.steps)
    with torch.no_grad():
        losses = [model.loss(sample(held_out, 64, index)).item() for index in range(8)]
    print(f"trained from step {start} to {args.steps}")
    print(f"val_bpb={sum(losses) / len(losses) / math.log(2):.4f}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decay", type=float, default=0.2, help="part of the schedule in which the rate falls")
    parser.add_argument("--floor", type=float, default=0.0, help="part of the peak that is left at the end")
    parser.add_argument("--lr", type=float, default=3e-3, help="learning rate of the plateau")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--total", type=int, default=300, help="steps of the whole schedule")
    parser.add_argument("--steps", type=int, default=300, help="step at which this run ends")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def library_text() -> bytes:
    """Return two megabytes of Python's own library."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return b"".join(file.read_bytes() for file in files)[:2_000_000]


def sample(text: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Return random pieces of the text: (count, CONTEXT + 1) int64."""
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(text) - CONTEXT - 1, (count,), generator=generator).tolist()
    return torch.stack([text[start : start + CONTEXT + 1] for start in starts]).long()


def load(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the files of the run that this one continues; return its step, 0 without one."""
    folder = tunesmith.resume_from()
    if folder is None or not (folder / "state.pt").is_file():
        return 0
    state = torch.load(folder / "state.pt", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def save(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Save what a later run continues from; never half a file."""
    path = tunesmith.artifacts() / "state.pt"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, f"{path}.new")
    os.replace(f"{path}.new", path)


class Model(nn.Module):
    """Two layers of attention over bytes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(CONTEXT, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, VOCABULARY)

    def loss(self, pieces: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy of each next byte: (n, CONTEXT + 1) int64 -> scalar, in nats."""
        tokens, answers = pieces[:, :-1], pieces[:, 1:]
        x = self.tokens(tokens) + self.positions(torch.arange(CONTEXT))
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        logits = self.head(self.layers(x, mask=mask, is_causal=True))
        return nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten())


if __name__ == "__main__":
    main()
