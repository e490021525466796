"""Compares ways to spend epochs: what is started, what is stopped early, and what goes on."""
