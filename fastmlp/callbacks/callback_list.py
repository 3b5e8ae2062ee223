"""All callbacks of a call of fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from fastmlp.callbacks.base import Callback, Progress
from fastmlp.callbacks.writers import ModelCheckpoint
from fastmlp.messages import must, shown
from fastmlp.validation import checks


class CallbackList(Sequence[Callback]):
    """Callbacks, and the network that they are called for.

    Parameters
    ----------
    callbacks : list of Callback or CallbackList
        The order is kept, except that checkpoints come last, because they save the state of the
        others: first those with a monitor, then those that are always written, as a fit resumes
        from the newest file.
    model : MLP or NeuralNet
        Passed to the callbacks, unless `callbacks` is a `CallbackList` with a model of its own.
    verbose : bool, default False
        Whether to add a `Progress`, if there is none.
    """

    def __init__(self, callbacks: Any, model: Any, verbose: bool = False):
        wanted = "a list of instances of callbacks.Callback"
        found = checks.listed("callbacks", callbacks, wanted)
        for i, callback in enumerate(found):
            if not isinstance(callback, Callback):
                requirement = "be an instance of callbacks.Callback"
                raise TypeError(must(f"callbacks[{i}]", requirement, shown(callback)))
        if verbose and not any(isinstance(callback, Progress) for callback in found):
            found.append(Progress())
        self._callbacks = sorted(found, key=_rank)
        self._model: Any = callbacks._model if isinstance(callbacks, CallbackList) else model

    def __len__(self) -> int:
        return len(self._callbacks)

    def __getitem__(self, i: Any) -> Any:
        return self._callbacks[i]

    def begin(self, logs: dict[str, Any]) -> None:
        """Set the model of each callback, then call `on_train_begin`."""
        self.call("set_model", self._model)
        self.call("on_train_begin", logs)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a method of each callback."""
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments)

    def close(self) -> None:
        """Close all callbacks, even if one of them fails."""
        with contextlib.ExitStack() as stack:
            for callback in reversed(self._callbacks):
                stack.callback(callback.close)

    # Checkpoints --------------------------------------------------------------------------------

    @property
    def _kept(self) -> Iterator[Callback]:
        """The callbacks whose state a checkpoint saves: all but progress bars."""
        return (callback for callback in self._callbacks if not isinstance(callback, Progress))

    @property
    def kept_names(self) -> list[str]:
        """The class names of the callbacks whose state a checkpoint saves."""
        return [type(callback).__name__ for callback in self._kept]

    def states(self) -> list[dict[str, Any]]:
        """Return the states of the callbacks for a checkpoint."""
        return [callback.state() for callback in self._kept]

    def restore(self, states: list[dict[str, Any]]) -> None:
        """Restore the states that `states` returned."""
        for callback, state in zip(self._kept, states, strict=True):
            callback.restore(state)

    def latest_checkpoint(self) -> str | None:
        """Return the path of the newest checkpoint, None if none has been written yet.

        Raises
        ------
        ValueError
            If no callback writes checkpoints.
        """
        writers = [c for c in self._callbacks if isinstance(c, ModelCheckpoint)]
        if not writers:
            requirement = "be a path, or True with a ModelCheckpoint among the callbacks"
            raise ValueError(must("resume", requirement, "True without one"))
        return writers[-1].latest()


def _rank(callback: Callback) -> int:
    return 2 - callback.only_better if isinstance(callback, ModelCheckpoint) else 0
