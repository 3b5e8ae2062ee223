"""``fastmlp inspect``: what a model file holds."""

from __future__ import annotations

import argparse
import math
from typing import Any

from fastmlp.command_line import table_model
from fastmlp.command_line.reports import blocks, counted, number, print_json, sizes_in_words
from fastmlp.command_line.scores import GUESSES, MAIN
from fastmlp.command_line.table_model import Description, TableModel
from fastmlp.tables.columns import Column, listed

#: What the command line records for itself, see `halves`.
HIDDEN = ("first_half", "second_half", "_criterion")


def inspect(args: argparse.Namespace) -> None:
    """Print the layers, the inputs and the history of a model."""
    model = table_model.load(args.model)
    about = model.about if isinstance(model, TableModel) else None
    whole = model.estimator if isinstance(model, TableModel) else model
    network, *others = table_model.members_of(whole)
    history = _history(network)
    facts: dict[str, Any] = {
        "model": args.model,
        "class": type(whole).__name__,
        "members": 1 + len(others),
        "layers": _sizes(network),
        "activation": _activation(network),
        "dtype": str(_first_weights(network).dtype),
        "history": history,
    }
    if about is not None:
        facts |= {
            "task": about.task, "target": about.target, "classes": about.classes,
            "inputs": [vars(column) for column in about.columns if not column.left_out],
            "left_out": [vars(column) for column in about.columns if column.left_out],
            "id": about.id, "rows": about.n_rows,
            "score": about.score, "guess": about.guess_score,
        }  # fmt: skip
    if args.json:
        print_json(facts)
        return
    print(f"{facts['class']} in {args.model}")
    if others:
        print(f"members: {facts['members']}; layers and history are those of the first")
    print(f"layers: {sizes_in_words(facts['layers'])}")
    print(f"hidden activation: {listed(facts['activation'])}, {facts['dtype']}")
    if about is not None:
        print("\n".join(_about_table(about)))
    print("\n".join(_lines_of(history)))


def _first_weights(network: Any) -> Any:
    return network.coefs_[0] if hasattr(network, "coefs_") else network.weights[0]


def _sizes(network: Any) -> list[int]:
    if hasattr(network, "coefs_"):
        return [network.coefs_[0].shape[0], *(coefs.shape[1] for coefs in network.coefs_)]
    return [int(size) for size in network.layers]


def _activation(network: Any) -> list[str]:
    """Return the activation of each hidden layer, or one for all of them."""
    if hasattr(network, "coefs_"):
        from fastmlp.sklearn.preset import in_effect

        network = in_effect(network)
    found = getattr(network, "activation", "relu")
    return [found] if isinstance(found, str) else list(dict.fromkeys(found))


def _history(network: Any) -> dict[str, list[float]]:
    found = getattr(network, "history_", {}) or {}
    return {
        name: [float(value) for value in values]
        for name, values in found.items()
        if not name.endswith(HIDDEN)
    }


def _about_table(about: Description) -> list[str]:
    """Return the lines about the table that a model was trained on."""
    lines = [f"target: {listed(about.target)} ({about.task})"]
    if about.classes:
        lines.append(f"classes: {listed(about.classes)}")
    lines.append(f"trained on: {counted(about.n_rows, 'row')}, {about.n_validation:,} held out")
    if about.score is not None:
        lines.append(
            f"{MAIN[about.task]}: {number(about.score)}; {GUESSES[about.task]}: "
            f"{number(about.guess_score or 0.0)}"
        )
    if about.id is not None:
        lines.append(f"id: {about.id}")
    lines.append("inputs:")
    lines += [f"  {column.name}: {_in_words(column)}" for column in about.columns]
    return lines


def _in_words(column: Column) -> str:
    if column.left_out:
        return f"left out, {column.left_out}"
    parts = [column.kind]
    if column.n_different is not None:
        parts.append(f"{column.n_different:,} different")
    if column.n_missing:
        parts.append(f"{column.n_missing:,} missing")
    return ", ".join(parts)


def _lines_of(history: dict[str, list[float]]) -> list[str]:
    """Return a line of blocks for each value that training recorded."""
    if not history:
        return ["history: none"]
    width = max(map(len, history))
    lines = [f"history of {counted(max(map(len, history.values())), 'epoch')}:"]
    for name, values in history.items():
        finite = [value for value in values if math.isfinite(value)]
        span = f"{number(values[0])} to {number(values[-1])}" if finite else "not finite"
        lines.append(f"  {name.ljust(width)}  {blocks(_scaled(name, values))}  {span}")
    return lines


def _scaled(name: str, values: list[float]) -> list[float]:
    """Return the logarithms of losses that fall by far, whose end would be flat otherwise."""
    if name.endswith("loss") and min(values) > 0 and max(values) > 4 * min(values):
        return [math.log(value) for value in values]
    return values
