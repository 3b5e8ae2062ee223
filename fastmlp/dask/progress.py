"""The progress bar of training in rounds."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from fastmlp.callbacks.base import Progress
from fastmlp.callbacks.output import bar_class, shown_on


class RoundsProgress(Progress):
    """A bar of rounds, with the loss, the first score, and the bytes that a round has moved."""

    def __init__(self, runner: Any, stream: Any = None):
        super().__init__(stream)
        self._runner = runner

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar."""
        self.close()
        stream = sys.stderr if self.stream is None else self.stream
        bar = bar_class()(total=(logs or {}).get("epochs"), unit=" rounds", file=stream)
        self._bar = self._opened.enter_context(bar)
        self._opened.enter_context(shown_on(stream))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Move to this round, which is not the first one after a resume."""
        if self._bar.n != epoch:
            self._bar.n = self._bar.initial = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the round."""
        logs = logs or {}
        shown = {"loss": f"{logs['loss']:.4f}"}
        scores = [name for name in logs if name.startswith("validation_")]
        for name in sorted(scores, key="validation_loss".__eq__)[:1]:
            shown[name] = f"{logs[name]:.4f}"
        if self._runner.n_bytes_moved > 0:
            shown["moved"] = f"{self._runner.n_bytes_moved / 1e6:.1f} MB"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(1)

    def close(self) -> None:
        """Close the bar, so that the next output starts on a new line."""
        with contextlib.suppress(ValueError):
            self._opened.close()
        self._bar = None
