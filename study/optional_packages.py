"""Checks for packages that only some features need, with the install line in the error. Imports none of them."""

from __future__ import annotations

from importlib.util import find_spec

from tunesmith.study.errors import ProjectError


def require(package: str, *, purpose: str, extra: str = "") -> None:
    """Check that an optional package is installed.

    Args:
        package: its top-level import name, such as "mcp".
        purpose: what needs it; the subject of the message, such as "tunesmith mcp".
        extra: the extra of Tunesmith that installs it; "" when none does.

    Raises:
        ProjectError: the package is not installed; the message contains the command that installs it.
    """
    if find_spec(package) is None:
        raise ProjectError(
            f"{purpose} needs the package {package}, which is not installed; run: {install(package, extra)}"
        )


def install(package: str, extra: str = "") -> str:
    """Return the command that installs an extra of Tunesmith, or a package that no extra includes."""
    return f"pip install 'tunesmith[{extra}]'" if extra else f"pip install {package.replace('_', '-')}"
