"""Compares how planners spend epochs: which configurations they start, stop early and continue."""
