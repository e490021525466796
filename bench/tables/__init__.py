"""The bundled tables: NAME.json and NAME.npz in this folder; docs/benchmark.md describes the format."""
