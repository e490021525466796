"""Imports sqlite-utils without pandas, which it would load if installed: 0.2 s that no part of Tunesmith needs."""

from __future__ import annotations

import sys

_is_hidden = "pandas" not in sys.modules
if _is_hidden:
    sys.modules["pandas"] = None  # type: ignore[assignment]  # an import then fails as if it were not installed
try:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
finally:
    if _is_hidden:
        del sys.modules["pandas"]

__all__ = ["Database", "Migrations"]
