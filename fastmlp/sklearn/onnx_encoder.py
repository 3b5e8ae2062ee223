"""What a `TableEncoder` and a `SquashingScaler` compute, as nodes of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp.exchange.onnx_graph import ML, Graph
from fastmlp.messages import must
from fastmlp.sklearn.columns import HARMONIC, Column
from fastmlp.sklearn.scaling import LARGE, checked_bound

WHOLE = np.dtype(np.float64)  # in which numbers are scaled
FLAT = np.array([-1], np.int64)  # the shape of a tensor with one dimension


class Tensor(NamedTuple):
    """A tensor (n_rows, n_columns) with some columns of a table."""

    name: str
    is_text: bool
    n_columns: int


class TableColumns:
    """The columns of a table, which one or more tensors have.

    Parameters
    ----------
    graph : Graph
    tensors : list of Tensor
        In the order of the columns.
    """

    def __init__(self, graph: Graph, tensors: Sequence[Tensor]):
        self._graph = graph
        self._places = [(tensor, k) for tensor in tensors for k in range(tensor.n_columns)]

    def __len__(self) -> int:
        return len(self._places)

    def numbers(self, columns: Sequence[int]) -> str:
        """Return the name of a float64 tensor with these columns; ValueError if one is text."""
        parts: list[tuple[Tensor, list[int]]] = []
        for j in columns:
            tensor, k = self._places[j]
            if tensor.is_text:
                requirement = "be numbers, as in the training data"
                raise ValueError(must(f"input {tensor.name}", requirement, "text"))
            if parts and parts[-1][0] is tensor:
                parts[-1][1].append(k)
            else:
                parts.append((tensor, [k]))
        names = [self._graph.cast(self._taken(*part), WHOLE) for part in parts]
        return names[0] if len(names) == 1 else self._graph.add("Concat", *names, axis=1)

    def texts(self, column: int) -> str:
        """Return the name of a tensor of text, (n_rows,), with a column."""
        tensor, k = self._places[column]
        if not tensor.is_text:
            requirement = "be text, as in the training data"
            raise ValueError(must(f"input {tensor.name}", requirement, "numbers"))
        return self._graph.add("Reshape", self._taken(tensor, [k]), FLAT)

    def _taken(self, tensor: Tensor, columns: list[int]) -> str:
        if columns == list(range(tensor.n_columns)):
            return tensor.name
        return self._graph.add("Gather", tensor.name, np.array(columns), axis=1)


class Pieces:
    """Columns of the result in the order in which they are computed."""

    def __init__(self, graph: Graph, dtype: Any):
        self._graph, self._dtype = graph, np.dtype(dtype)
        self._names: list[str] = []
        self._positions: list[int] = []

    def put(self, name: str, positions: Sequence[int]) -> None:
        """Add a tensor with these columns of the result."""
        self._names.append(self._graph.cast(name, self._dtype))
        self._positions += positions

    def together(self, name: str | None = None) -> str:
        """Return the name of the whole result, with its columns in their order."""
        whole = self._graph.add("Concat", *self._names, axis=1)
        order = np.argsort(self._positions)
        return self._graph.add("Gather", whole, order, name=name, axis=1)


def one_hot(graph: Graph, text: str, categories: Sequence[str]) -> str:
    """Add a column of 0 and 1 for each category of a tensor of text, (n_rows,)."""
    return graph.add("OneHotEncoder", text, domain=ML, cats_strings=list(categories), zeros=1)


def add_encoder(graph: Graph, encoder: Any, table: TableColumns, name: str | None = None) -> str:
    """Add what a fitted `TableEncoder` computes; return the name of the result."""
    columns: list[Column] = encoder.columns_
    ends = np.cumsum([column.n_outputs for column in columns])
    starts = [int(end) - column.n_outputs for end, column in zip(ends, columns, strict=True)]
    pieces = Pieces(graph, encoder.dtype)
    bound = checked_bound(encoder.max_absolute_value)
    of_kind = [(j, column) for j, column in enumerate(columns) if column.n_outputs > 0]
    numbers = [j for j, column in of_kind if column.kind == "number"]
    if numbers:
        _add_numbers(graph, columns, starts, numbers, table.numbers(numbers), bound, pieces)
    others = [(j, column) for j, column in of_kind if column.kind != "number"]
    pairs = [j for j, column in others if column.is_pair and not is_text(column)]
    if pairs:
        values = table.numbers(pairs)
        known = [
            graph.cast(graph.add("Equal", values, _row(columns, pairs, which)), WHOLE)
            for which in (0, 1)
        ]
        pieces.put(graph.add("Sub", known[1], known[0]), [starts[j] for j in pairs])
    for j, column in others:
        if j not in pairs:
            positions = [*range(starts[j], starts[j] + column.n_outputs)]
            pieces.put(_categories(graph, table, j, column), positions)
    return pieces.together(name)


def is_text(column: Column) -> bool:
    """Whether a column has text; one without categories has none."""
    return len(column.categories) > 0 and isinstance(column.categories[0], str)


def _row(columns: Sequence[Column], pairs: Sequence[int], which: int) -> np.ndarray:
    return np.array([[float(columns[j].categories[which]) for j in pairs]])


def _categories(graph: Graph, table: TableColumns, j: int, column: Column) -> str:
    """Add the columns of a category that is not a pair of numbers."""
    if not is_text(column):
        known = np.array([[float(category) for category in column.categories]])
        return graph.add("Equal", table.numbers([j]), known)
    codes = one_hot(graph, table.texts(j), column.categories)
    if not column.is_pair:
        return codes
    return graph.add("MatMul", codes, np.array([[-1], [1]], np.float32))


def _add_numbers(
    graph: Graph,
    columns: Sequence[Column],
    starts: Sequence[int],
    numbers: Sequence[int],
    values: str,
    bound: float,
    pieces: Pieces,
) -> None:
    """Add what `Column.write` computes for all numbers together."""
    known = [columns[j] for j in numbers]
    z = add_squash(
        graph, values, [each.centre for each in known], [each.scale for each in known], bound
    )  # fmt: skip
    missing = graph.add("IsNaN", z)
    z = graph.add("Where", missing, WHOLE.type(0), z)
    pieces.put(z, [starts[j] for j in numbers])
    with_gaps = [i for i, column in enumerate(known) if column.has_missing]
    if with_gaps:
        found = graph.add("Gather", missing, np.array(with_gaps), axis=1)
        pieces.put(found, [starts[numbers[i]] + 1 for i in with_gaps])
    waves = [(i, k) for i, column in enumerate(known) for k in range(1, column.n_harmonics + 1)]
    if not waves:
        return
    which, periods = (np.array(each) for each in zip(*waves, strict=True))
    angles = graph.add(
        "Mul", graph.add("Gather", z, which, axis=1), (np.pi / bound * periods)[np.newaxis]
    )
    heights = (HARMONIC / periods)[np.newaxis]
    first = [starts[numbers[i]] + known[i].has_missing + k for i, k in waves]
    pieces.put(graph.add("Mul", graph.add("Sin", angles), heights), first)
    # cos(x) as sin(x + pi / 2): onnxruntime 1.17 has Cos in float32 only.
    shifted = graph.add("Add", angles, WHOLE.type(np.pi / 2))
    cosines = graph.add("Mul", graph.add("Sin", shifted), heights)
    of_missing = graph.add("Gather", missing, which, axis=1)
    cosines = graph.add("Where", of_missing, WHOLE.type(0), cosines)
    pieces.put(
        cosines, [at + known[i].n_harmonics for at, (i, _) in zip(first, waves, strict=True)]
    )


def add_squash(
    graph: Graph, x: str, centres: Sequence[float], scales: Sequence[float], bound: float
) -> str:
    """Add `scaling.squash` of the columns of a float64 tensor; return the name of the result."""
    centre, scale = np.array([centres], WHOLE), np.array([scales], WHOLE)
    z = graph.add("Div", graph.add("Sub", x, centre), np.where(scale == 0, 1, scale))
    if (scale == 0).any():  # such a column becomes 0, but infinity and NaN stay
        constant = np.where(scale == 0, 0.0, 1.0)
        is_kept = graph.add("Or", graph.add("IsInf", x), constant > 0)
        z = graph.add("Where", is_kept, z, graph.add("Mul", x, WHOLE.type(0)))
    z = graph.add("Clip", z, WHOLE.type(-LARGE), WHOLE.type(LARGE))
    ratio = graph.add("Div", z, WHOLE.type(bound))
    squares = graph.add("Add", graph.add("Mul", ratio, ratio), WHOLE.type(1))
    return graph.add("Div", z, graph.add("Sqrt", squares))
