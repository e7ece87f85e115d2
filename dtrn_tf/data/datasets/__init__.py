"""TFDS builders of public logs, and what TFDS has prepared as a source of `pipelines.prepare`."""
