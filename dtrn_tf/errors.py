"""Mistakes a user can mend. Programs print them as one line and exit with code 1."""


class UserError(ValueError):
    """Says what was expected, what came and how to mend it; names the file, feature or flag."""


class SchemaError(UserError):
    """A mistake in a schema."""


class DataError(UserError):
    """Records, tables or directories that are missing or do not fit the schema."""


class RecordError(DataError):
    """A record that does not fit the schema.

    Args:
        message: What was expected, what came and how to mend it.
        reason: A short name to count by, such as `missing`.
        feature: Its name in the records; of aligned lists the first; empty for the whole record.
    """

    def __init__(self, message: str, reason: str, feature: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.feature = feature
