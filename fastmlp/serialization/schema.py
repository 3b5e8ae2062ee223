"""The schema of model files, for reading and writing.

New fields must be added here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp import random_sources
from fastmlp.core.equations.update_rules import FIRST_MOMENT, RULES, SECOND_MOMENT
from fastmlp.initializers import INITIALIZERS
from fastmlp.messages import must
from fastmlp.settings import ARGUMENTS
from fastmlp.validation import checks
from fastmlp.validation.forms import (
    anything,
    array,
    between,
    boolean,
    dict_of,
    each_of,
    fields,
    list_of,
    number,
    one_of,
    optional,
    record,
    text,
    whole,
)

#: Arguments that files of earlier releases lack, and their defaults.
ADDED: dict[str, Any] = {"l2_per_batch": False}
COUNT = whole(0, 2**62)
DTYPE = one_of(("float32", "float64"))
KEY = whole(-(2**63), 2**63 - 1)
#: What `OptimizerState.state` returns.
descent = record({
    "taken": COUNT,
    "powers": list_of(between(0, 1), 2),
    "rate_factor": checks.non_negative,
})  # fmt: skip


def checked(state: Any) -> dict[str, Any]:
    """Validate the contents of a model file; TypeError or ValueError if they are invalid.

    The values of arguments are checked when the network is created.
    """
    start = fields(
        {"class": one_of(ARGUMENTS), "arguments": fields({"layers": layers, "dtype": DTYPE})}
    )
    found = start("", state)
    sizes, dtype = found["arguments"]["layers"], np.dtype(found["arguments"]["dtype"])
    shapes = shapes_of(sizes)
    optimizer = state["arguments"].get("optimizer", {"name": "sgd"})
    checkers = {
        "class": one_of(ARGUMENTS),
        "arguments": record(_arguments(found["class"], sizes, dtype), may_lack=ADDED),
        "random_state": random_sources.checked_source,
        "history_": dict_of(list_of(number)),
        "fitted": boolean,
        "feature_names": optional(list_of(text, sizes[0])),
        "weights": each_of([array(shape, dtype) for shape in shapes[: len(sizes) - 1]]),
        "biases": each_of([array(shape, dtype) for shape in shapes[len(sizes) - 1 :]]),
        "moments": moments(optimizer, shapes, dtype),
        "descent": descent,
        "seen": COUNT,
        "key": KEY,
        "fit": _fit,
        "rounds": _rounds,
    }  # fmt: skip
    state = record(checkers, may_lack=("feature_names", "fit", "rounds"))("", state)
    for part, count in (("fit", "epochs_done"), ("rounds", "rounds_done")):
        for name in state[part]["history"] if part in state else ():
            done = state[part][count]
            list_of(anything, done)(f"history_.{name}", state["history_"].get(name))
    return state


def layers(name: str, value: Any) -> list[int]:
    """Return the sizes of the layers."""
    return checks.layer_sizes(list_of(whole(1, checks.MAX_LAYER_SIZE))(name, value))


# Arguments ----------------------------------------------------------------------------------------


def _arguments(kind: str, sizes: list[int], dtype: np.dtype) -> dict[str, checks.Checker]:
    known: dict[str, checks.Checker] = {
        "layers": layers,
        "dtype": DTYPE,
        "activation": list_of(text, len(sizes) - 2),
        "output_activation": text,
        "loss": dict_of(anything),
        "init": _init(sizes),
        "warm_start": boolean,
        "n_threads": optional(whole(1, checks.MAX_THREADS)),
    }
    return {name: known.get(name, anything) for name in ARGUMENTS[kind].names}


def _init(sizes: list[int]) -> checks.Checker:
    def checker(name: str, value: Any) -> Any:
        if isinstance(value, str):
            return checks.choice(name, value, INITIALIZERS)
        given = list_of(checks.array_of, len(sizes) - 1)(name, value)
        for l, (weights, shape) in enumerate(zip(given, shapes_of(sizes), strict=False)):
            array(shape, weights.dtype)(f"{name}[{l}]", weights)
        return value

    return checker


# Parameters ---------------------------------------------------------------------------------------


def shapes_of(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the shapes of each layer's weights, then of each layer's biases."""
    return [*zip(sizes[1:], sizes[:-1], strict=True), *((n_out, 1) for n_out in sizes[1:])]


def moments(optimizer: Any, shapes: list[tuple[int, int]], dtype: np.dtype) -> checks.Checker:
    """Return a checker of the moments of an update rule, with the shapes of the parameters."""
    named = fields({"name": one_of(RULES)})("optimizer", optimizer)
    kind, layouts = RULES[named["name"]], {}
    for name, kinds, least in (("first", FIRST_MOMENT, -np.inf), ("second", SECOND_MOMENT, 0.0)):
        if kind in kinds:
            layouts[name] = each_of([array(shape, dtype, least) for shape in shapes])
    return record(layouts)


# Checkpoints --------------------------------------------------------------------------------------

#: Of `MLP.fit` and of training in rounds.
_COMMON: dict[str, checks.Checker] = {
    "batch_size": whole(1, 2**62),
    "history": list_of(text),
    "callbacks": list_of(text),
    "random_state": text,
    "stopped": boolean,
    "began_with": dict_of(anything),
    "random_position": anything,
    "callback_states": list_of(dict_of(anything)),
}
_FIT = _COMMON | {
    "n_samples": optional(whole(1, 2**62)),
    "validation_fraction": checks.from_zero_below_one,
    "epochs_done": COUNT,
    "began_at": anything,
}
_ROUNDS = _COMMON | {
    "n_samples": whole(1, 2**62),
    "n_shards": whole(1, 2**31),
    "local_epochs": whole(1, 2**31),
    "local_steps": optional(whole(1, 2**31)),
    "rate_factor": checks.non_negative,
    "seed": list_of(whole(0, 2**32 - 1), 2),
    "classes": list_of(text),
    "rounds_done": COUNT,
    "order": anything,
}


def _fit(name: str, value: Any) -> dict[str, Any]:
    """Validate the result of `Fit.checkpoint`."""
    found = record(_FIT, may_lack=("began_with",))(name, value)
    return _with_positions(name, found, ("began_at", "random_position"))


def _rounds(name: str, value: Any) -> dict[str, Any]:
    """Validate the checkpoint of a training in rounds."""
    found = _with_positions(name, record(_ROUNDS)(name, value), ("random_position",))
    if found["order"] is not None:
        if found["n_shards"] > 1:  # none of them has all rows
            raise ValueError(must(f"{name}.order", "be None for several shards", "an order"))
        n = found["n_samples"]
        order = array((n,), np.dtype(np.int64), 0)(f"{name}.order", found["order"])
        if not (np.bincount(order, minlength=n) == 1).all():
            raise ValueError(must(f"{name}.order", f"have {n} different rows", "others"))
    return found


def _with_positions(name: str, found: dict[str, Any], positions: Sequence[str]) -> dict[str, Any]:
    """Validate the states of callbacks and of the random source."""
    list_of(anything, len(found["callbacks"]))(f"{name}.callback_states", found["callback_states"])
    kind = found["random_state"].split(" of ")[0]
    for each in positions:
        found[each] = random_sources.checked_position(f"{name}.{each}", found[each], kind)
        if found["random_state"] != f"{kind} of {found[each]['bit_generator']}":
            requirement = f"be of a {found['random_state'][:60]}"
            got = f"one of {found[each]['bit_generator']}"
            raise ValueError(must(f"{name}.{each}", requirement, got))
    return found
