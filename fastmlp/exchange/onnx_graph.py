"""Graphs of ONNX: nodes and constants, and the file that they become."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp.messages import must, short, shown
from fastmlp.serialization import files
from fastmlp.tables import extras

#: Runtimes since 2022 read them (onnxruntime 1.12).
OPSET, OPSET_ML, IR_VERSION = 17, 3, 8
ML = "ai.onnx.ml"  # the domain of operators on text
#: Bytes of a file, by protobuf.
MOST_BYTES = 2**31 - 1
MOST_INT = 2**63 - 1
INSTALL = 'pip install "fastmlp[onnx]"'
TEXT = np.dtype(object)  # the type of tensors of text


def onnx(part: str = "") -> Any:
    """Import onnx or a module of it."""
    name = f"onnx.{part}" if part else "onnx"
    return extras.required(name, "onnx", "Exporting to ONNX", INSTALL)


class Value(NamedTuple):
    """An input or an output of a graph: (n_rows, n_columns), or (n_rows,) if that is None."""

    name: str
    dtype: np.dtype[Any]
    n_columns: int | None


class Node(NamedTuple):
    """An operator, with the names of what it reads and of what it returns."""

    operator: str
    inputs: list[str]
    output: str
    domain: str
    attributes: dict[str, Any]


class Graph:
    """Nodes and constants, which `add` collects.

    Parameters
    ----------
    reserved : collection of str
        Names of inputs and outputs, which nodes and constants do not get.
    unique : callable, optional
        From a name to one that nothing else has.

    Examples
    --------
    >>> import numpy as np
    >>> graph = Graph(reserved=["X"])
    >>> graph.add("Relu", graph.add("Mul", "X", np.float32(2)))
    'Relu'
    >>> [node.operator for node in graph.nodes], list(graph.constants)
    (['Mul', 'Relu'], ['constant'])
    """

    def __init__(self, reserved: Collection[str] = (), unique: Callable[[str], str] | None = None):
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._taken = set(reserved)
        self._unique = self._numbered if unique is None else unique

    def _numbered(self, name: str) -> str:
        found, n = name, 1
        while found in self._taken:
            n += 1
            found = f"{name}_{n}"
        self._taken.add(found)
        return found

    def add(
        self,
        operator: str,
        *inputs: str | np.ndarray | np.generic,
        name: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node that reads tensors, by name, and constants; return the name of its result."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = self._unique(operator) if name is None else name
        self.nodes.append(Node(operator, names, output, domain, attributes))
        return output

    def new_name(self, name: str) -> str:
        """Return a name like this one that nothing has."""
        return self._unique(name)

    def constant(self, value: Any, name: str = "constant") -> str:
        """Add a constant; return its name."""
        name = self._unique(name)
        self.constants[name] = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        return name

    def cast(self, x: str, dtype: Any, name: str | None = None) -> str:
        """Add a conversion to a type of NumPy."""
        return self.add("Cast", x, name=name, to=element_type(np.dtype(dtype)))


def element_type(dtype: np.dtype[Any]) -> int:
    """Return the code in ONNX of a type of NumPy."""
    return int(onnx("helper").np_dtype_to_tensor_dtype(dtype))


def tensor(name: str, value: np.ndarray) -> Any:
    """Return a constant as ONNX has it."""
    if value.dtype.kind in "OU":
        text = [each.encode() for each in value.ravel().tolist()]
        return onnx("helper").make_tensor(name, element_type(TEXT), value.shape, text)
    return onnx("numpy_helper").from_array(value, name)


def check_size(n_bytes: int) -> None:
    """Raise ValueError if parameters of this size do not fit into a file."""
    if n_bytes > MOST_BYTES:
        requirement = f"have at most {MOST_BYTES:,} bytes of parameters to be an ONNX file"
        raise ValueError(
            must("network", requirement, f"{n_bytes:,}", "to_safetensors has no limit")
        )


def check_names(inputs: Sequence[Value], outputs: Sequence[Value]) -> None:
    """Raise ValueError for names of inputs that a graph cannot have."""
    taken = {value.name for value in outputs}
    for value in inputs:
        if value.name in taken or not value.name:
            requirement = f"have no column with the name of an output ({', '.join(sorted(taken))})"
            raise ValueError(must("X", f"{requirement} or without a name", shown(value.name)))


def save(
    graph: Graph, inputs: Sequence[Value], outputs: Sequence[Value], description: str, path: Any
) -> None:
    """Write a graph as a model, atomically, after ONNX's own check of it.

    Call `check_size` before the graph is built, which copies parameters.

    Parameters
    ----------
    graph : Graph
    inputs, outputs : list of Value
    description : str
        For people who open the file.
    path : str, os.PathLike or a binary file open for writing
    """
    helper = onnx("helper")
    nodes = [
        helper.make_node(
            node.operator, node.inputs, [node.output], domain=node.domain, **node.attributes
        )
        for node in graph.nodes
    ]
    made = helper.make_graph(
        nodes,
        "fastmlp",
        [_declared(value) for value in inputs],
        [_declared(value) for value in outputs],
        [tensor(name, value) for name, value in graph.constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    if any(node.domain == ML for node in graph.nodes):
        opsets.append(helper.make_opsetid(ML, OPSET_ML))
    model = helper.make_model(
        made, opset_imports=opsets, producer_name="fastmlp", doc_string=description
    )
    model.ir_version = IR_VERSION
    if model.ByteSize() > MOST_BYTES:
        check_size(model.ByteSize())
    onnx("checker").check_model(model)
    with files.open_for_writing(path) as file:
        file.write(model.SerializeToString())


def _declared(value: Value) -> Any:
    shape: list[Any] = [None] if value.n_columns is None else [None, value.n_columns]
    return onnx("helper").make_tensor_value_info(value.name, element_type(value.dtype), shape)


def class_constant(classes: np.ndarray) -> np.ndarray:
    """Return the classes of a classifier as a constant: ints, bools, floats or text.

    Raises
    ------
    TypeError
        For classes of other types.
    ValueError
        For ints that int64 does not have.
    """
    if classes.dtype.kind == "u" and classes.max() > MOST_INT:
        requirement = f"be at most {MOST_INT} to be exported to ONNX"
        raise ValueError(must("classes_", requirement, f"{classes.max()}"))
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64, "U": object}
    if classes.dtype.kind in kinds:
        return classes.astype(kinds[classes.dtype.kind])
    values = classes.tolist()
    if all(isinstance(each, str) for each in values):
        return np.array([str(each) for each in values], object)
    requirement = "be numbers or text to be exported to ONNX"
    got = f"values of type {short(type(values[0]).__name__)}"
    raise TypeError(must("classes_", requirement, got))
