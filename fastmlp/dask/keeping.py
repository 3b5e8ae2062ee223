"""What a worker keeps of the shards that functions load, within its memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmlp.dask.file_rows import FileRows
from fastmlp.dask.shards import Format, Shard, Size, loaded, read, size_of
from fastmlp.messages import must

COPIES = 2  # of a shard beside those that are kept: one read back or written, one trained on
MOST_MEMORY = 0.9  # of `memory_limit`


class Unkept(NamedTuple):
    """A shard that takes too much memory to be kept, and is loaded again in every round."""

    size: Size
    load: Callable[[], Shard]


def loaded_to_keep(form: Format, shard: int, load: Callable[[int], Any]) -> Shard | Unkept | Any:
    """Return a shard that a function loads as this worker keeps it, or what `form.look` returns."""
    again = functools.partial(_loaded_apart, form, shard, load)
    found = again()
    if not isinstance(found, Shard):  # what `form.look` returned
        return found
    if isinstance(found.X, FileRows):
        found.again = again
    elif not can_keep(found, form.n_shards):
        return Unkept(size_of(form, found), again)
    return found


def present(kept: Shard | Unkept) -> Shard:
    """Return the samples of a shard as this worker reads them."""
    if isinstance(kept, Unkept):
        return _of_same_length(kept.load(), kept.size.n_samples)
    X: Any = kept.X
    if not isinstance(X, FileRows) or kept.again is None or X.is_there():
        return kept
    found = _of_same_length(kept.again(), len(X))  # another machine, or a file that was replaced
    if not isinstance(found.X, FileRows):
        return found
    X.move(found.X)  # for the next round
    return kept


def can_keep(shard: Shard, n_shards: int) -> bool:
    """Whether this worker has memory for shards like this one, as Dask keeps and spills them.

    What it keeps in memory is limited without counting the process itself, nor what tasks use.
    """
    from dask.sizeof import sizeof
    from distributed import get_worker

    worker = get_worker()
    memory: Any = worker.memory_manager
    if not memory.memory_limit:
        return True
    n_bytes = sizeof(shard)
    kept = n_shards * n_bytes
    if memory.memory_target_fraction:
        kept = min(kept, memory.memory_target_fraction * memory.memory_limit)
    counted = getattr(getattr(worker.data, "fast", None), "total_weight", 0)
    others = worker.monitor.get_process_memory() - counted - n_bytes
    of_tasks = COPIES * worker.state.nthreads * n_bytes
    return bool(others + kept + of_tasks <= MOST_MEMORY * memory.memory_limit)


def _loaded_apart(form: Format, shard: int, load: Callable[[int], Any]) -> Any:
    """Return a shard without what is larger, or what `form.look` returns."""
    found = read(form, shard, loaded(load, shard))
    if not isinstance(found, Shard):
        return found
    X = _apart(found.X) if isinstance(found.X, np.ndarray) else found.X
    kept = Shard(X, type(found.targets)(*map(_apart, found.targets)))
    vars(kept).update(vars(found))
    return kept


def _apart(array: np.ndarray) -> np.ndarray:
    """Return a copy of a view of a much larger array, which the view would keep in memory.

    Dask counts the view alone, and cannot spill the rest.
    """
    whole = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    if isinstance(whole, np.memmap) or whole.nbytes <= 2 * array.nbytes:
        return array
    return array.copy()


def _of_same_length(found: Shard, n_samples: int) -> Shard:
    if len(found.X) != n_samples:
        got = f"{n_samples} rows, then {len(found.X)}"
        raise ValueError(must("X(shard)", "return the same whenever it is called", got))
    return found
