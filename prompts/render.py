"""Puts data into templates. A template's template_version is the hash of its text, so that every call tells what it was asked.

Templates are Jinja files with strict undefined names: a fact that a template promises and nobody gave is an error.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tunesmith.prompts.untrusted import fenced


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("tunesmith.prompts", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,  # noqa: S701  # plain text, not a page; what is untrusted is fenced
    )
    made.filters["fenced"] = fenced
    return made


def render_text(template: str, **data: Any) -> str:
    """Return the template with the data in it.

    Raises:
        jinja2.UndefinedError: a name in the template was not given.
    """
    return _environment().get_template(template).render(**data).strip()


@cache
def template_version(template: str) -> str:
    """Return the first 12 hex digits of the hash of a template's text."""
    loader = _environment().loader
    assert loader is not None  # noqa: S101  # set above
    source, _, _ = loader.get_source(_environment(), template)
    return hashlib.sha256(source.encode()).hexdigest()[:12]
