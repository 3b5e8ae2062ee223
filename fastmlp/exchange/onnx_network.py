"""The layers of a network as nodes of ONNX, and its predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastmlp.core.equations.activations import LEAK
from fastmlp.exchange.layers import EXP, IDENTITY, SIGMOID, SOFTMAX, Layers, of_state
from fastmlp.exchange.onnx_graph import Graph, Value, check_size, save
from fastmlp.training.state import State

INPUT = "X"
LABEL, PROBABILITIES, VARIABLE = "label", "probabilities", "variable"
HALF = 0.5  # the least probability of a label that is predicted

#: Activations that ONNX has as an operator.
OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
}
#: Those that onnxruntime has in float32 only.
OPERATORS_32: dict[str, tuple[str, dict[str, Any]]] = {
    "leaky_relu": ("LeakyRelu", {"alpha": LEAK}),
    "elu": ("Elu", {"alpha": 1.0}),
    "softplus": ("Softplus", {}),
}


def save_network(state: State, path: Any, description: str) -> None:
    """Write an `MLP` or a `NeuralNet` as an ONNX model, see `MLP.to_onnx`."""
    layers = of_state(state)
    check_size(layers.n_bytes)
    task, n_out = state.settings.loss.task, layers.sizes[-1]
    inputs = [Value(INPUT, layers.dtype, layers.sizes[0])]
    graph = Graph([INPUT, LABEL, PROBABILITIES, VARIABLE])
    if task == "values":
        add_network(graph, INPUT, layers, VARIABLE)
        outputs = [Value(VARIABLE, layers.dtype, n_out)]
    else:
        p = add_network(graph, INPUT, layers, PROBABILITIES)
        if task == "classes":
            graph.add("ArgMax", p, name=LABEL, axis=1, keepdims=0)
        else:
            is_likely = graph.add("GreaterOrEqual", p, np.array(HALF, layers.dtype))
            if n_out == 1:
                is_likely = graph.add("Squeeze", is_likely, np.array([1], np.int64))
            graph.cast(is_likely, np.int64, LABEL)
        n_labels = n_out if task == "labels" and n_out > 1 else None
        outputs = [
            Value(LABEL, np.dtype(np.int64), n_labels), Value(PROBABILITIES, layers.dtype, n_out),
        ]  # fmt: skip
    save(graph, inputs, outputs, description, path)


def add_network(graph: Graph, x: str, layers: Layers, name: str | None = None) -> str:
    """Add the nodes of a network that reads x; return the name of what it predicts."""
    dtype = layers.dtype
    if layers.shift is not None and layers.scale is not None:
        x = graph.add("Sub", x, layers.shift.astype(dtype))
        x = graph.add("Mul", x, layers.scale.astype(dtype))
    for l, layer in enumerate(layers.layers):
        # No Gemm: onnxruntime 1.17 joins it with Relu to what it does not have in float64.
        x = graph.add("MatMul", x, graph.constant(layer.weights.T, f"weights_{l}"))
        x = graph.add("Add", x, graph.constant(layer.biases, f"biases_{l}"))
        x = _activated(graph, x, layer.activation, dtype)
    if layers.link == SOFTMAX:
        return graph.add("Softmax", x, name=name, axis=1)
    operator = {SIGMOID: "Sigmoid", EXP: "Exp", IDENTITY: "Identity"}[layers.link]
    return graph.add(operator, x, name=name)


def _activated(graph: Graph, z: str, activation: str, dtype: np.dtype[Any]) -> str:
    """Add an activation, see `core.equations.activations.activate`."""
    known = OPERATORS | (OPERATORS_32 if dtype == np.float32 else {})
    if activation in known:
        operator, attributes = known[activation]
        return graph.add(operator, z, **attributes)
    if activation == "gelu":
        return _gelu(graph, z, dtype)
    zero, one, leak = (dtype.type(value) for value in (0, 1, LEAK))
    if activation == "silu":  # z s(z) would magnify the error of Sigmoid, which is absolute
        return graph.add("Div", z, graph.add("Add", one, graph.add("Exp", graph.add("Neg", z))))
    if activation == "leaky_relu":
        return graph.add("Max", z, graph.add("Mul", z, leak))
    if activation == "elu":
        less = graph.add("Sub", graph.add("Exp", graph.add("Min", z, zero)), one)
        return graph.add("Add", graph.add("Relu", z), less)
    if activation == "softplus":
        small = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
        more = graph.add("Log", graph.add("Add", small, one))
        return graph.add("Add", graph.add("Relu", z), more)
    return z


def _gelu(graph: Graph, z: str, dtype: np.dtype[Any]) -> str:
    """Add ``z / 2 (1 + erf(z / sqrt(2)))``, with erf in float32, which onnxruntime has."""
    scaled = graph.add("Mul", z, dtype.type(math.sqrt(0.5)))
    if dtype == np.float32:
        erf = graph.add("Erf", scaled)
    else:
        erf = graph.cast(graph.add("Erf", graph.cast(scaled, np.float32)), dtype)
    half = graph.add("Mul", z, dtype.type(0.5))
    return graph.add("Mul", half, graph.add("Add", erf, dtype.type(1)))
