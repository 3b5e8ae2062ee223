"""Estimators as nodes of ONNX, and the file of an estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp.exchange.layers import of_state
from fastmlp.exchange.onnx_graph import (
    TEXT,
    Graph,
    Value,
    check_names,
    check_size,
    class_constant,
    save,
)
from fastmlp.exchange.onnx_network import INPUT, LABEL, PROBABILITIES, VARIABLE, add_network
from fastmlp.sklearn.classes import classes_of, is_multilabel
from fastmlp.sklearn.columns import Column
from fastmlp.sklearn.onnx_encoder import FLAT, TableColumns, Tensor, add_encoder, is_text


class Preparation(NamedTuple):
    """What a model takes, and how that becomes the inputs of the network."""

    inputs: list[Value]
    add: Callable[[Graph], str]


def save_estimator(estimator: Any, path: Any, preparation: Preparation | None = None) -> None:
    """Write a fitted estimator as an ONNX model, see its `to_onnx`.

    `preparation` is by default that of its encoder, if it has one.
    """
    check_size(of_state(estimator._tie().state).n_bytes)
    inputs, add = _preparation_of(estimator) if preparation is None else preparation
    outputs = outputs_of(estimator)
    check_names(inputs, outputs)
    graph = Graph([value.name for value in [*inputs, *outputs]])
    add_estimator(graph, estimator, add(graph), [value.name for value in outputs])
    save(graph, inputs, outputs, f"{type(estimator).__name__} of fastmlp", path)


def save_ensemble(ensemble: Any, path: Any) -> None:
    """Write a fitted ensemble as an ONNX model, see its `to_onnx`."""
    members = ensemble.estimators_
    check_size(sum(of_state(member._tie().state).n_bytes for member in members))
    encoders = [member.encoder_ for member in members if member._has_preset]
    inputs = inputs_of(*encoders) if encoders else _preparation_of(members[0]).inputs
    outputs = outputs_of(members[0])
    check_names(inputs, outputs)
    graph = Graph([value.name for value in [*inputs, *outputs]])
    rows = [INPUT] * len(members)
    if encoders:
        table = table_of(graph, inputs, *encoders)
        rows = [add_encoder(graph, encoder, table) for encoder in encoders]
    total = ""
    for member, x in zip(members, rows, strict=True):
        each = graph.cast(_add_values(graph, member, x), np.float64)
        total = graph.add("Add", total, each) if total else each
    mean, names = graph.add("Div", total, np.float64(len(members))), [o.name for o in outputs]
    dtype = output_type(members[0])
    if hasattr(ensemble, "classes_"):
        mean = graph.cast(mean, dtype)
        _add_classes(graph, members[0], mean, ensemble.classes_, *names)
    else:
        graph.cast(mean, dtype, names[0])
    save(graph, inputs, outputs, f"{type(ensemble).__name__} of fastmlp", path)


def _preparation_of(estimator: Any) -> Preparation:
    encoder = vars(estimator).get("encoder_")
    if encoder is None:
        dtype = estimator._tie().state.network.dtype
        return Preparation([Value(INPUT, dtype, estimator.n_features_in_)], lambda graph: INPUT)
    inputs = inputs_of(encoder)
    return Preparation(
        inputs, lambda graph: add_encoder(graph, encoder, table_of(graph, inputs, encoder))
    )


def inputs_of(*encoders: Any) -> list[Value]:
    """Return the inputs of a model for the table that encoders were fitted on.

    One for each column that one of them uses, or a single matrix for an array of numbers.
    """
    columns = list(zip(*[encoder.columns_ for encoder in encoders], strict=True))
    names = getattr(encoders[0], "feature_names_in_", None)
    are_text = [any(map(is_text, each)) for each in columns]
    if names is None and not any(are_text):
        return [Value(INPUT, np.dtype(np.float64), len(columns))]
    if names is None:
        names = [f"x{j}" for j in range(len(columns))]
    return [
        Value(str(name), TEXT if has_text else np.dtype(np.float64), 1)
        for name, each, has_text in zip(names, columns, are_text, strict=True)
        if _is_used(each)
    ]


def _is_used(columns: Sequence[Column]) -> bool:
    """Whether one of several encoders uses what is a column for each of them."""
    return any(column.n_outputs > 0 for column in columns)


def table_of(graph: Graph, inputs: list[Value], *encoders: Any) -> TableColumns:
    """Return the columns of a table in these inputs, as encoders count them."""
    columns = list(zip(*[encoder.columns_ for encoder in encoders], strict=True))
    if len(inputs) == 1 and inputs[0].n_columns == len(columns):
        return TableColumns(graph, [Tensor(inputs[0].name, inputs[0].dtype == TEXT, len(columns))])
    used = iter(inputs)
    return TableColumns(
        graph, [_tensor(next(used)) if _is_used(each) else UNUSED for each in columns]
    )


UNUSED = Tensor("", False, 1)


def _tensor(value: Value) -> Tensor:
    return Tensor(value.name, value.dtype == TEXT, value.n_columns or 1)


def output_type(estimator: Any) -> np.dtype[Any]:
    """Return the type of what an estimator predicts, labels apart."""
    if hasattr(estimator, "target_scale_"):
        return np.dtype(np.float64)
    return np.dtype(estimator.coefs_[0].dtype)


def outputs_of(estimator: Any) -> list[Value]:
    """Return the outputs of a model."""
    dtype, n_outputs = output_type(estimator), estimator.n_outputs_
    if not hasattr(estimator, "classes_"):
        return [Value(VARIABLE, dtype, n_outputs)]
    if is_multilabel(estimator):
        label = Value(LABEL, np.dtype(np.int64), n_outputs)
    else:
        label = Value(LABEL, class_constant(np.asarray(estimator.classes_)).dtype, None)
    return [label, Value(PROBABILITIES, dtype, max(n_outputs, 2))]


def add_estimator(
    graph: Graph, estimator: Any, x: str, names: list[str], classes: np.ndarray | None = None
) -> None:
    """Add what an estimator predicts for encoded rows, as tensors of the names of `outputs_of`.

    `classes` are by default those of the estimator.
    """
    if hasattr(estimator, "classes_"):
        known = estimator.classes_ if classes is None else classes
        _add_classes(graph, estimator, _add_values(graph, estimator, x), known, *names)
    else:
        _add_values(graph, estimator, x, names[0])


def _add_values(graph: Graph, estimator: Any, x: str, name: str | None = None) -> str:
    """Add the probabilities, or the predictions of a regressor, for encoded rows."""
    layers = of_state(estimator._tie().state)
    if x != INPUT:
        x = graph.cast(x, layers.dtype)
    if not hasattr(estimator, "target_scale_"):
        return add_network(graph, x, layers, name)
    values = graph.cast(add_network(graph, x, layers), np.float64)
    values = graph.add("Mul", values, np.atleast_1d(estimator.target_scale_))
    return graph.add("Add", values, np.atleast_1d(estimator.target_center_), name=name)


def _add_classes(
    graph: Graph, estimator: Any, p: str, classes: Any, label: str, probabilities: str
) -> None:
    """Add `predict` and `predict_proba` of a classifier."""
    (kind, *_), n_outputs = classes_of(estimator), estimator.n_outputs_
    dtype = np.dtype(estimator.coefs_[0].dtype)
    if n_outputs == 1:
        both = graph.add("Sub", dtype.type(1), p)
        graph.add("Concat", both, p, name=probabilities, axis=1)
    else:
        graph.add("Identity", p, name=probabilities)
    if kind == "multiclass":
        index = graph.add("ArgMax", p, axis=1, keepdims=0)
    else:
        is_likely = graph.add("Greater", p, dtype.type(0.5))
        if is_multilabel(estimator):
            graph.cast(is_likely, np.int64, label)
            return
        index = graph.cast(graph.add("Reshape", is_likely, FLAT), np.int64)
    classes = class_constant(np.asarray(classes))
    if len(classes) == 1:
        classes = np.repeat(classes, 2)  # whatever is predicted
    graph.add("Gather", classes, index, name=label, axis=0)
