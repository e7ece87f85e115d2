"""What a client says when the server gives no answer."""

from __future__ import annotations

from dtrn_tf.errors import UserError


class ServingError(UserError):
    """The server gave no predictions.

    Args:
        message: What was asked of whom, what came and how to mend it.
        reason: `unavailable` (nobody answers at the address), `timeout`, `not_found` (no such
            model or version) or `rejected` (the server does not take the request).
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def serving_error(reason: str, address: str, model: str, received: str) -> ServingError:
    """The error of one reason.

    >>> print(serving_error("not_found", "localhost:8500", "ranking", "Servable not found."))
    localhost:8500 should serve model 'ranking'. Received: Servable not found. Remedy: compare \
the name and version with the server's --model_name or models.config.
    """
    expected, remedy = _TEXTS[reason]
    return ServingError(f"{address} should {expected.format(model=model)}. "
                        f"Received: {received.rstrip('.')}. Remedy: {remedy}.", reason)


_TEXTS = {
    "unavailable": ("answer", "start the server, or correct host and port"),
    "timeout": ("answer in time", "raise the timeout, or send fewer candidates at once"),
    "not_found": ("serve model {model!r}", "compare the name and version with the server's "
                                           "--model_name or models.config"),
    "rejected": ("take the request to model {model!r}",
                 "make sure that the client's schema is that of the version that is served"),
}
