"""Runs that end before they are done, so that the same command can go on."""

from __future__ import annotations

import signal
from types import FrameType

# EX_TEMPFAIL of sysexits.h, "try again": whoever started the run should give the command again.
EXIT_CODE = 75


class Interrupted(Exception):
    """Training has ended early and can go on; the message says why."""


class StopRequest:
    """Whether the process was asked to end by SIGTERM, as machines do that are taken away.

    Training looks here between two calls of the graph; a signal in the middle of an evaluation or
    of a save waits until that is whole.

    >>> import os
    >>> request = StopRequest()
    >>> request()
    False
    >>> os.kill(os.getpid(), signal.SIGTERM)
    >>> request()
    True
    >>> request.forget()
    """

    def __init__(self) -> None:
        self._asked = False
        self._before = signal.signal(signal.SIGTERM, self._ask)

    def __call__(self) -> bool:
        return self._asked

    def forget(self) -> None:
        """Lets SIGTERM do again what it did before."""
        signal.signal(signal.SIGTERM, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
