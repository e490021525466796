"""Averages checkpoints, as a separate program: files that a trial left are opened in the sandbox only.

    checkpoint_average.py OUT FILE [FILE ...]

Writes the mean of the files' tensors to OUT. On a file that cannot be averaged it prints why and exits with status 1.
Needs torch and nothing else, not even Tunesmith.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class CheckpointError(Exception):
    """A checkpoint cannot be read, or cannot be averaged with the others; the message says why."""


def main() -> None:
    """Average the files of the command line."""
    import torch  # 1.3 s

    out, *files = map(Path, sys.argv[1:])
    try:
        mean = average([load(file) for file in files])
    except CheckpointError as error:
        sys.exit(str(error))
    # The best trial may have kept a link under this name.
    out.unlink(missing_ok=True)
    torch.save(mean, out)


def load(file: Path) -> Any:
    """Return a checkpoint with its tensors in main memory. Runs no code from the file.

    Raises:
        CheckpointError: it cannot be read, or contains more than weights and plain values.
    """
    import torch  # 1.3 s

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # torch raises pickle's, zipfile's and its own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{file.name} cannot be read as plain weights: {lines[0][:200]}; save model.state_dict()"
        ) from None


def average(checkpoints: Sequence[Any]) -> Any:
    """Return the mean of all floating-point tensors; all other values are taken from the first checkpoint.

    Args:
        checkpoints: nested dictionaries and lists of tensors, with the same names and shapes.

    Raises:
        CheckpointError: names or shapes differ.
    """
    return _averaged(checkpoints, "the checkpoint")


def _averaged(parts: Sequence[Any], name: str) -> Any:
    import torch

    first = parts[0]
    if isinstance(first, torch.Tensor):
        if any(not isinstance(p, torch.Tensor) or p.shape != first.shape for p in parts):
            raise CheckpointError(f"{name} has another shape than in the best trial, so the models differ")
        if not torch.is_floating_point(first):
            return first
        # Summed in double precision: the rounding errors of 16-bit sums would add up.
        return torch.stack([p.to(torch.float64) for p in parts]).mean(0).to(first.dtype)
    if isinstance(first, Mapping):
        if any(not isinstance(p, Mapping) or p.keys() != first.keys() for p in parts):
            raise CheckpointError(f"{name} has other names than in the best trial, so the models differ")
        return {key: _averaged([p[key] for p in parts], f"{name}.{key}") for key in first}
    if isinstance(first, list | tuple) and all(isinstance(p, list | tuple) and len(p) == len(first) for p in parts):
        return type(first)(_averaged([p[i] for p in parts], f"{name}.{i}") for i in range(len(first)))
    return first


if __name__ == "__main__":
    main()
