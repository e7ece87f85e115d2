"""What the model and its parts cost, as ratios measured in one run: `python -m benchmarks.NAME`."""
