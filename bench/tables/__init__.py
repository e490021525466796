"""The tables that come with the package. NAME.json and NAME.npz beside this file; docs/benchmark.md has the format."""
