"""`TableEncoder`: from a table to the numbers that a network takes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp.messages import must, shown
from fastmlp.sklearn.columns import Column, Table, learned_column, with_fewer_harmonics
from fastmlp.sklearn.constraints import Interval, StrOptions
from fastmlp.sklearn.scaling import checked_bound, checked_quantiles
from fastmlp.training.samples import all_finite
from fastmlp.validation import checks

#: The harmonics of each number with "auto", and how many those of all numbers may be.
AUTO, MOST_HARMONICS = 4, 64


class TableEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encode the columns of a table as the inputs of a network, by their types.

    =================  ===========================================================================
    numbers            as `SquashingScaler` has them; missing ones 0, with a column that is 1 where
                       a number is missing, if any was in the training data; `n_harmonics` sines
                       and cosines
    booleans           one column of -1 and 1; missing ones 0
    text, categories   one column of -1 and 1 for two categories, otherwise a column of 0 and 1 for
                       each; missing and unknown categories 0 in all
    =================  ===========================================================================

    A column whose values are all missing in the training data becomes nothing.

    Parameters
    ----------
    max_absolute_value : float, default=3.0
        The bound of numbers, see `SquashingScaler`.
    quantile_range : tuple of two floats, default=(25.0, 75.0)
        The quantiles that scale numbers, see `SquashingScaler`.
    min_frequency : int, default=1
        Categories with fewer samples are treated as unknown ones.
    max_categories : int or None, default=None
        The largest number of categories of a column: rarer ones are treated as unknown.
    n_harmonics : int or "auto", default=0
        For each number z of the result, ``sin(k * pi * z / max_absolute_value) / (2 * k)`` and
        the same of cos are added for k from 1 to `n_harmonics`; they are 0 where the number is
        missing. A network follows sharp changes more easily with them. Columns with only two values
        have none. "auto" is 4, or fewer if the table has more than 16 columns with them: 64 over
        their number, rounded down.
    dtype : {float32, float64}, default=float32
        The type of the result.

    Attributes
    ----------
    columns_ : list
        What is known of each column of X: its `kind` ("number", "boolean", "category" or "empty"),
        `centre` and `scale`, `has_missing`, `categories` and `n_harmonics`.
    n_outputs_ : int
        The number of columns of the result.
    n_features_in_ : int
    feature_names_in_ : array of str
        The columns of X, if it was a data frame. Columns of later data frames may have another
        order; missing and new ones are errors.

    See Also
    --------
    SquashingScaler : For columns that are all numbers.

    Notes
    -----
    The encoding of numbers and of pairs is that of Holzmueller, Grinsztajn and Steinwart (Better by
    Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data, 2024, section 3).

    Examples
    --------
    >>> from fastmlp.sklearn import TableEncoder
    >>> X = [["red", 1.0, True], ["green", 3.0, False], ["blue", None, True], ["red", 2.0, None]]
    >>> encoder = TableEncoder().fit(X)
    >>> encoder.get_feature_names_out(["colour", "size", "new"]).tolist()
    ['colour_blue', 'colour_green', 'colour_red', 'size', 'size_missing', 'new']
    >>> encoder.transform([["red", 2.0, False], ["pink", None, None]]).tolist()
    [[0.0, 0.0, 1.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "max_absolute_value": [Interval(Real, 0, None, closed="neither")],
        "quantile_range": [tuple, list],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "n_harmonics": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "dtype": "no_validation",
    }
    columns_: list[Column]

    def __init__(
        self,
        *,
        max_absolute_value: float = 3.0,
        quantile_range: tuple[float, float] = (25.0, 75.0),
        min_frequency: int = 1,
        max_categories: int | None = None,
        n_harmonics: int | str = 0,
        dtype: Any = np.float32,
    ):
        self.max_absolute_value = max_absolute_value
        self.quantile_range = quantile_range
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.n_harmonics = n_harmonics
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the types, the scales and the categories of the columns.

        Parameters
        ----------
        X : pandas or polars DataFrame, or array-like of shape (n_samples, n_features)
            Columns of numbers, booleans, text or categories. Missing values are None, NaN, or what
            the data frame has for them.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For invalid parameters, and for columns of other types, such as dates, bytes and
            intervals.
        """
        self._validate_params()
        quantiles = checked_quantiles("quantile_range", self.quantile_range)
        checks.float_type(self.dtype)
        table = Table(X)
        n_harmonics = AUTO if self.n_harmonics == "auto" else int(self.n_harmonics)
        columns = [
            learned_column(
                table.name(j), *table.column(j), quantiles, int(self.min_frequency),
                self.max_categories, n_harmonics,
            )
            for j in range(table.shape[1])
        ]  # fmt: skip
        if self.n_harmonics == "auto":
            columns = with_fewer_harmonics(columns, MOST_HARMONICS)
        if sum(column.n_outputs for column in columns) == 0:
            raise ValueError(must("X", "have a column with values", self._only(columns)))
        validate_data(self, table.X, skip_check_array=True)
        self.columns_ = columns
        return self

    def _only(self, columns: list[Column]) -> str:
        """Return what columns that become nothing have."""
        rare = f"categories with fewer than min_frequency={self.min_frequency} samples"
        has_rare = any(column.kind == "category" for column in columns)
        has_missing = any(column.kind == "empty" for column in columns)
        found = ["missing values"] * has_missing + [rare] * has_rare
        return f"only {' and '.join(found)}"

    @property
    def n_outputs_(self) -> int:
        """The number of columns of the result."""
        check_is_fitted(self, "columns_")
        return sum(column.n_outputs for column in self.columns_)

    def transform(self, X: Any) -> np.ndarray:
        """Return the inputs of a network for the rows of X.

        Parameters
        ----------
        X : pandas or polars DataFrame, or array-like of shape (n_samples, n_features)

        Returns
        -------
        X_new : ndarray of shape (n_samples, `n_outputs_`)
            C-contiguous, of type `dtype`.

        Raises
        ------
        ValueError
            For other columns than those of the training data.
        """
        check_is_fitted(self, "columns_")
        return as_array(self, Table(X))

    def transform_into(self, X: Any, out: np.ndarray) -> None:
        """Write what `transform` returns to `out`, for example to a part of a `numpy.memmap`.

        Parameters
        ----------
        X : pandas or polars DataFrame, or array-like of shape (n_samples, n_features)
        out : float array of shape (n_samples, `n_outputs_`)
            Overwritten, in part also if a value is refused.

        Raises
        ------
        ValueError
            For other columns than those of the training data, and for another shape of `out`.
        """
        check_is_fitted(self, "columns_")
        table = Table(X)
        shape = (table.shape[0], self.n_outputs_)
        if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype.kind != "f":
            raise ValueError(must("out", f"be an array of floats of shape {shape}", shown(out)))
        self._write(table, out)

    def _write(self, table: Table, out: np.ndarray) -> None:
        bound, start = checked_bound(self.max_absolute_value), 0
        for j, column in zip(self._positions(table), self.columns_, strict=True):
            end = start + column.n_outputs
            if end > start:
                column.write(table.name(j), table.column(j)[0], out[:, start:end], bound)
            start = end

    def _positions(self, table: Table) -> list[int]:
        """Return where in the table the columns of the training data are."""
        known = getattr(self, "feature_names_in_", None)
        if known is None or table.names is None:
            validate_data(self, table.X, reset=False, skip_check_array=True)
            return list(range(table.shape[1]))
        at = {name: j for j, name in enumerate(table.names)}
        missing = [name for name in known if name not in at]
        new = sorted(set(table.names) - set(known))
        if missing or new:
            got = [f"no column {shown(name)}" for name in missing[:3]]
            got += [f"the new column {shown(name)}" for name in new[:3]]
            raise ValueError(must("X", "have the columns of the training data", ", ".join(got)))
        return [at[name] for name in known]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of the result.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The columns of X; by default `feature_names_in_`, or x0, x1 and so on.

        Returns
        -------
        names : ndarray of str objects
            A number, a boolean: the name of its column; missing numbers: ``column_missing``; sines
            and cosines: ``column_sin1`` and so on; a category: ``column_category``, the second one
            of two. A name that another column has already gets an underscore at its end.
        """
        check_is_fitted(self, "columns_")
        known = getattr(self, "feature_names_in_", None)
        if input_features is None:
            input_features = [f"x{j}" for j in range(self.n_features_in_)]
            input_features = known if known is not None else input_features
        elif known is not None and list(known) != list(input_features):
            raise ValueError("input_features is not equal to feature_names_in_")
        elif len(input_features) != self.n_features_in_:
            raise ValueError(
                "input_features should have length equal to number of features "
                f"({self.n_features_in_}), got {len(input_features)}"
            )
        named = zip(input_features, self.columns_, strict=True)
        names = [each for name, column in named for each in column.output_names(name)]
        return np.array(_different(names), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _different(names: list[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        while name in found:
            name += "_"
        found[name] = None
    return list(found)


def as_array(encoder: TableEncoder, table: Table) -> np.ndarray:
    """Return what `transform` of a `TableEncoder` returns if no other container is set."""
    out = np.empty((table.shape[0], encoder.n_outputs_), checks.float_type(encoder.dtype))
    encoder._write(table, out)
    return out


class EncodedRows(NamedTuple):
    """Rows that a `TableEncoder` has encoded already, in place of X and X_val of `fit`.

    ``MLPClassifier(preset="tabular").fit(EncodedRows(encoder, rows), y)`` gives the estimator that
    ``fit(X, y)`` gives for ``rows = encoder.transform(X)``, if that has the same encoder. The rows
    are not copied, and of a `numpy.memmap` long pieces are read and shuffled at a time, so they may
    be larger than the memory; but the part that early stopping holds out is copied, unless X_val is
    given.

    Parameters
    ----------
    encoder : TableEncoder
        Fitted. It becomes `encoder_` of the estimator.
    rows : float32 or float64 array of shape (n_samples, encoder.n_outputs_)
        C-contiguous and finite. The network has the same type.
    """

    encoder: TableEncoder
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the rows."""
        return self.rows.shape

    def check(self) -> None:
        """Raise ValueError or TypeError if the rows would have to be converted."""
        if not isinstance(self.encoder, TableEncoder):
            raise TypeError(must("encoder", "be a TableEncoder", shown(self.encoder)))
        rows, n_outputs = self.rows, self.encoder.n_outputs_
        is_read_in_place = (
            isinstance(rows, np.ndarray)
            and not isinstance(rows, np.ma.MaskedArray)
            and rows.dtype in (np.float32, np.float64)
            and rows.flags.c_contiguous
        )
        if not is_read_in_place or rows.ndim != 2 or rows.shape[1] != n_outputs or len(rows) == 0:
            requirement = f"be a C-contiguous array of floats of shape (n_samples, {n_outputs})"
            raise ValueError(must("rows", requirement, shown(rows)))
        if not all_finite(rows):
            checks.finite_rows("rows", rows)

    def check_encoder(self, known: TableEncoder) -> None:
        """Raise ValueError unless the rows are as `known` would have encoded them."""
        if self.encoder is not known and _learnt(self.encoder) != _learnt(known):
            requirement = "have the encoder that the training data has"
            raise ValueError(must("EncodedRows", requirement, "rows of another one"))


def _learnt(encoder: TableEncoder) -> Any:
    """Return all that the encoded rows depend on."""
    names = getattr(encoder, "feature_names_in_", ())
    return encoder.columns_, float(encoder.max_absolute_value), list(names)
