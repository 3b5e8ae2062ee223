"""``fastmlp export``: a model in the format of other programs."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from fastmlp.command_line import table_model
from fastmlp.command_line.reports import print_json
from fastmlp.command_line.table_model import TableModel
from fastmlp.messages import must, shown
from fastmlp.tables.columns import listed
from fastmlp.tables.plain import PlainEncoder

SUFFIXES = (".onnx", ".safetensors")


def export(args: argparse.Namespace) -> None:
    """Write a model to a file of the format that the name says."""
    suffix = os.path.splitext(args.out)[1].lower()
    if suffix not in SUFFIXES:
        raise ValueError(must("OUT", f"end with {' or '.join(SUFFIXES)}", shown(args.out)))
    model = table_model.load(args.model)
    network = model.estimator if isinstance(model, TableModel) else model
    if suffix != ".onnx" and table_model.members_of(network) != [network]:
        raise ValueError(must("OUT", "end with .onnx for an ensemble", shown(args.out)))
    facts: dict[str, Any] = {"model": args.model, "saved": args.out}
    if suffix == ".safetensors":
        network.to_safetensors(args.out)
        if isinstance(model, TableModel) and _prepares(model):
            facts["lacks"] = "the preparation of the table's columns"
    else:
        _to_onnx(model, network, args.out)
        facts |= _signature(args.out)
    if args.json:
        print_json(facts)
        return
    for name in ("inputs", "outputs"):
        if name in facts:
            print(f"{name}: {listed([f'{each} ({kind})' for each, kind in facts[name].items()])}")
    if "lacks" in facts:
        print(f"not in the file: {facts['lacks']}, which an .onnx file has")
    print(f"saved: {args.out}")


def _prepares(model: TableModel) -> bool:
    """Whether the columns of a table become other numbers before the network reads them."""
    return model.about.plain is not None or hasattr(model.estimator, "encoder_")


def _to_onnx(model: Any, network: Any, out: str) -> None:
    """Write a model with the preparation of its table, if it was trained on one."""
    is_of_table = isinstance(model, TableModel) and table_model.KEY in model.estimator.metadata_
    if is_of_table and model.about.plain is not None:
        from fastmlp.sklearn import onnx_estimator

        onnx_estimator.save_estimator(network, out, _plain(model.encoder))
    else:
        network.to_onnx(out)


def _plain(encoder: PlainEncoder) -> Any:
    """Return how the columns of a table are prepared without a preset."""
    from fastmlp.exchange.onnx_graph import TEXT, Graph, Value
    from fastmlp.sklearn.onnx_encoder import Pieces, TableColumns, Tensor, one_hot
    from fastmlp.sklearn.onnx_estimator import Preparation

    used = [name for name in encoder.kinds if encoder.categories.get(name, "1")]
    is_text = [name in encoder.categories for name in used]
    inputs = [
        Value(name, TEXT if text else np.dtype(np.float64), 1)
        for name, text in zip(used, is_text, strict=True)
    ]

    def add(graph: Graph) -> str:
        table = TableColumns(
            graph, [Tensor(name, text, 1) for name, text in zip(used, is_text, strict=True)]
        )
        pieces, start = Pieces(graph, np.float32), 0
        for j, name in enumerate(used):
            if is_text[j]:
                codes = one_hot(graph, table.texts(j), encoder.categories[name])
                pieces.put(codes, [*range(start, start + len(encoder.categories[name]))])
            else:
                pieces.put(table.numbers([j]), [start])
            start += len(encoder.categories.get(name, "1"))
        return pieces.together()

    return Preparation(inputs, add)


def _signature(path: str) -> dict[str, dict[str, str]]:
    """Return the inputs and outputs of a model, and their types."""
    from fastmlp.exchange.onnx_graph import onnx

    graph = onnx().load(path).graph
    names = onnx().TensorProto.DataType.Name
    return {
        what: {each.name: names(each.type.tensor_type.elem_type).lower() for each in values}
        for what, values in (("inputs", graph.input), ("outputs", graph.output))
    }
