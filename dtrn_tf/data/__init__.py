"""Data: records to tensors here, logs to records in `preparation`."""
