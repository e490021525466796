"""Checks for packages that only some features need, with the install line in the error. Imports none of them."""

from __future__ import annotations

import json
import os
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from tunesmith.study.errors import ProjectError


def require(package: str, *, purpose: str, extra: str = "") -> None:
    """Check that an optional package is installed.

    Args:
        package: its import name, such as "mcp".
        purpose: what needs it; the subject of the message, such as "tunesmith mcp".
        extra: the extra of Tunesmith that installs it; "" when none does.

    Raises:
        ProjectError: the package is not installed; the message contains the command that installs it.
    """
    if not is_installed(package):
        missing = f"{purpose} needs the package {package}, which is not installed"
        raise ProjectError(f"{missing}; run: {install_command(package, extra)}")


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported, by its import name. Imports at most the parents of a dotted name."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # a parent of a dotted name is missing
        return False


def install_command(package: str, extra: str = "") -> str:
    """Return the command that installs an extra of Tunesmith, or a package that no extra includes."""
    return f"pip install {_with_extra(extra)}" if extra else f"pip install {package.replace('_', '-')}"


def _with_extra(extra: str) -> str:
    """Return Tunesmith with an extra, by the checkout or wheel that it was installed from if that is still there.

    Whoever has a checkout or a wheel must not be sent to an index, where the name may belong to another project.
    """
    try:
        origin = json.loads(distribution("tunesmith").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = urlsplit(str(origin.get("url", "")))
    path = unquote(url.path)
    if url.scheme != "file" or not os.path.exists(path):
        return f"'tunesmith[{extra}]'"
    return f"{'-e ' if origin.get('dir_info', {}).get('editable') else ''}{shlex.quote(f'{path}[{extra}]')}"
