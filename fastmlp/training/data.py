"""The training and validation data of a call of fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastmlp.messages import must, shown
from fastmlp.training import sources
from fastmlp.training.reading import Reader
from fastmlp.training.samples import Data, part
from fastmlp.training.sources import Epoch
from fastmlp.training.state import State
from fastmlp.validation import checks, sample_weights

FOR_BATCHES = "if `X` is an iterable of batches"
FEW_ELEMENTS = 2**17  # of X: checking them is faster than copying a random state


class FitData:
    """Samples or batches to train on, and the validation data.

    Parameters
    ----------
    state : State
        Read.
    batch_size, shuffle
        As in `MLP.fit`.
    continues : bool, default False
        Whether training continues from the present weights, see `partial_fit`.

    Attributes
    ----------
    restarts : bool
        Whether new initial weights are drawn.
    reader : Reader
    samples : Data or None
        All samples, without class weights; None for batches.
    weighted : Data or None
        The same with class weights, after `split`; None for batches.
    is_finite : bool
        Whether the samples were checked to be finite.
    validation : Data or None
        The validation data, held out or given.
    fraction : float
        The fraction of the samples that `split` holds out.
    ends : bool
        Whether batches can be iterated over only once.
    order : callable or None
        Returns the rows of the next epoch, regardless of `shuffle`. For `Plan.looks_back` it has a
        method `ahead`, which returns those of several epochs without going on to them.
    """

    samples: Data | None = None
    weighted: Data | None = None
    is_finite = False
    validation: Data | None = None
    fraction = 0.0
    ends = False
    copies = False  # whether blocks of a file are copied to memory
    order: Callable[[], np.ndarray] | None = None
    _batches: Callable[[], Any] | None = None
    _class_weight: Any = None
    _rows: np.ndarray | None = None  # rows to train on; None for all

    def __init__(self, state: State, batch_size: Any, shuffle: bool | str, continues: bool = False):
        self.batch_size = checks.whole_number("batch_size", batch_size, 1)
        self.shuffle = checks.flag("shuffle", shuffle, "blocks")
        self.restarts = state.is_fitted and not (continues or state.settings.warm_start)
        # The columns of an earlier data frame must match, unless weights are drawn again.
        self.reader = Reader(state, None if self.restarts else state.feature_names)

    def take(
        self, X: Any, y: Any, sample_weight: Any, class_weight: Any, check_finite: bool = False
    ) -> None:
        """Check the training data; with `check_finite`, or if X is small, also for NaN."""
        self._class_weight = class_weight
        if y is not None:
            if isinstance(X, np.memmap) and self.shuffle is True:
                self.shuffle = "blocks"
            self.samples = self.reader.samples("X", X, "y", y, sample_weight, to_train_on=True)
            if class_weight is not None:  # raise errors before drawing random numbers
                self._weighted_by_class(self.samples)
            rows = self.samples.X
            if check_finite or isinstance(rows, np.ndarray) and rows.size <= FEW_ELEMENTS:
                self.reader.check_finite("X", rows)
                self.is_finite = True
            return
        if isinstance(X, np.ndarray) or hasattr(X, "tocsr") or not _is_source(X):
            requirement = "be an iterable of (X, y) batches if `y` is None"
            raise TypeError(must("X", requirement, type(X).__name__))
        if sample_weight is not None:
            advice = "pass the weights as the third element of each batch"
            raise ValueError(
                must("sample_weight", f"be None {FOR_BATCHES}", shown(sample_weight), advice)
            )
        if isinstance(class_weight, str):
            requirement = f"be None, a dict or one weight for each class {FOR_BATCHES}"
            raise ValueError(must("class_weight", requirement, shown(class_weight)))
        self.ends = isinstance(X, Iterator)
        self._batches = X if callable(X) else lambda: X

    def _batch_to_train_on(self, batch: Any) -> Data:
        data = self.reader.batch("X[i]", batch, to_train_on=True)
        return self._weighted_by_class(data, require_positive=False)

    def _weighted_by_class(
        self, data: Data, rows: np.ndarray | None = None, require_positive: bool = True
    ) -> Data:
        """Return the data with class weights applied; "balanced" counts `rows`."""
        if self._class_weight is None and rows is None:
            return data
        loss, n_out = self.reader.state.loss, self.reader.state.network.sizes[-1]
        found = sample_weights.class_weighted(
            data.targets, self._class_weight, loss, n_out, rows, require_positive
        )
        return Data(data.X, found)

    def give(
        self,
        samples: Data,
        weighted: Data,
        rows: np.ndarray | None,
        order: Callable[[], np.ndarray] | None,
        validation: Data | None = None,
    ) -> None:
        """Take finite samples that are checked already, all or only `rows`, and their orders.

        `weighted` has their class weights; `order` returns the rows of the next epoch, or is None
        if `shuffle` says how they are drawn.
        """
        self.samples, self.weighted, self._rows = samples, weighted, rows
        self.order, self.validation, self.is_finite = order, validation, True

    def validate_on(self, pair: Any, fraction: float) -> None:
        """Check the validation data."""
        self.fraction = checks.from_zero_below_one("validation_fraction", fraction)
        if pair is not None and self.fraction > 0:
            requirement = "be 0 if `validation_data` is given"
            raise ValueError(must("validation_fraction", requirement, f"{self.fraction}"))
        if pair is not None:
            self.validation = self.reader.batch("validation_data", pair)
        if self.fraction > 0:
            if self.samples is None:
                got, advice = f"{self.fraction}", "use `validation_data`"
                raise ValueError(must("validation_fraction", f"be 0 {FOR_BATCHES}", got, advice))
            n = len(self.samples.X)
            if not 0 < round(self.fraction * n) < n:
                requirement = "leave samples to train on and samples to score"
                got = f"{self.fraction} of {n} samples"
                raise ValueError(must("validation_fraction", requirement, got))

    @property
    def validates(self) -> bool:
        """Whether there is validation data."""
        return self.validation is not None or self.fraction > 0

    @property
    def n_trained_on(self) -> int | None:
        """The number of samples of an epoch; None for batches."""
        if self.samples is None:
            return None
        return len(self.samples.X if self._rows is None else self._rows)

    def split(self, source: Any) -> None:
        """Draw the held-out samples; class weights count only the others."""
        if self.samples is None or self.weighted is not None:  # for batches, or after `give`
            return
        if self.fraction > 0:
            drawn = source.permutation(len(self.samples.X))
            n = round(self.fraction * len(drawn))
            self.validation = part(self.samples, np.sort(drawn[:n]))
            self._rows = np.sort(drawn[n:])
            weights = self.validation.targets.weights
            sample_weights.check_positive("sample_weight", weights, " that is held out")
        self.weighted = self._weighted_by_class(self.samples, self._rows)

    def epoch(self, source: Any) -> Epoch:
        """Return the samples of an epoch, in an order drawn from `source`."""
        if self.weighted is not None and self.order is not None:
            return iter([(self.weighted, self.order())])
        if self.weighted is not None:
            return sources.epoch_of_arrays(
                self.weighted, self._rows, self.shuffle, source, self.batch_size, self.copies
            )
        assert self._batches is not None
        batches = self._batches()
        if not isinstance(batches, Iterable):
            requirement = "return an iterator over (X, y) batches"
            raise TypeError(must("X", requirement, shown(batches)))
        network = self.reader.state.network
        row_bytes = network.sizes[0] * network.dtype.itemsize
        return sources.epoch_of_batches(
            batches,
            self._batch_to_train_on,
            sources.block_rows(self.batch_size, row_bytes),
            bool(self.shuffle),
            source,
        )


def _is_source(X: Any) -> bool:
    return callable(X) or isinstance(X, Iterable) and not isinstance(X, (str, bytes, dict))
