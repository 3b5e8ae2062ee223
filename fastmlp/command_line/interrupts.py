"""Ctrl-C during training."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any


class Interrupts:
    """A context in which Ctrl-C works as usual until `ignored` is set to True.

    So a second Ctrl-C cannot interrupt the saving of the model that the first one caused. Setting
    an attribute leaves no gap for a signal after the end of training. If Ctrl-C has no handler in
    Python, as in a background process that the shell started with it ignored, nothing changes.

    Attributes
    ----------
    received : bool
        Whether there was one that was not ignored: estimators end training without an error.
    """

    ignored = False
    received = False

    def __enter__(self) -> Interrupts:
        self._before = signal.getsignal(signal.SIGINT)
        self._set(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._set(self._before)

    def _set(self, handler: Any) -> None:
        if callable(self._before):
            with suppress(ValueError):  # not the main thread, which does not receive Ctrl-C
                signal.signal(signal.SIGINT, handler)

    def _handle(self, number: int, frame: Any) -> None:
        if not self.ignored:
            self.received = True
            self._before(number, frame)  # type: ignore[operator, misc]
