"""Benchmarks: what visionedge costs over the bare run of a model, side by side in one run.

`python -m bench` runs them all and prints a table each; `docs/explanation/performance.md`
tells the method and what was found. One benchmark is one file and one line in `registry`.
"""
