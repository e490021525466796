"""Trains a model of letters on a mixture of three sources of Python's own library, and measures it on text of a fourth.

The sources are files that every Python has: its code, the words in the code's docstrings, and its tables of encodings.
The model predicts each byte from the three before it, by counts. It reads the same number of bytes with any mixture, so
a source gets a larger part only at the cost of the others. Run it with nothing but Python:

    python train.py --mix-code 0.4 --mix-docs 0.3 --mix-tables 0.3
"""

from __future__ import annotations

import argparse
import ast
import math
import random
import sysconfig
from collections import Counter, defaultdict
from pathlib import Path

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
TOKENS = 100_000
"""Number of bytes in the training data, of all sources together."""
PIECE = 400
ORDER = 3
"""Number of bytes from which the next one is predicted."""


def docstrings(path: Path) -> str:
    """Return the docstrings of a file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return ""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return "\n".join(ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, owners))


def sources(seed: int) -> dict[str, str]:
    """Return the text of each source, its pieces in an order that depends on the seed."""
    files = sorted(LIBRARY.glob("[b-s]*.py"))[:40]
    tables = sorted((LIBRARY / "encodings").glob("cp*.py"))[:20]
    texts = {
        "code": "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files),
        "docs": "\n".join(docstrings(path) for path in files),
        "tables": "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in tables),
    }
    return {name: shuffled(text, seed) for name, text in texts.items()}


def shuffled(text: str, seed: int) -> str:
    """Return a text with its pieces of PIECE bytes in random order."""
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    random.Random(seed).shuffle(pieces)
    return "".join(pieces)


def held_out() -> str:
    """Return what the model is measured on: the documentation and some code of packages that it does not see."""
    files = sorted((LIBRARY / "email").glob("*.py")) + sorted((LIBRARY / "http").glob("*.py"))
    documentation = "\n".join(docstrings(path) for path in files)
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return documentation[:40_000] + code[:40_000]


def train(texts: list[str]) -> dict[str, Counter[str]]:
    """Return how often each byte follows each context of up to ORDER bytes."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for index in range(ORDER, len(text)):
            for length in range(ORDER + 1):
                counts[text[index - length : index]][text[index]] += 1
    return counts


def bits(counts: dict[str, Counter[str]], text: str) -> float:
    """Return the bits per byte of a text: longer contexts are mixed with shorter ones (Witten-Bell)."""
    total = 0.0
    for index in range(ORDER, len(text)):
        probability = 1.0 / 256
        for length in range(ORDER + 1):
            seen = counts.get(text[index - length : index])
            if seen:
                count, kinds = seen.total(), len(seen)
                probability = (seen[text[index]] + kinds * probability) / (count + kinds)
        total -= math.log2(probability)
    return total / (len(text) - ORDER)


def main() -> None:
    """Train on the mixture and print the bits per byte."""
    parser = argparse.ArgumentParser()
    for name in ("code", "docs", "tables"):
        parser.add_argument(f"--mix-{name}", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shares = {name: getattr(options, f"mix_{name}") for name in ("code", "docs", "tables")}
    texts = [text[: round(shares[name] * TOKENS)] for name, text in sources(options.seed).items()]
    print(f"bits_per_byte: {bits(train(texts), held_out()):.4f}")


if __name__ == "__main__":
    main()
