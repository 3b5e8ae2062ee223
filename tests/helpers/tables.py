"""Tables of all types of columns, and a slow encoder of one value at a time."""

import math
import statistics

import numpy as np
import pandas as pd

TEXTS = ["Ünï", "b c", "", "日本", "a,b\n"]


def table(n, seed=0):
    """Return a data frame with every type of column, with and without missing values."""
    source = np.random.RandomState(seed)

    def some(values, missing=None, share=0.2):
        chosen = [values[i] for i in source.randint(len(values), size=n)]
        if share == 0:
            return chosen
        return [missing if source.rand() < share else value for value in chosen]

    numbers = source.randn(n).round(3)
    return pd.DataFrame({
        "whole": np.arange(n) * 7 % 11,
        "number": numbers,
        "gaps": np.where(source.rand(n) < 0.3, np.nan, numbers * 100),
        "float32": numbers.astype(np.float32),
        "byte": source.randint(0, 256, n).astype(np.uint8),
        "nullable": pd.array(some([1, 5, 9], pd.NA), "Int64"),
        "objects": pd.Series(some([1, 2.5, np.float64(3)]), dtype=object),
        "bool": source.rand(n) < 0.5,
        "bool_gaps": pd.Series(some([True, False]), dtype=object),
        "bool_nullable": pd.array(some([True, False], pd.NA), "boolean"),
        "text": pd.Series(some(TEXTS, share=0), dtype=object),
        "text_gaps": pd.Series(some(TEXTS, np.nan), dtype=object),
        "string": pd.array(some(TEXTS, pd.NA), "string"),
        "pair": pd.Series(some(["yes", "no"]), dtype=object),
        "category": pd.Categorical(some(TEXTS), categories=[*TEXTS, "never"]),
        "levels": pd.Categorical(some([10, 20, 30])),
        "ordered": pd.Categorical(some(["s", "m", "l"]), ["s", "m", "l"], ordered=True),
        "same": "one",
    })  # fmt: skip


def is_missing(value):
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


WAVES = math.sin, math.cos


class SlowEncoder:
    """The columns of a data frame without outliers in its quantiles, value by value."""

    def __init__(self, frame, min_frequency=1, max_categories=None, n_harmonics=0):
        self.limits, self.periods = (min_frequency, max_categories), range(1, n_harmonics + 1)
        self.known = {name: self._learn(frame[name]) for name in frame.columns}

    def _learn(self, series):
        values = [value for value in series.tolist() if not is_missing(value)]
        has_gaps = len(values) < len(series)
        if all(isinstance(value, (bool, np.bool_)) for value in values):
            return "pair", [False, True], ""
        if isinstance(series.dtype, pd.CategoricalDtype) or isinstance(values[0], str):
            counts = {value: values.count(value) for value in values}
            kept = [value for value in sorted(counts) if counts[value] >= self.limits[0]]
            while self.limits[1] is not None and len(kept) > self.limits[1]:
                fewest = min(counts[value] for value in kept)
                kept.remove([value for value in kept if counts[value] == fewest][-1])
            return ("pair" if len(kept) == 2 else "each"), kept, ""
        numbers = sorted(float(value) for value in values)
        low, high = np.percentile(numbers, [25, 75])
        periods = self.periods if len(set(numbers)) > 2 else ()
        return "number", (statistics.median(numbers), high - low, periods), has_gaps

    def rows(self, frame):
        """Return the encoded rows as lists."""
        columns = [self._columns(*self.known[name], frame[name].tolist()) for name in self.known]
        return [sum(parts, []) for parts in zip(*columns, strict=True)]

    def _columns(self, kind, known, has_gaps, values):
        for value in values:
            if kind == "pair":
                yield (
                    [0 if value not in known else (-1, 1)[known.index(value)]]
                    if not is_missing(value)
                    else [0]
                )
            elif kind == "each":
                yield [float(not is_missing(value) and value == each) for each in known]
            elif is_missing(value):
                yield ([0, 1] if has_gaps else [0]) + [0] * 2 * len(known[2])
            else:
                z = (value - known[0]) / known[1]
                z /= math.sqrt(1 + (z / 3) ** 2)
                waves = [wave(k * z * math.pi / 3) / (2 * k) for wave in WAVES for k in known[2]]
                yield [z, 0][: 1 + has_gaps] + waves

    def names(self):
        """Return the names of the columns of the result."""
        names = []
        for name, (kind, known, has_gaps) in self.known.items():
            if kind == "number":
                names += [name, f"{name}_missing"] if has_gaps else [name]
                names += [f"{name}_{wave.__name__}{k}" for wave in WAVES for k in known[2]]
            elif known == [False, True]:
                names.append(name)
            else:
                names += [f"{name}_{each}" for each in (known[1:] if kind == "pair" else known)]
        return names
