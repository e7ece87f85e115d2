"""Data: prepare tables into records, read records into batches."""
