"""Interaction logs to records: what `pipelines.prepare` runs."""
