"""The judge: how well a saved model predicts text that no trial was trained on, in bits per byte.

It runs none of the trial's code: the model comes as data (checkpoint.py), and the probabilities are normalized here. A
model that saw what it has to predict is refused. Edits must not change this file ([edits].protect).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import checkpoint
import numpy as np
import torch
from data import CONTEXT, ROWS, VOCABULARY, held_out_text

TEXTS = 8 * ROWS
"""Number of pieces of the held-out text that are predicted, CONTEXT bytes each."""
CHECKED = 4
"""Number of batches that are predicted again, followed by different bytes."""
TOLERANCE = 0.01
"""Of a logarithm of a probability: other bytes elsewhere may change the order of a sum, and nothing else."""

Model = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    """Print the score, or end with the reason why there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, required=True, help="the folder that train.py saved its model in")
    try:
        model = checkpoint.load(parser.parse_args().artifacts)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"the model cannot be loaded: {error}")
    texts = pieces(held_out_text())
    predicted = [log_probabilities(model, batch[:, :-1]) for batch in texts.split(ROWS)]
    score = bits_per_byte(predicted, texts)
    if is_peeking(model, texts, predicted):
        sys.exit("the model's predictions depend on bytes that come later, or on other texts; it must not see them")
    print(f"val_bpb={score:.5f}")


def pieces(text: np.ndarray) -> torch.Tensor:
    """Return TEXTS pieces from all over the text, (TEXTS, CONTEXT + 1): no two touch, so none tells another's end."""
    starts = np.linspace(0, len(text) - CONTEXT - 1, TEXTS).astype(int)
    return torch.from_numpy(np.stack([text[start : start + CONTEXT + 1] for start in starts])).long()


def bits_per_byte(predicted: Sequence[torch.Tensor], texts: torch.Tensor) -> float:
    """Return the mean of -log2 of the probability of each byte given those before it; nan where the model says nan."""
    answers = texts[:, 1:].unsqueeze(2)
    return -torch.cat(list(predicted)).gather(2, answers).mean().item() / math.log(2)


def is_peeking(model: Model, texts: torch.Tensor, predicted: Sequence[torch.Tensor]) -> bool:
    """Tell whether a model's predictions depend on what they must not.

    Half of the rows keep their beginning, up to a place of their own, and go on as another text does; the other half
    are other texts. The predictions for the beginnings must be the same: they depend neither on what comes nor on other
    rows. Since what comes is text, too, a model cannot tell that it is being asked a second time.
    """
    batches = texts[:, :-1].split(ROWS)
    generator = torch.Generator().manual_seed(0)
    for index in torch.randperm(len(batches), generator=generator)[:CHECKED].tolist():
        kept = (torch.arange(ROWS) % 2 == index % 2)[:, None]
        ends = torch.randint(1, CONTEXT, (ROWS, 1), generator=generator)
        is_beginning = kept & (torch.arange(CONTEXT) < ends)
        again = log_probabilities(model, torch.where(is_beginning, batches[index], batches[index - 1]))
        change = (again - predicted[index]).abs().amax(dim=2)[is_beginning].max().item()
        if change > TOLERANCE:
            return True
    return False


def log_probabilities(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """Return what the model says, normalized: (ROWS, CONTEXT, VOCABULARY)."""
    logits = model(tokens)
    if logits.shape != (ROWS, CONTEXT, VOCABULARY):
        sys.exit(f"the model answers with {tuple(logits.shape)}, not with {(ROWS, CONTEXT, VOCABULARY)}")
    return torch.log_softmax(logits.double(), dim=2)


if __name__ == "__main__":
    main()
