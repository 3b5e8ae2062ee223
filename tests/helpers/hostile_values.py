"""Values that no argument should be given, and the samples that some are made of."""

import datetime
import decimal
import functools

import numpy as np
import scipy.sparse

X, Y = np.eye(6, 4), np.array([0, 1, 2, 0, 1, 2])


def fails(*arguments, **options):
    raise RuntimeError("a failure\nof the user's own")


def failing(*names):
    """Return an instance whose methods of these names raise."""
    return type("Failing", (), dict.fromkeys(names, fails))()


def endless():
    """Return a list that contains itself."""
    items = []
    items.append(items)
    return items


@functools.cache
def missing():
    """Return pandas' missing values and others of its objects, if it is installed."""
    try:
        import pandas
    except ImportError:
        return ()
    return pandas.NA, pandas.NaT, pandas.Timestamp("2020"), pandas.Series(["a"], ["b"])


#: Functions that make the values, by the name shown when a test fails.
VALUES = {
    "None": lambda: None, "True": lambda: True, "0": lambda: 0, "-1": lambda: -1,
    "2**63": lambda: 2**63, "-2**63 - 1": lambda: -(2**63) - 1, "wide": lambda: [2**31 - 1] * 2,
    "10**400": lambda: 10**400, "-10**400": lambda: -(10**400), "10**5000": lambda: 10**5000,
    "0.5": lambda: 0.5, "NaN": lambda: float("nan"), "inf": lambda: float("inf"),
    "-inf": lambda: -float("inf"), "1e300": lambda: 1e300, "1e-320": lambda: 1e-320,
    "1j": lambda: 1j, "Decimal": lambda: decimal.Decimal("0.1"),
    "sNaN": lambda: decimal.Decimal("sNaN"),
    "text": lambda: "text", "''": lambda: "", "'1'": lambda: "1", "lines": lambda: "a\nb\r\x00",
    "long text": lambda: "x" * 10**4, "b''": lambda: b"", "b'1'": lambda: b"1",
    "bytearray": lambda: bytearray(b"1"), "memoryview": lambda: memoryview(b"12"),
    "[]": list, "[[]]": lambda: [[]], "{}": dict, "{1: 2}": lambda: {1: 2}, "set": lambda: {1, 2},
    "ragged": lambda: [[1.0, 2.0], [3.0]], "nested": lambda: [1, [2]], "endless": endless,
    "[None]": lambda: [None], "['1']": lambda: ["1"], "generator": lambda: (i for i in "ab"),
    "object": object, "type": lambda: int, "lambda": lambda: lambda *arguments, **options: None,
    "NotImplemented": lambda: NotImplemented, "Ellipsis": lambda: ...,
    "array(5)": lambda: np.array(5), "array([])": lambda: np.array([]),
    "float64": lambda: np.float64(0.5), "int8": lambda: np.int8(3), "NaN of NumPy": np.float32,
    "complex": lambda: np.ones((6, 4), complex), "'<U3'": lambda: np.array(["1.5"]),
    "structured": lambda: np.zeros(6, "f4,f4"), "3 axes": lambda: np.zeros((6, 4, 1)),
    "matrix of objects": lambda: np.full((6, 4), None), "no rows": lambda: np.empty((0, 4)),
    "masked": lambda: np.ma.masked_array(X, X == 1), "the mask": lambda: np.ma.masked,
    "sparse": lambda: scipy.sparse.csr_matrix(X),
    "sparse of complex": lambda: scipy.sparse.csr_matrix(X.astype(complex)),
    "sparse row": lambda: scipy.sparse.coo_array([1.0, 2.0]),
    "datetime64": lambda: np.datetime64("2020"), "timedelta64": lambda: np.timedelta64(1, "D"),
    "date": lambda: datetime.date(2020, 1, 1),
    "all fails": lambda: failing(
        "__repr__", "__str__", "__len__", "__iter__", "__getitem__", "__bool__", "__float__",
        "__index__", "__eq__", "__array__", "__call__", "__fspath__",
    ),
    **{
        f"{name} fails": functools.partial(failing, name)
        for name in ("__repr__", "__float__", "__index__", "__bool__", "__array__", "__eq__")
    },
    "list fails": lambda: failing("__len__", "__iter__", "__getitem__"),
    **{f"pandas {i}": functools.partial(lambda i: missing()[i], i) for i in range(len(missing()))},
}  # fmt: skip
