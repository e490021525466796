"""Renders the templates of prompts. Each template has a version, the hash of its text, which the history stores.

Templates are Jinja files with strict undefined names: a name without a value is an error.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from tunesmith.prompts.untrusted import fenced

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # 0.05 s

    environment = Environment(
        loader=PackageLoader("tunesmith.prompts", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,  # noqa: S701  # prompts are plain text; untrusted text is fenced
    )
    environment.filters["fenced"] = fenced
    return environment


def render_text(template: str, **data: Any) -> str:
    """Return the text of a template with these values.

    Raises:
        jinja2.UndefinedError: the template uses a name without a value.
    """
    return _environment().get_template(template).render(**data).strip()


@cache
def template_version(template: str) -> str:
    """Return the first 12 hex digits of the hash of a template's text."""
    loader = _environment().loader
    assert loader is not None  # noqa: S101  # _environment sets it
    source, _, _ = loader.get_source(_environment(), template)
    return hashlib.sha256(source.encode()).hexdigest()[:12]
