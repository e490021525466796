"""Trains a small GPT to predict the next byte of Python source code, for as long as budget.py allows.

`--seed` moves the initial weights, the order of the texts and dropout. The model is saved as data for evaluate.py.
"""

from __future__ import annotations

import argparse
import math

import budget
import checkpoint
import torch
from data import CONTEXT, VOCABULARY, training_text
from torch import nn

import tunesmith

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    text = torch.from_numpy(training_text().copy())
    model = GPT(args.width, args.layers, args.heads, args.dropout).to(DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    train(model, optimizer, text, args.batch)
    checkpoint.save(model, tunesmith.artifacts())


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--width", type=int, default=64, help="features of a token; a multiple of the heads")
    parser.add_argument("--layers", type=int, default=4, help="number of blocks")
    parser.add_argument("--heads", type=int, default=4, help="attention heads of each block")
    parser.add_argument("--batch", type=int, default=16, help="texts in a step")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--dropout", type=float, default=0.1, help="share of features that are dropped")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train(model: nn.Module, optimizer: torch.optim.Optimizer, text: torch.Tensor, batch: int) -> None:
    model.train()
    clock = budget.Clock()
    step, mean_loss, next_report = 0, 0.0, 0.1
    while clock.share() < 1:
        inputs, targets = sample(text, batch)
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=DEVICE == "cuda"):
            logits = model(inputs)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        mean_loss += (loss.item() - mean_loss) / min(step, 50)
        if clock.share() >= next_report:
            next_report += 0.1
            tunesmith.report(step=step, train_loss=mean_loss)
            print(f"step {step:5d}  train_loss={mean_loss:.4f}", flush=True)


def sample(text: torch.Tensor, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random pieces of the text and the byte that follows each byte: (batch, CONTEXT) int64, twice."""
    starts = torch.randint(len(text) - CONTEXT, (batch,)).tolist()
    inputs = torch.stack([text[start : start + CONTEXT] for start in starts])
    targets = torch.stack([text[start + 1 : start + CONTEXT + 1] for start in starts])
    return inputs.long().to(DEVICE), targets.long().to(DEVICE)


class GPT(nn.Module):
    def __init__(self, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, length) bytes -> (n, length, VOCABULARY) logits of the byte after each."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.dropout(self.tokens(tokens) + self.positions(places))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.dropout(self.attention(x)))
        return self.norm2(x + self.dropout(self.feed_forward(x)))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        q, k, v = self.project(x).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads)
        is_later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(is_later, float("-inf")).softmax(dim=3)
        return self.out((weights @ v).transpose(1, 2).reshape(rows, length, width))


if __name__ == "__main__":
    main()
