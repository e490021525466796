"""Hypothesis profiles of the test suite: `HYPOTHESIS_PROFILE=nightly pytest` checks eight times as many examples."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("default", max_examples=25, deadline=None)
settings.register_profile("nightly", max_examples=200, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
