"""Removes secrets from a text before it is stored."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_SECRET_SHAPES = re.compile(
    r"""
    \b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}        # OpenAI, Anthropic, Stripe
    | \bgh[opsu]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,}
    | \bhf_[A-Za-z0-9]{20,}
    | \bAKIA[0-9A-Z]{16}\b
    | \bxox[abpr]-[A-Za-z0-9-]{10,}
    | (?<=[Bb]earer\s)[A-Za-z0-9._~+/-]{16,}
    | (?<=://)[^\s:/@]+:[^\s@/]+(?=@)        # user:password in an address
    """,
    re.VERBOSE,
)
HIDDEN = "[redacted]"
_MIN_SECRET_CHARS = 7
"""Length below which a text cannot hold a secret; skipping short texts makes an import of 100,000 trials fast."""


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return `text` without keys, tokens and the values of environment variables that are named like secrets.

    Args:
        text: what will be stored.
        environment: the variables to look at; None for those of this process. Values shorter than 8 characters are
            kept, since ordinary words may contain them.
    """
    if len(text) < _MIN_SECRET_CHARS:
        return text
    variables = os.environ if environment is None else environment
    values = {v for name, v in variables.items() if _SECRET_NAME.search(name) and len(v) >= 8}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return _SECRET_SHAPES.sub(HIDDEN, text)
