"""The progress bar of a training call (floor 4)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(
    verbose: bool, n_samples: int, epochs: int
) -> Iterator[Callable[[int, float], None] | None]:
    """Show a bar while the block runs; yield what is to be called after each run of steps.

    It is called with the samples of this epoch done so far and the sum of their losses; None
    stands for it where `verbose` is false.
    """
    if not verbose:
        yield None
        return
    from tqdm import tqdm  # here, because most imports of fastmlp never show a bar

    with tqdm(total=n_samples * epochs, unit=" samples", unit_scale=True) as bar:

        def report(done: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss / done:.4f}", refresh=False)
            bar.update(bar.n // n_samples * n_samples + done - bar.n)

        yield report
