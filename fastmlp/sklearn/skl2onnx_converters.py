"""Converters of this package's estimators and transformers for skl2onnx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.exchange.onnx_graph import TEXT, Graph, element_type, tensor
from fastmlp.messages import must
from fastmlp.sklearn import onnx_estimator
from fastmlp.sklearn.classifier import MLPClassifier
from fastmlp.sklearn.encoder import TableEncoder
from fastmlp.sklearn.onnx_encoder import TableColumns, Tensor, add_encoder, add_squash
from fastmlp.sklearn.regressor import MLPRegressor
from fastmlp.sklearn.scaling import SquashingScaler, checked_bound
from fastmlp.tables import extras

INSTALL = "pip install skl2onnx"
#: How skl2onnx returns probabilities, and whether labels are positions instead of classes.
CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [False, True],
}  # fmt: skip

Build = Callable[[Graph, Any, Any], list[str]]


def register_skl2onnx() -> None:
    """Make ``skl2onnx.to_onnx`` convert pipelines with this package's classes.

    They are `MLPClassifier`, `MLPRegressor`, `TableEncoder` and `SquashingScaler`. Call it once in
    a process; further calls change nothing.

    Raises
    ------
    ImportError
        If skl2onnx is missing.

    Notes
    -----
    Networks compute in their own type, which is float64 if they were trained on float64; outputs
    have the type of the inputs, as is usual for skl2onnx: float32 for `FloatTensorType`. A
    `TableEncoder` takes one input for each column, or a matrix of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastmlp.sklearn import MLPClassifier, register_skl2onnx
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 5.0]])
    >>> network = MLPClassifier(hidden_layer_sizes=4, solver="lbfgs", random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(X, ["a", "a", "b", "b"])
    >>> register_skl2onnx()
    >>> import skl2onnx
    >>> made = skl2onnx.to_onnx(model, X[:1].astype(np.float32), options={"zipmap": False})
    >>> [output.name for output in made.graph.output]
    ['label', 'probabilities']
    """
    library = extras.required("skl2onnx", "skl2onnx", "Converting pipelines to ONNX", INSTALL)
    kinds: list[tuple[type, Any, Build, Any]] = [
        (MLPClassifier, _classifier_types, _build_classifier, CLASSIFIER_OPTIONS),
        (MLPRegressor, _regressor_types, _build_regressor, None),
        (TableEncoder, _encoder_types, _build_encoder, None),
        (SquashingScaler, _scaler_types, _build_scaler, None),
    ]
    for kind, types, build, options in kinds:
        library.update_registered_converter(
            kind, f"Fastmlp{kind.__name__}", types, _converter(build), overwrite=True,
            options=options,
        )  # fmt: skip


def _types() -> Any:
    return extras.required("skl2onnx.common.data_types", "skl2onnx", "Converting", INSTALL)


def _converter(build: Build) -> Any:
    """Return a converter of skl2onnx, for a function that adds nodes and returns their results."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        graph = Graph(unique=scope.get_unique_variable_name)
        found = build(graph, operator, operator.raw_operator)
        for name, variable in zip(found, operator.outputs, strict=True):
            kind = _types().guess_proto_type(variable.type)
            graph.add("Cast", name, name=variable.full_name, to=kind)
        for name, value in graph.constants.items():
            content = tensor(name, value)
            if value.dtype == TEXT:
                content = [text.encode() for text in value.ravel().tolist()]
            container.add_initializer(name, element_type(value.dtype), value.shape, content)
        for node in graph.nodes:
            name = scope.get_unique_operator_name(node.operator)
            container.add_node(
                node.operator, node.inputs, [node.output], op_domain=node.domain, name=name,
                **node.attributes,
            )  # fmt: skip

    return convert


# The types of outputs -----------------------------------------------------------------------------


def _float_like(operator: Any, shape: list[int | None]) -> Any:
    """Return the type of an output: double if all inputs are, otherwise float."""
    types = _types()
    is_double = all(isinstance(each.type, types.DoubleTensorType) for each in operator.inputs)
    return (types.DoubleTensorType if is_double else types.FloatTensorType)(shape)


def _classifier_types(operator: Any) -> None:
    classifier, types = operator.raw_operator, _types()
    label, probabilities = onnx_estimator.outputs_of(classifier)
    kinds = {
        np.dtype(np.int64): types.Int64TensorType, np.dtype(np.bool_): types.BooleanTensorType,
        np.dtype(np.float64): types.DoubleTensorType, TEXT: types.StringTensorType,
    }  # fmt: skip
    shape = [None] if label.n_columns is None else [None, label.n_columns]
    options = operator.scope_inst.get_options(classifier, {"zipmap": True, "nocl": False})
    kind = types.Int64TensorType if options["nocl"] else kinds[label.dtype]
    operator.outputs[0].type = kind(shape)
    shape = [None, probabilities.n_columns]
    if options["zipmap"] is True:  # which makes dicts, of float32 only
        operator.outputs[1].type = types.FloatTensorType(shape)
    else:
        operator.outputs[1].type = _float_like(operator, shape)


def _regressor_types(operator: Any) -> None:
    operator.outputs[0].type = _float_like(operator, [None, operator.raw_operator.n_outputs_])


def _encoder_types(operator: Any) -> None:
    encoder, types = operator.raw_operator, _types()
    kind = types.DoubleTensorType if encoder.dtype == np.float64 else types.FloatTensorType
    operator.outputs[0].type = kind([None, encoder.n_outputs_])


def _scaler_types(operator: Any) -> None:
    operator.outputs[0].type = _float_like(operator, [None, operator.raw_operator.n_features_in_])


# Nodes --------------------------------------------------------------------------------------------


def _table(graph: Graph, operator: Any, n_columns: int) -> TableColumns:
    """Return the columns of all inputs."""
    text = _types().StringTensorType
    tensors = [
        Tensor(each.full_name, isinstance(each.type, text), each.type.shape[1] or n_columns)
        for each in operator.inputs
    ]
    table = TableColumns(graph, tensors)
    if len(table) != n_columns:
        raise ValueError(must("initial_types", f"have {n_columns} columns", f"{len(table)}"))
    return table


def _encoded(graph: Graph, operator: Any, estimator: Any) -> str:
    table = _table(graph, operator, estimator.n_features_in_)
    encoder = vars(estimator).get("encoder_")
    if encoder is None:
        return table.numbers(range(len(table)))
    return add_encoder(graph, encoder, table)


def _build_classifier(graph: Graph, operator: Any, classifier: Any) -> list[str]:
    names = [graph.new_name(name) for name in ("label", "probabilities")]
    options = operator.scope_inst.get_options(classifier, {"nocl": False})
    classes = np.arange(len(classifier.classes_)) if options["nocl"] else None
    x = _encoded(graph, operator, classifier)
    onnx_estimator.add_estimator(graph, classifier, x, names, classes)
    return names


def _build_regressor(graph: Graph, operator: Any, regressor: Any) -> list[str]:
    name = graph.new_name("variable")
    onnx_estimator.add_estimator(graph, regressor, _encoded(graph, operator, regressor), [name])
    return [name]


def _build_encoder(graph: Graph, operator: Any, encoder: Any) -> list[str]:
    return [add_encoder(graph, encoder, _table(graph, operator, encoder.n_features_in_))]


def _build_scaler(graph: Graph, operator: Any, scaler: Any) -> list[str]:
    table = _table(graph, operator, scaler.n_features_in_)
    bound = checked_bound(scaler.max_absolute_value)
    x = table.numbers(range(len(table)))
    return [add_squash(graph, x, scaler.center_.tolist(), scaler.scale_.tolist(), bound)]
